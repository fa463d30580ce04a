# SPDX-License-Identifier: Apache-2.0
"""What an operating point is chosen for.

Belongs here: targets as values, checked at birth. Does not belong here: how one is met
(``thresholds.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.defaults import MAX_FP_PER_SCAN


@dataclass(frozen=True, slots=True)
class MaxFalsePositives:
    """At most so many false positives a scan, and with that the most nodules found.

    The malignancy threshold has no part in this; it is given.
    """

    fp_per_scan: float = MAX_FP_PER_SCAN
    """Non-nodules a scan that may pass as a nodule."""

    malignancy_threshold: float = 0.5
    """A nodule is predicted malignant from this probability on: of a calibrated probability, where
    malignant is as likely as benign."""

    def __post_init__(self) -> None:
        _check(self.fp_per_scan >= 0, self.fp_per_scan, "fp_per_scan must be 0 or more", "4")
        is_probability = 0 <= self.malignancy_threshold <= 1
        _check(is_probability, self.malignancy_threshold, "a threshold must be 0 to 1", "0.5")

    def in_words(self) -> str:
        """The target as the part of a sentence."""
        return f"at most {self.fp_per_scan:g} false positives a scan"


@dataclass(frozen=True, slots=True)
class MinMalignantSensitivity:
    """Of all malignant nodules at least this share found and predicted malignant.

    And with that the fewest false alarms: things that are not malignant, predicted malignant.
    """

    sensitivity: float = 0.95
    """Of all malignant nodules, those that are missed or filtered out included."""

    tolerated_fp_per_scan: float = MAX_FP_PER_SCAN
    """How far the nodule threshold is loosened where that costs no false alarm: to no more
    non-nodules a scan than these. The share of malignant nodules comes first."""

    def __post_init__(self) -> None:
        in_range = 0 < self.sensitivity <= 1
        _check(in_range, self.sensitivity, "sensitivity must be above 0 and at most 1", "0.95")
        tolerated = self.tolerated_fp_per_scan
        _check(tolerated >= 0, tolerated, "tolerated_fp_per_scan must be 0 or more", "4")

    def in_words(self) -> str:
        """The target as the part of a sentence."""
        return (
            f"at least {self.sensitivity:g} of all malignant nodules found and predicted "
            "malignant, with the fewest false alarms"
        )


Target: TypeAlias = MaxFalsePositives | MinMalignantSensitivity
"""Any of them."""


def _check(holds: bool, value: float, rule: str, example: str) -> None:
    if not holds:
        cure = f"Give a number such as {example}."
        raise SettingError(value=value, place="target of the operating point", rule=rule, cure=cure)


DEFAULT_TARGET: Target = MaxFalsePositives()
"""What thresholds are chosen for where nothing else is said."""
