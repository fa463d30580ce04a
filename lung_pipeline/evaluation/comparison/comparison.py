# SPDX-License-Identifier: Apache-2.0
"""Two sets of models on the same patients: one frozen record of what differs.

A is what there was and B is what is new: every difference is B less A, so above 0 speaks for B,
but for false positives.

Belongs here: the record, its JSON and its flat names for a tracking server. Does not belong here:
how the figures are made (``paired.py``), what follows from them (``promotion.py``) and how they are
shown (``reporting``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.comparison.changed_nodules import ChangedNodule
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate

CPM = "detection/cpm"
SENSITIVITY = "detection/sensitivity_at_operating_point"
FP_PER_SCAN = "detection/fp_per_scan_at_operating_point"
MALIGNANCY_AUC = "malignancy/auc_of_all_rated"
MALIGNANCY_AUC_OF_FOUND = "malignancy/auc_of_found_by_both"
"""Names of figures. Malignancy is ranked twice: over all rated nodules, missed ones lowest, which
is what a patient gets; and over those that both found, which is the malignancy models alone, and
what promotions look at (``promotion.py`` says why)."""


def sensitivity_at(rate: float) -> str:
    """The name of the sensitivity at a rate of false positives a scan, as on the scorecard."""
    return f"detection/sensitivity_at_{rate:g}_fp_per_scan"


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure of both systems."""

    a: float | None
    """Of the first; None where there is nothing to measure it on."""

    b: float | None
    """Of the second."""

    difference: Estimate
    """``b`` less ``a``, with the interval of a bootstrap over patients, both on the same draws."""


NO_PAIR = Pair(None, None, NOT_MEASURED)
"""Where neither is measured."""


@dataclass(frozen=True, slots=True)
class Side:
    """Who was compared."""

    name: str
    """What its scorecard is called."""

    models: dict[str, str]
    """For each step its model: name, version and hash."""

    threshold: float | None
    """Its operating point: findings count from this nodule probability on; None: none counts."""

    num_found: int
    """Nodules it finds there."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two sets of models on the same patients."""

    a: Side
    """What there was, such as the champion."""

    b: Side
    """What is new, such as the challenger."""

    part: str
    """The part of the split both were scored on."""

    subsets: tuple[str, ...]
    """The subsets it was drawn from."""

    num_series: int
    """Series that were looked at."""

    num_patients: int
    """Patients they belong to: the unit of every interval."""

    num_nodules: int
    """Nodules to be found."""

    truth: str
    """The fingerprint of the series, nodules and marks both were held against."""

    figures: dict[str, Pair]
    """The figures by name."""

    won: tuple[ChangedNodule, ...]
    """Nodules that only B finds, each system at its own operating point; largest first."""

    lost: tuple[ChangedNodule, ...]
    """Nodules that only A finds."""

    made_at: str
    """When, in ISO 8601."""

    @property
    def name(self) -> str:
        """What a folder of this comparison is called."""
        return f"compare-{self.a.name}-with-{self.b.name}"

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for ``comparison.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Comparison:
        """The comparison as it was before ``as_json``; ``StoreError`` where a field is missing."""
        try:
            changed = {
                name: tuple(ChangedNodule.from_json(one) for one in record[name])
                for name in ("won", "lost")
            }
            sides = {name: Side(**record[name]) for name in ("a", "b")}
            pairs = {name: _pair(one) for name, one in record["figures"].items()}
            return cls(
                **{
                    **record,
                    **sides,
                    **changed,
                    "subsets": tuple(record["subsets"]),
                    "figures": pairs,
                }
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise StoreError(
                value=str(problem),
                place="comparison",
                rule="a comparison must have exactly the fields of this version of the package",
                cure="Compare again.",
            ) from problem

    def metrics(self) -> dict[str, float]:
        """All figures under flat names that MLflow accepts; what is not known is left out."""
        flat: dict[str, float | None] = {
            "comparison/num_won": len(self.won),
            "comparison/num_lost": len(self.lost),
        }
        for name, pair in self.figures.items():
            below = f"comparison/{name}"
            flat |= {f"{below}_a": pair.a, f"{below}_b": pair.b}
            flat |= pair.difference.metrics(f"{below}_difference")
        return {name: float(value) for name, value in flat.items() if value is not None}


def _pair(record: Mapping[str, Any]) -> Pair:
    return Pair(**{**record, "difference": Estimate(**record["difference"])})
