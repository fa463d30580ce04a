# SPDX-License-Identifier: Apache-2.0
"""Precision, recall and F1 of a yes-or-no prediction, with the counts they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a prediction was right and wrong; adds up over batches with ``+``."""

    true_positive: int = 0
    """Positives that were found."""

    false_positive: int = 0
    """Negatives that were taken for positives."""

    false_negative: int = 0
    """Positives that were missed."""

    true_negative: int = 0
    """Negatives that were left alone."""

    @classmethod
    def of(cls, truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> Confusion:
        """Count over two arrays of booleans of one shape."""
        truth, predicted = truth.astype(bool), predicted.astype(bool)
        hit, alarm = int((truth & predicted).sum()), int((~truth & predicted).sum())
        positives = int(truth.sum())
        return cls(hit, alarm, positives - hit, truth.size - positives - alarm)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    @property
    def precision(self) -> float:
        """Share of predicted positives that are positive; 0 where nothing was predicted."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of positives that were found; 0 where there are none."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """Share of negatives that were left alone; 0 where there are none."""
        return _share(self.true_negative, self.true_negative + self.false_positive)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; the Dice coefficient, where voxels are counted."""
        doubled = 2 * self.true_positive
        return _share(doubled, doubled + self.false_positive + self.false_negative)

    def as_metrics(self, prefix: str) -> dict[str, float]:
        """Named numbers for a tracker."""
        return {
            f"{prefix}/precision": self.precision,
            f"{prefix}/recall": self.recall,
            f"{prefix}/specificity": self.specificity,
            f"{prefix}/f1": self.f1,
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
