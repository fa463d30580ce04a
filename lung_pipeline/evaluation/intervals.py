# SPDX-License-Identifier: Apache-2.0
"""Figures with their 95 % intervals, patients (or whatever else is drawn) as the unit.

Belongs here: how sure a figure is. Does not belong here: what is counted (``readers.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.roc import roc_auc

CONFIDENCE = 0.95
"""Of an interval: the share of studies whose interval would hold the true figure."""

NUM_RESAMPLES = 2000
"""Bootstrap samples; for percentiles at least 1,000 are advised (B. Efron and R. Tibshirani,
An Introduction to the Bootstrap, 1993)."""

RESAMPLING_SEED = 20
"""Seeds the bootstrap where nothing else does, so that a scorecard can be made again."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval, with patients as the unit."""

    value: float | None
    """The figure, 0 to 1; None where there is nothing to measure it on."""

    low: float | None
    """Where the interval begins; None where none can be told."""

    high: float | None
    """Where it ends."""


NOT_MEASURED = Estimate(None, None, None)
"""Where there is nobody to measure on."""


def share_by_wilson(num: int, of: int) -> Estimate:
    """A share with E. B. Wilson's interval, which stays in [0, 1] and is none too narrow at 1."""
    if not of:
        return NOT_MEASURED
    from scipy.stats import binomtest

    interval = binomtest(num, of).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(num / of, float(interval.low), float(interval.high))


def auc_by_bootstrap(
    is_positive: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], rng: np.random.Generator
) -> Estimate:
    """The area under the ROC curve with a bootstrap interval, each class drawn for itself.

    Without that, a few of the samples of a small study hold one class alone and have no area.

    Args:
        is_positive: shape (n,).
        scores: shape (n,).
        rng: draws the samples.
    """
    area = roc_auc(is_positive, scores)
    # Sorted, so that the same patients in another order give the same draws.
    classes = np.sort(scores[is_positive]), np.sort(scores[~is_positive])
    if area is None or min(map(len, classes)) < 2:
        return Estimate(area, None, None)
    from scipy.stats import bootstrap

    interval = bootstrap(
        classes,
        _areas,
        n_resamples=NUM_RESAMPLES,
        batch=100,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=rng,  # called rng from SciPy 1.15 on, which knows both names
    ).confidence_interval
    if interval.low == interval.high:
        # Perfect ranking stays perfect in every draw: that is no proof of certainty.
        return Estimate(area, None, None)
    return Estimate(area, float(interval.low), float(interval.high))


def _areas(
    positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64], axis: int = -1
) -> npt.NDArray[np.float64]:
    """The areas of many samples at once, from the sum of the positives' ranks (Mann, Whitney)."""
    from scipy.stats import rankdata

    num_positive, num_negative = positive.shape[axis], negative.shape[axis]
    ranks = rankdata(np.concatenate([positive, negative], axis=axis), axis=axis)
    of_positive = np.take(ranks, range(num_positive), axis=axis).sum(axis=axis)
    wins = of_positive - num_positive * (num_positive + 1) / 2
    return wins / (num_positive * num_negative)
