# SPDX-License-Identifier: Apache-2.0
"""The points of an ROC and a precision-recall curve, of one sample or of many draws at once.

At a threshold, the true positive rate (recall) is the share of positives with at least that score,
the false positive rate the share of negatives, and precision the share of positives among all with
at least that score. A curve has one point for each distinct score: ties enter together. The area
under the ROC is that of straight lines between its points; average precision is the sum of steps,
without lines between (J. Davis and M. Goadrich, 2006, show why). Both are as scikit-learn has them.

A table worked by hand, two positives and three negatives:

    score   what it is             recall   false positive rate   precision
    0.9     positive               1/2      0                     1/1
    0.5     negative               1/2      1/3                   1/2
    0.4     positive, negative     2/2      2/3                   2/4
    0.1     negative               2/2      3/3                   2/5

    area 1/3 x 1/2 + 1/3 x 3/4 + 1/3 x 1 = 3/4; average precision 1/2 x 1 + 1/2 x 2/4 = 3/4.

Belongs here: arrays of rates. Does not belong here: figures, intervals and the record (``roc.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.learning.ranking import roc_auc

MAX_POINTS = 500
"""Of a curve in a record: on an ROC a point left out is then within .0041 of a kept one."""

BAND_RATES: npt.NDArray[np.float64] = np.linspace(0, 1, 101)
"""False positive rates at which the draws are held side by side."""

_A_HAIR = 1e-12
"""To the right of a rate: of two points at one rate the higher counts, whatever is rounded."""

_Floats = npt.NDArray[np.float64]
_Truth = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RankingCurve:
    """Both curves at all k distinct scores, from the strictest on; each of shape (k + 1,)."""

    thresholds: _Floats
    """The distinct scores, descending; the first is infinity: nothing counts."""

    fpr: _Floats
    """False positive rate, never falling, from 0 to 1."""

    tpr: _Floats
    """True positive rate, which is also recall, never falling, from 0 to 1."""

    precision: _Floats
    """Share of positives among what counts; 1 by convention where nothing does."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnRanking:
    """Figures of some draws at once; NaN where a draw lacks a class."""

    area: _Floats
    """Under the ROC curve, shape (draws,)."""

    precision: _Floats
    """Average precision, shape (draws,)."""

    tpr: _Floats
    """True positive rate at the rates of the band, shape (draws, rates)."""

    @classmethod
    def of(cls, truth: _Truth, scores: _Floats, times: npt.NDArray[np.int64]) -> DrawnRanking:
        """Measure draws, given as how often each row is in each, shape (draws, n)."""
        fpr, tpr, precision = _rates(truth, scores, times)
        area = np.asarray(np.trapezoid(tpr, fpr, axis=1))
        steps = (np.diff(tpr, axis=1) * precision[:, 1:]).sum(axis=1)
        rates = BAND_RATES + _A_HAIR
        at_rates = [np.interp(rates, along, up) for along, up in zip(fpr, tpr, strict=True)]
        # Without negatives precision would be perfect, and a rate of theirs is none.
        lacks_a_class = np.isnan(area)
        steps[lacks_a_class] = np.nan
        return cls(area, steps, np.where(lacks_a_class[:, None], np.nan, np.stack(at_rates)))


def ranking_curve(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> RankingCurve | None:
    """Both curves; arguments, ``None`` and errors are those of ``ranking.roc_auc``."""
    if roc_auc(is_positive, scores) is None:
        return None
    truth, ranked = np.asarray(is_positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    fpr, tpr, precision = _rates(truth, ranked, np.ones((1, len(truth)), dtype=np.int64))
    thresholds = np.append(np.inf, np.unique(ranked)[::-1])
    return RankingCurve(thresholds, fpr[0], tpr[0], precision[0])


def thinned(
    x: _Floats, y: _Floats, max_points: int = MAX_POINTS
) -> tuple[tuple[float, float], ...]:
    """A curve's points as pairs; of more than ``max_points`` those at even steps along it.

    A step goes along and up, its length being both together: so few points are left where thousands
    of negatives change next to nothing, and both ends are kept.
    """
    points = np.column_stack([x, y])
    if len(points) > max_points:
        way = np.append(0.0, np.cumsum(np.abs(np.diff(points, axis=0)).sum(axis=1)))
        kept = np.searchsorted(way, np.linspace(0, way[-1], max_points))
        points = points[np.unique(kept)]
    return tuple((float(one), float(other)) for one, other in points)


def _rates(
    truth: _Truth, scores: _Floats, times: npt.NDArray[np.int64]
) -> tuple[_Floats, _Floats, _Floats]:
    """False and true positive rate and precision of each draw, each of shape (draws, k + 1)."""
    order = np.argsort(-scores, kind="stable")
    # The last row of each group of equal scores: ties enter together.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    # 32 bits hold any count of rows, and half the memory is moved.
    counted = times[:, order].astype(np.int32)
    positives = np.cumsum(counted * truth[order], axis=1, dtype=np.int32)[:, last]
    negatives = np.cumsum(counted, axis=1, dtype=np.int32)[:, last] - positives
    start = ((0, 0), (1, 0))
    with np.errstate(invalid="ignore"):
        tpr, fpr = (np.pad(of / of[:, -1:], start) for of in (positives, negatives))
    above = positives + negatives
    # Above all that was drawn there is nothing to be precise about: its step has no width.
    precision = np.divide(positives, above, out=np.ones(above.shape), where=above > 0)
    return fpr, tpr, np.pad(precision, start, constant_values=1.0)
