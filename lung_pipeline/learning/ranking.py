# SPDX-License-Identifier: Apache-2.0
"""How well a score ranks positives above negatives, how sure that is, and against what ruler.

Every figure about malignancy must be read against that of the nodule's diameter, which anyone can
measure: this module ranks by both on the same nodules and tells the difference with its interval.

Belongs here: figures of ranking, for training and for evaluation alike; no torch. Does not belong
here: counts at a threshold (``metrics.py``), which patients are drawn (``resampling.py``), and
detection (``evaluation/detection/froc.py``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import AnnotationError
from lung_pipeline.learning.resampling import (
    NOT_MEASURED,
    NUM_RESAMPLES,
    Estimate,
    draws_of_patients,
    percentile_estimate,
)

RANGE_MM = (6.0, 20.0)
"""Diameters at which size does not decide: of LUNA16's 1,182 rated nodules, by the default rule,
22 of 502 are malignant below it, 310 of 631 in it, and 46 of 49 above it."""

NUM_RESAMPLES_IN_TRAINING = 1000
"""The fewest that are advised, since each epoch draws them anew."""


def roc_auc(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Area under the ROC curve: the chance that a positive ranks above a negative, ties half.

    Args:
        is_positive: shape (n,), True or 1 for positive.
        scores: shape (n,), any order-preserving number.

    Returns:
        The area, 0 to 1; None where only one class, or nothing, is there to rank.

    Raises:
        AnnotationError: a score that is no finite number.
    """
    truth, ranked = _one_for_each(is_positive, scores)
    if truth.all() or not truth.any():
        return None
    return float(_areas(truth, ranked, np.ones((1, len(truth)), dtype=np.int64))[0])


def pr_auc(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Area under the precision-recall curve as average precision, which does not interpolate.

    A score that knows nothing has the share of positives, not 0.5. Arguments, ``None`` and errors
    are those of ``roc_auc``.
    """
    truth, ranked = _one_for_each(is_positive, scores)
    if truth.all() or not truth.any():
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, ranked))


def auc_by_bootstrap(
    is_positive: npt.ArrayLike,
    scores: npt.ArrayLike,
    patient_ids: npt.ArrayLike,
    rng: np.random.Generator,
) -> Estimate:
    """The area under the ROC curve with the percentile interval of a bootstrap over patients.

    Args:
        is_positive: shape (n,).
        scores: shape (n,).
        patient_ids: shape (n,), whose each one is.
        rng: draws the samples.

    Returns:
        The area; without an interval where a class is of fewer than two patients, or all draws
        rank alike.

    Raises:
        AnnotationError: a score that is no finite number.
    """
    truth, ranked = _one_for_each(is_positive, scores)
    area = roc_auc(truth, ranked)
    if area is None:
        return NOT_MEASURED
    draws = [_areas(truth, ranked, times) for times in draws_of_patients(truth, patient_ids, rng)]
    return percentile_estimate(area, draws)


def auc_difference(
    is_positive: npt.ArrayLike,
    scores: npt.ArrayLike,
    ruler: npt.ArrayLike,
    patient_ids: npt.ArrayLike,
    rng: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> Estimate:
    """By how much the area of ``scores`` exceeds that of ``ruler``, both on the same draws.

    The two agree on most nodules, so the interval of their difference is far narrower than two
    intervals side by side would suggest. All else is as in ``auc_by_bootstrap``.
    """
    truth, ranked = _one_for_each(is_positive, scores)
    _, measured = _one_for_each(truth, ruler)
    area, floor = roc_auc(truth, ranked), roc_auc(truth, measured)
    if area is None or floor is None:
        return NOT_MEASURED
    draws = [
        _areas(truth, ranked, times) - _areas(truth, measured, times)
        for times in draws_of_patients(truth, patient_ids, rng, num_resamples)
    ]
    return percentile_estimate(area - floor, draws)


def ruler_metrics(
    is_malignant: npt.ArrayLike,
    diameter_mm: npt.ArrayLike,
    probability: npt.ArrayLike,
    patient_ids: npt.ArrayLike,
    rng: np.random.Generator,
    prefix: str = "validation",
) -> dict[str, float]:
    """A malignancy model beside the ruler, named for a tracker; what is not known is left out.

    Args:
        is_malignant: shape (n,), of rated nodules alone.
        diameter_mm: shape (n,), of the readers' mark.
        probability: shape (n,), the model's.
        patient_ids: shape (n,).
        rng: draws the samples of the interval.
        prefix: before each name.

    Raises:
        AnnotationError: a diameter or probability that is no finite number.
    """
    difference = auc_difference(
        is_malignant, probability, diameter_mm, patient_ids, rng, NUM_RESAMPLES_IN_TRAINING
    )
    figures = {
        "roc_auc": roc_auc(is_malignant, probability),
        "auc_of_diameter": roc_auc(is_malignant, diameter_mm),
        **difference.metrics("auc_difference"),
    }
    return {f"{prefix}/{name}": value for name, value in figures.items() if value is not None}


def _one_for_each(
    is_positive: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    truth, ranked = np.asarray(is_positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    if truth.shape != ranked.shape or not np.isfinite(ranked).all():
        raise AnnotationError(
            value=f"{np.isfinite(ranked).sum()} for {truth.size}",
            place="scores to rank",
            rule="each nodule must have one score, a finite number",
            cure="Leave out nodules without a score, or look for what spoilt it.",
        )
    return truth, ranked


def _areas(
    truth: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], times: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The areas of many samples at once, NaN where a sample lacks a class.

    A positive wins against the negatives below it and half of those level with it (H. Mann and
    D. Whitney, 1947); sums along the sorted negatives count them for all samples.

    Args:
        truth: shape (n,).
        scores: shape (n,).
        times: how often each row is in a sample, shape (samples, n).

    Returns:
        Shape (samples,).
    """
    of_positive, of_negative = times[:, truth], times[:, ~truth]
    order = np.argsort(scores[~truth])
    ranked = scores[~truth][order]
    up_to = np.pad(np.cumsum(of_negative[:, order], axis=1), ((0, 0), (1, 0)))
    below = up_to[:, np.searchsorted(ranked, scores[truth], side="left")]
    not_above = up_to[:, np.searchsorted(ranked, scores[truth], side="right")]
    wins = (of_positive * (below + not_above)).sum(axis=1) / 2
    pairs = of_positive.sum(axis=1) * of_negative.sum(axis=1)
    return np.divide(wins, pairs, out=np.full(len(times), np.nan), where=pairs > 0)
