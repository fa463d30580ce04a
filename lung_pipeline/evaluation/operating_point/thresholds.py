# SPDX-License-Identifier: Apache-2.0
"""The operating point: the thresholds of the stages, solved together from one target.

Two thresholds are chosen, that of the nodule probability and that of the malignancy probability.
The first stage's, of the segmentation's mask, was fixed when the findings were made: another one
would give other findings. They are chosen on the validation part and then frozen, as a record
beside the model. On probabilities that are calibrated later they would not fit.

``MaxFalsePositives`` decides the nodule threshold alone, as ``froc.operating_point`` does.
``MinMalignantSensitivity`` decides both. Among all pairs of distinct probabilities it takes

1. of those that meet the target the one with the fewest false alarms;
2. among these the one that finds and predicts the most malignant nodules;
3. among these the one whose non-nodules a scan pass what is tolerated by the least;
4. among these the loosest: the lowest nodule threshold, then the lowest malignancy threshold.
   It is for scans yet to come, and the strictest would be set by the faintest of a lucky few.

Where the target cannot be met, the point that comes nearest is given, and says so.

Belongs here: rules and record. Does not belong here: targets (``targets.py``), what is counted at
two thresholds (``confusion.py``), and the arrays of the search (``threshold_search.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lung_pipeline.errors import SettingError, StoreError
from lung_pipeline.evaluation.operating_point.confusion import (
    BENIGN,
    MALIGNANT,
    NON_NODULE,
    ConfusionTable,
    Things,
    confusion_table,
)
from lung_pipeline.evaluation.operating_point.targets import (
    MaxFalsePositives,
    MinMalignantSensitivity,
    Target,
)
from lung_pipeline.evaluation.operating_point.threshold_search import (
    fewest_alarms,
    fp_per_scan,
    loosest,
    pairs_found,
)

EVEN_THRESHOLD = 0.5
"""Where there is nothing to decide by."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """An operating point, and what it gave where it was chosen."""

    nodule: float
    """A finding passes as a nodule from this nodule probability on."""

    malignancy: float
    """A nodule is predicted malignant from this malignancy probability on."""

    how: str
    """From what target, on what, and whether it was met, in words."""

    on_validation: ConfusionTable
    """What the two thresholds give on the data they were chosen on."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary, to be kept beside the model."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Thresholds:
        """The thresholds as they were before ``as_json``; ``StoreError`` where they are none."""
        try:
            table = ConfusionTable.from_json(record["on_validation"])
            return cls(**{**record, "on_validation": table})
        except (KeyError, TypeError) as problem:
            raise StoreError(
                value=str(problem),
                place="thresholds of a model",
                rule="a record must have exactly the fields of this version of the package",
                cure="Choose the operating point again.",
            ) from problem

    def metrics(self) -> dict[str, float | None]:
        """Thresholds and what they gave, under flat names."""
        return {
            "nodule_threshold": self.nodule,
            "malignancy_threshold": self.malignancy,
            **self.on_validation.metrics(),
        }


def solve(things: Things, target: Target) -> Thresholds:
    """Choose the thresholds for a target (the rules stand at the head of this file).

    Args:
        things: all that counts in the validation part.
        target: what the thresholds are chosen for.

    Returns:
        The thresholds. Where there is no nodule to decide by, or no malignant one was found, they
        are even, 0.5, and say so.

    Raises:
        SettingError: a target of malignant nodules, and nothing has a malignancy probability.
    """
    if isinstance(target, MaxFalsePositives):
        nodule, short = _nodule_threshold(things, target)
        malignancy = target.malignancy_threshold
    else:
        nodule, malignancy, short = _both_thresholds(things, target)
    table = confusion_table(things, nodule_threshold=nodule, malignancy_threshold=malignancy)
    return Thresholds(nodule, malignancy, _in_words(target, short, table), table)


def _nodule_threshold(things: Things, target: MaxFalsePositives) -> tuple[float, str]:
    """The loosest threshold within the budget, and what is amiss with it, if anything."""
    found = things.nodule_probability[~np.isnan(things.nodule_probability)]
    if (things.kind == NON_NODULE).all() or not len(found):
        return EVEN_THRESHOLD, "no nodule, or nothing found, to decide by: 0.5 is chosen"
    scores = np.unique(found)
    within = fp_per_scan(things, scores) <= target.fp_per_scan
    if not within.any():
        return float(scores[-1]), "it cannot be met; this is the strictest that finds anything"
    return float(scores[within][0]), ""


def _both_thresholds(things: Things, target: MinMalignantSensitivity) -> tuple[float, float, str]:
    """The pair of thresholds, and what is amiss with it, if anything."""
    malignant = pairs_found(things, MALIGNANT)
    num_malignant = int((things.kind == MALIGNANT).sum())
    if not len(malignant):
        _refuse_without_model(things)
        short = f"none of {num_malignant} malignant nodules was found to decide by: 0.5 is chosen"
        return EVEN_THRESHOLD, EVEN_THRESHOLD, short
    alarming = pairs_found(things, BENIGN, NON_NODULE)
    enough = np.arange(num_malignant + 1) / num_malignant >= target.sensitivity
    wanted, short = int(enough.argmax()), ""
    if wanted > len(malignant):
        wanted = len(malignant)
        short = f"it cannot be met, only {wanted} have a finding; this is the nearest"
    fewest = fewest_alarms(malignant, alarming, wanted)
    return *loosest(things, *fewest, target.tolerated_fp_per_scan), short


def _refuse_without_model(things: Things) -> None:
    has_finding = ~np.isnan(things.nodule_probability)
    if has_finding.any() and np.isnan(things.malignancy_probability).all():
        raise SettingError(
            value="none",
            place="malignancy probabilities of the validation part",
            rule="a target of malignant nodules needs a malignancy model",
            cure="Find again with a malignancy model, or choose a target of false positives.",
        )


def _in_words(target: Target, short: str, table: ConfusionTable) -> str:
    """The target, what is amiss, and what was reached, as one line."""
    shares = {
        "nodules found": table.nodule_sensitivity,
        "malignant nodules predicted so": table.malignant_sensitivity,
    }
    reached = [f"{share:.1%} of {name}" for name, share in shares.items() if share is not None]
    rates = {
        "false positives a scan": table.fp_per_scan,
        "false alarms a scan": table.false_alarms_per_scan,
    }
    reached += [f"{rate:.2f} {name}" for name, rate in rates.items() if rate is not None]
    amiss = f" ({short})" if short else ""
    num = f"{table.num_series} series of the validation part"
    return f"{target.in_words()}{amiss}; on {num}: {', '.join(reached) or 'nothing'}"
