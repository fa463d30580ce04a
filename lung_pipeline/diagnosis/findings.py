# SPDX-License-Identifier: Apache-2.0
"""A finding: one thing in the lung that the models took for a nodule, and how sure they are.

Belongs here: what a finding carries and how findings become a table. Does not belong here: how
they are made (``pipeline.py``) and what they mean for the patient (``patient.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; its fields are the columns of ``findings.csv`` in this order."""

    series_uid: str
    """The series it lies in."""

    x_mm: float
    """Centre in patient space (LPS), to the patient's left."""

    y_mm: float
    """Centre in patient space (LPS), to the back."""

    z_mm: float
    """Centre in patient space (LPS), to the head."""

    index: float
    """Centre along the slices of the file as it was given, from 0, fractions allowed."""

    row: float
    """Centre along the rows of the file as it was given."""

    column: float
    """Centre along the columns of the file as it was given."""

    diameter_mm: float
    """Diameter of the ball that has the volume of the finding's mask."""

    nodule_probability: float
    """How sure the nodule model is that this is a nodule, 0 to 1."""

    malignancy_probability: float | None
    """How sure the malignancy model is that it is malignant; None where there is no such model."""

    volume_mm3: float = math.nan
    """Volume of its mask; this and what follows is NaN or empty where no mask was measured."""

    longest_axial_mm: float = math.nan
    """The longest distance between two edges of its mask within one slice."""

    mean_hu: float = math.nan
    """Mean density of its mask."""

    density: str = ""
    """Solid, part-solid or ground glass, by the density of its mask (``measures.py``)."""

    lung_border_mm: float = math.nan
    """From its centre to the nearest border of the lungs; negative outside them."""


COLUMNS = tuple(field.name for field in fields(Finding))
"""The columns of every table of findings, in order."""


def findings_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Findings as a table, one row each, most probable nodule first."""
    import pandas as pd

    ordered = sorted(findings, key=lambda finding: -finding.nodule_probability)
    table = pd.DataFrame([asdict(finding) for finding in ordered], columns=list(COLUMNS))
    texts = ("series_uid", "density")
    types = dict.fromkeys(COLUMNS, "float64") | dict.fromkeys(texts, "str")
    return table.astype(types)
