# SPDX-License-Identifier: Apache-2.0
"""Precision, recall and F1 of a yes-or-no prediction, with the counts they come from.

Belongs here: figures of arrays of labels and probabilities, by flat names for a tracker. Does not
belong here: who predicts, and what a voxel is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import AnnotationError, ModelError

SMALLEST_PROBABILITY = 1e-7
"""Of the true class, in the loss: a sure mistake costs 16, and not the infinity that ends all."""


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
    def of_negatives(self) -> Confusion:
        """The same predictions, with the negatives as what is looked for."""
        return Confusion(
            self.true_negative, self.false_negative, self.false_positive, self.true_positive
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


def two_class_metrics(
    labels: npt.NDArray[Any],
    probability: npt.NDArray[Any],
    names: tuple[str, str] = ("non-nodule", "nodule"),
    prefix: str = "validation",
    threshold: float = 0.5,
) -> dict[str, float]:
    """The figures of a two-class prediction, for both classes apart and for both together.

    ``{prefix}/{name}/`` has recall, precision, f1, correct, total and loss of each class, and
    ``{prefix}/`` has loss (the mean of both classes' losses: negatives are hundreds to one, and
    would be all that is judged), pr_auc (average precision) and roc_auc. What does not exist where
    a class has no sample is left out: its loss, and both areas.

    Args:
        labels: 0 or 1, shape (n,).
        probability: of class 1, shape (n,).
        names: of class 0 and class 1.
        prefix: before each name.
        threshold: from this probability on a sample counts as of class 1.

    Raises:
        AnnotationError: there is no sample.
        ModelError: a probability is NaN or outside [0, 1].
    """
    is_positive = np.asarray(labels).astype(bool)
    probability = np.asarray(probability, dtype=np.float64)
    _refuse_unfit(is_positive, probability, prefix)
    counts = Confusion.of(is_positive, probability >= threshold)
    losses = _losses(is_positive, probability)
    figures = {f"{prefix}/loss": float(np.mean([loss for loss in losses if loss is not None]))}
    if len(np.unique(is_positive)) == 2:
        figures |= _areas(is_positive, probability, prefix)
    for name, of_class, loss in zip(names, (counts.of_negatives, counts), losses, strict=True):
        figures |= _class_figures(of_class, loss, f"{prefix}/{name}")
    return figures


def _class_figures(of_class: Confusion, loss: float | None, prefix: str) -> dict[str, float]:
    figures = {
        "recall": of_class.recall,
        "precision": of_class.precision,
        "f1": of_class.f1,
        "correct": float(of_class.true_positive),
        "total": float(of_class.true_positive + of_class.false_negative),
    }
    if loss is not None:
        figures["loss"] = loss
    return {f"{prefix}/{name}": value for name, value in figures.items()}


def _losses(
    is_positive: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]
) -> list[float | None]:
    """The mean cross entropy of class 0 and of class 1; None for a class without samples."""
    of_truth = np.where(is_positive, probability, 1 - probability)
    costs = -np.log(of_truth.clip(SMALLEST_PROBABILITY, 1.0))
    return [
        float(costs[chosen].mean()) if chosen.any() else None
        for chosen in (~is_positive, is_positive)
    ]


def _areas(
    is_positive: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64], prefix: str
) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        f"{prefix}/pr_auc": float(average_precision_score(is_positive, probability)),
        f"{prefix}/roc_auc": float(roc_auc_score(is_positive, probability)),
    }


def _refuse_unfit(
    is_positive: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64], prefix: str
) -> None:
    if len(is_positive) == 0:
        raise AnnotationError(
            value="no sample",
            place=f"{prefix} samples",
            rule="there must be at least one to judge a model by",
            cure="Add subsets, or check the ratings and the split.",
        )
    # Asked this way round, because NaN is in no range.
    unfit = ~((probability >= 0) & (probability <= 1))
    if unfit.any():
        raise ModelError(
            value=probability[unfit][0],
            place=f"probability of {prefix} sample {int(np.argmax(unfit))}",
            rule="a probability must lie between 0 and 1",
            cure="Lower the learning rate, or look for broken samples.",
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
