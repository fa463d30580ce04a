# SPDX-License-Identifier: Apache-2.0
"""The waterfall: at which stage each annotated nodule was lost.

Each nodule ends at exactly one stage, the first that lost it:

- no voxel above the threshold: segmentation marked nothing within its radius;
- eroded away: what was marked there was gone after erosion, a speck or a film;
- too small: what was left there hangs together to less than the smallest nodule (3 mm);
- merged with another: its component belongs to another nodule too, and its centre lies off this
  one, on the other or between the two;
- off centre: its component belongs to no other nodule, yet its centre lies off the nodule: it runs
  on along a vessel, into the wall, or into what nobody annotated;
- rejected by the classifier: hit, but by no finding of the nodule threshold or more;
- called benign: malignant by the readers, hit and taken for a nodule, but below the malignancy
  threshold; without a malignancy model nothing is called so;
- found.

A hit is LUNA16's (``matching.py``), whatever its voxels: found and called benign together are the
nodules that FROC counts as found at the same threshold.

Belongs here: the stage of a nodule, and counts. Does not belong here: what was observed
(``diagnosis/traces/trace.py``), and what false positives lie on (``false_positives.py``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.lost_nodules.density import DENSITIES

if TYPE_CHECKING:
    import pandas as pd

NOT_MARKED = "no voxel above the threshold"
ERODED = "eroded away"
TOO_SMALL = "too small"
MERGED = "merged with another"
OFF_CENTRE = "off centre"
REJECTED = "rejected by the classifier"
CALLED_BENIGN = "called benign"
FOUND = "found"

LOSSES = (NOT_MARKED, ERODED, TOO_SMALL, MERGED, OFF_CENTRE, REJECTED, CALLED_BENIGN)
"""The stages that lose nodules, in the order of the pipeline."""

STAGES = (*LOSSES, FOUND)
"""Where a nodule may end."""

DIAMETER_EDGES_MM = (5.0, 8.0, 12.0, 20.0)
"""Below 5 mm nobody is called back, from 8 mm on risk is reckoned (British Thoracic Society 2015,
doi:10.1136/thoraxjnl-2015-207168); 8 to 20 mm and above are the upper two of the four sizes of
Midthun et al. 2003, 18 % and 50 % malignant. 12 mm, which halves the widest, is ours."""

SLICE_SPACING_EDGES_MM = (1.0, 1.5, 2.0, 2.5)
"""Where bands of slice spacing end; LUNA16 took scans up to 2.5 mm (Setio et al. 2017)."""

_SPACING_DECIMALS = 2
"""Headers give 2.5 mm as 2.4999 and 2.5001 too."""

_NO_COMPONENT = -1

Counts = dict[str, int]
"""For each of ``STAGES`` the nodules that ended there."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """How many nodules ended at each stage; every grouping holds every nodule once."""

    nodule_threshold: float | None
    """Findings count from this nodule probability on; None where none may count."""

    malignancy_threshold: float
    """A nodule is called malignant from this probability on."""

    stages: Counts
    """Of all nodules."""

    by_diameter: dict[str, Counts]
    """By the annotated diameter."""

    by_density: dict[str, Counts]
    """By the readers' word (``density.py``)."""

    by_slice_spacing: dict[str, Counts]
    """By the distance between slices."""

    @property
    def num_nodules(self) -> int:
        """All nodules."""
        return sum(self.stages[stage] for stage in STAGES)

    def as_rows(self) -> list[dict[str, str | int]]:
        """One row for all nodules and one for each band that has any: by, band, nodules, stages."""
        groupings = {
            "all": {"all": self.stages},
            "diameter": self.by_diameter,
            "density": self.by_density,
            "slice spacing": self.by_slice_spacing,
        }
        return [
            {"by": by, "band": band, "nodules": sum(counts.values()), **counts}
            for by, bands in groupings.items()
            for band, counts in bands.items()
            if by == "all" or any(counts.values())
        ]

    def metrics(self) -> dict[str, float | None]:
        """Flat names: nodules lost at each stage, and found."""
        lost = {f"lost_{stage.replace(' ', '_')}": self.stages[stage] for stage in LOSSES}
        return {"num_nodules": self.num_nodules, **lost, "found": self.stages[FOUND]}

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Waterfall:
        """The waterfall as ``as_json`` gave it; ``KeyError`` or ``TypeError`` if not."""
        return cls(**record)


def waterfall(
    trace: pd.DataFrame,
    nodules: pd.DataFrame,
    *,
    nodule_threshold: float,
    malignancy_threshold: float,
) -> Waterfall:
    """Count where nodules were lost; the order of the rows does not matter.

    Args:
        trace: the columns of ``diagnosis/traces/trace.py``, and density.
        nodules: the same nodules: candidate_id, is_malignant (NA where unknown or left out).
        nodule_threshold: a finding is taken for a nodule from this probability on.
        malignancy_threshold: a nodule is called malignant from this probability on.

    Raises:
        StoreError: the trace is of other nodules.
    """
    stage = stages_of(
        trace,
        nodules,
        nodule_threshold=nodule_threshold,
        malignancy_threshold=malignancy_threshold,
    )
    spacing_mm = np.round(trace["slice_spacing_mm"].to_numpy(np.float64), _SPACING_DECIMALS)
    diameter_mm = trace["diameter_mm"].to_numpy(np.float64)
    # A diameter on an edge belongs to the larger band, a spacing to the finer one.
    sizes = np.searchsorted(DIAMETER_EDGES_MM, diameter_mm, side="right")
    spacings = np.searchsorted(SLICE_SPACING_EDGES_MM, spacing_mm, side="left")
    density = trace["density"].to_numpy(dtype=object)
    return Waterfall(
        nodule_threshold=nodule_threshold if math.isfinite(nodule_threshold) else None,
        malignancy_threshold=malignancy_threshold,
        stages=_counts(stage),
        by_diameter=_by_band(stage, sizes, _bands("under", DIAMETER_EDGES_MM, "from")),
        by_density={name: _counts(stage[density == name]) for name in DENSITIES},
        by_slice_spacing=_by_band(stage, spacings, _bands("up to", SLICE_SPACING_EDGES_MM, "over")),
    )


def stages_of(
    trace: pd.DataFrame,
    nodules: pd.DataFrame,
    *,
    nodule_threshold: float,
    malignancy_threshold: float,
) -> npt.NDArray[np.object_]:
    """For each row of the trace the one of ``STAGES`` it ended at; arguments as ``waterfall``."""
    malignant = _is_malignant(trace, nodules)
    is_hit = trace["is_hit"].to_numpy(dtype=np.bool_)
    is_sure = trace["nodule_probability"].to_numpy(np.float64) >= nodule_threshold
    seems_benign = trace["malignancy_probability"].to_numpy(np.float64) < malignancy_threshold
    ended = {
        REJECTED: is_hit & ~is_sure,
        CALLED_BENIGN: is_hit & malignant & seems_benign,
        FOUND: is_hit,
        NOT_MARKED: trace["num_marked"].to_numpy() == 0,
        ERODED: trace["num_kept"].to_numpy() == 0,
        TOO_SMALL: trace["component"].to_numpy() == _NO_COMPONENT,
        MERGED: trace["num_nodules_of_component"].to_numpy() > 1,
    }
    return np.select(list(ended.values()), list(ended), OFF_CENTRE).astype(object)


def _is_malignant(trace: pd.DataFrame, nodules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """The readers' rule for each row of the trace; what is unknown is not malignant."""
    import pandas as pd

    labels = nodules.set_index("candidate_id")["is_malignant"]
    other = set(labels.index) ^ set(trace["candidate_id"])
    if other or len(trace) != len(nodules):
        raise StoreError(
            value=f"{len(trace)} beside {len(nodules)}, such as {min(other, default='one twice')}",
            place="trace of the findings beside the nodules of the candidates",
            rule="both must be of the same nodules",
            cure="Materialize the findings again: the annotations have changed since.",
        )
    of_trace = pd.Series(labels.reindex(trace["candidate_id"]), dtype="boolean")
    return of_trace.fillna(value=False).to_numpy(dtype=np.bool_)


def _counts(stage: npt.NDArray[np.object_]) -> Counts:
    return {name: int((stage == name).sum()) for name in STAGES}


def _by_band(
    stage: npt.NDArray[np.object_], band: npt.NDArray[np.intp], names: Sequence[str]
) -> dict[str, Counts]:
    return {name: _counts(stage[band == number]) for number, name in enumerate(names)}


def _bands(below: str, edges_mm: Sequence[float], above: str) -> list[str]:
    """Names of the bands between edges.

    >>> _bands("under", (5.0, 7.5), "from")
    ['under 5 mm', '5 to 7.5 mm', 'from 7.5 mm']
    """
    between = [f"{a:g} to {b:g} mm" for a, b in itertools.pairwise(edges_mm)]
    return [f"{below} {edges_mm[0]:g} mm", *between, f"{above} {edges_mm[-1]:g} mm"]
