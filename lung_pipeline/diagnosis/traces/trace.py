# SPDX-License-Identifier: Apache-2.0
"""What each stage did with each annotated nodule, written down while findings are made.

Belongs here: the record and its table. Does not belong here: how it is observed (``tracing.py``),
and at which stage a nodule counts as lost (``evaluation/lost_nodules/waterfall.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NO_COMPONENT = -1
"""Stands for the component of a nodule that ended in none."""


@dataclass(frozen=True, slots=True)
class AnnotatedNodule:
    """One nodule the readers marked, before anything is looked for."""

    candidate_id: str
    """Its name in the table of candidates."""

    xyz_mm: tuple[float, float, float]
    """Its centre in patient space (LPS)."""

    diameter_mm: float
    """Its diameter."""


@dataclass(frozen=True, slots=True)
class TracedNodule:
    """One annotated nodule; its fields are the columns of ``trace.parquet`` in this order."""

    candidate_id: str
    """Its name in the table of candidates."""

    series_uid: str
    """The series it lies in."""

    x_mm: float
    """Its annotated centre in patient space (LPS), to the patient's left."""

    y_mm: float
    """Its annotated centre, to the back."""

    z_mm: float
    """Its annotated centre, to the head."""

    diameter_mm: float
    """Its annotated diameter."""

    slice_spacing_mm: float
    """Distance between the slices of the series."""

    highest_probability: float
    """The highest the segmentation gave a voxel within the radius; 0 where it lies off the scan."""

    num_marked: int
    """Voxels within the radius that the segmentation marked."""

    num_kept: int
    """Those of them that grouping kept: in a core that erosion left, or grown back beside one."""

    component: int
    """Which of the series' findings it became part of, from 0; ``NO_COMPONENT`` where of none."""

    num_nodules_of_component: int
    """Annotated nodules that became part of that finding, this one included; 0 without one."""

    is_hit: bool
    """Whether the component's centre lies within the radius, by LUNA16's rule."""

    finding_x_mm: float
    """Where the component's finding lies (LPS); NaN without one."""

    finding_y_mm: float
    """Where the component's finding lies; NaN without one."""

    finding_z_mm: float
    """Where the component's finding lies; NaN without one."""

    finding_diameter_mm: float
    """The diameter of the component's finding; NaN without one."""

    nodule_probability: float
    """How sure the nodule model is of that finding; NaN without one."""

    malignancy_probability: float
    """How sure the malignancy model is of that finding; NaN without one, or without a model."""


COLUMNS = tuple(field.name for field in fields(TracedNodule))
"""The columns of every trace, in order."""

_NUMBERS = ("num_marked", "num_kept", "component", "num_nodules_of_component")
_TYPES = {
    **dict.fromkeys(COLUMNS, "float64"),
    **dict.fromkeys(("candidate_id", "series_uid"), "str"),
    **dict.fromkeys(_NUMBERS, "int64"),
    "is_hit": "bool",
}


def trace_table(rows: Sequence[TracedNodule]) -> pd.DataFrame:
    """Traced nodules as a table, one row each, in the order of their names."""
    import pandas as pd

    ordered = sorted(rows, key=lambda row: row.candidate_id)
    return pd.DataFrame([asdict(row) for row in ordered], columns=list(COLUMNS)).astype(_TYPES)
