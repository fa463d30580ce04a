# SPDX-License-Identifier: Apache-2.0
"""What the findings lie on that are no nodule's hit, as far as that is known.

Each finding of the threshold or more that is no hit lies on exactly one of these, the first that
fits:

- an excluded mark, or a nodule that another finding hits better: neither counts as false;
- a missed nodule: it belongs to the finding, but the finding's centre lies off it;
- dense tissue: at least half of what lies within 10 mm of it, its own voxels left out, is denser
  than -500 HU, so it lies at or in the chest wall, the mediastinum or the great vessels;
- lung: less than half is, so it lies free in the lung: on a small vessel, a scar, or noise;
- not known: its surroundings were not measured.

Belongs here: counts. Does not belong here: fates (``matching.py``) and the measure of the
surroundings (``diagnosis/traces/surroundings.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.detection.matching import DOUBLE_HIT, EXCLUDED, HIT, Matches

if TYPE_CHECKING:
    import pandas as pd

ON_EXCLUDED = "an excluded mark"
ON_FOUND = "a nodule found already"
ON_MISSED = "a missed nodule"
IN_TISSUE = "dense tissue"
IN_LUNG = "lung"
NOT_KNOWN = "not known"

PLACES = (ON_EXCLUDED, ON_FOUND, ON_MISSED, IN_TISSUE, IN_LUNG, NOT_KNOWN)
"""What a finding that is no hit may lie on."""

NEITHER_WAY = (ON_EXCLUDED, ON_FOUND)
"""Places whose findings are not false by LUNA16's rule."""

DENSE_FROM = 0.5
"""Share of tissue around a finding from which on its surroundings are dense: a ball cut through
its centre by a flat wall has just half."""

_FINDING = ["series_uid", "x_mm", "y_mm", "z_mm"]


@dataclass(frozen=True, slots=True)
class FalsePositivePlaces:
    """How many findings that are no hit lie on what."""

    threshold: float | None
    """Findings count from this nodule probability on; None where none may count."""

    places: dict[str, int]
    """For each of ``PLACES`` its findings."""

    @property
    def num_false_positives(self) -> int:
        """Those that count as false."""
        return sum(self.places[name] for name in PLACES if name not in NEITHER_WAY)

    def as_rows(self) -> list[dict[str, str | int | bool]]:
        """One row for each place: what the findings lie on, how many, and if they are false."""
        return [
            {"lies_on": name, "findings": self.places[name], "is_false": name not in NEITHER_WAY}
            for name in PLACES
        ]

    def metrics(self) -> dict[str, float | None]:
        """Flat names: findings on each place."""
        return {f"on_{name.replace(' ', '_')}": self.places[name] for name in PLACES}

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> FalsePositivePlaces:
        """The places as ``as_json`` gave them; ``KeyError`` or ``TypeError`` if not."""
        return cls(**record)


def false_positive_places(
    findings: pd.DataFrame, matches: Matches, trace: pd.DataFrame | None, threshold: float
) -> FalsePositivePlaces:
    """Count what the findings lie on that are no hit.

    Args:
        findings: series_uid, x_mm, y_mm, z_mm, and tissue_share where that was measured.
        matches: of these findings.
        trace: the columns of ``diagnosis/traces/trace.py``; without it no missed nodule is known.
        threshold: findings count from this score on.
    """
    place = places_of(findings, matches, trace)
    counted = place[(matches.finding_score >= threshold) & (matches.finding_fate != HIT)]
    return FalsePositivePlaces(
        threshold=threshold if math.isfinite(threshold) else None,
        places={name: int((counted == name).sum()) for name in PLACES},
    )


def places_of(
    findings: pd.DataFrame, matches: Matches, trace: pd.DataFrame | None
) -> npt.NDArray[np.object_]:
    """For each finding the one of ``PLACES`` it lies on; what a hit gets has no meaning."""
    share = np.full(len(findings), np.nan)
    if "tissue_share" in findings:
        share = findings["tissue_share"].to_numpy(dtype=np.float64)
    choices = {
        ON_EXCLUDED: matches.finding_fate == EXCLUDED,
        ON_FOUND: matches.finding_fate == DOUBLE_HIT,
        ON_MISSED: _holds_missed(findings, trace),
        IN_TISSUE: share >= DENSE_FROM,
        IN_LUNG: share < DENSE_FROM,
    }
    return np.select(list(choices.values()), list(choices), NOT_KNOWN).astype(object)


def _holds_missed(findings: pd.DataFrame, trace: pd.DataFrame | None) -> npt.NDArray[np.bool_]:
    """Whether a nodule belongs to the finding that it does not hit."""
    if trace is None:
        return np.zeros(len(findings), dtype=np.bool_)
    missed = trace[~trace["is_hit"].to_numpy(dtype=np.bool_)]
    names = {f"finding_{axis}": axis for axis in _FINDING[1:]}
    held = missed[["series_uid", *names]].rename(columns=names).drop_duplicates()
    return (
        findings[_FINDING]
        .merge(held.assign(is_held=True), on=_FINDING, how="left")["is_held"]
        .notna()
        .to_numpy(dtype=np.bool_)
    )
