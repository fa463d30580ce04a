# SPDX-License-Identifier: Apache-2.0
"""How well a score ranks, as a record: both curves, their areas, and intervals over patients.

What the curves are, with a table worked by hand, stands in ``roc_curve.py``. All that is about
malignancy is to be read beside the same of the diameter: ``malignancy.py`` does that.

Belongs here: figures of ranking with their intervals. Does not belong here: who is drawn
(``learning/resampling.py``), FROC, and probabilities taken at their word (``calibration.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.detection.matching import FALSE_POSITIVE, HIT, Matches
from lung_pipeline.evaluation.ranking.roc_curve import (
    BAND_RATES,
    DrawnRanking,
    ranking_curve,
    thinned,
)
from lung_pipeline.learning.ranking import pr_auc, roc_auc
from lung_pipeline.learning.resampling import (
    CONFIDENCE,
    NOT_MEASURED,
    NUM_RESAMPLES,
    Estimate,
    draws_of_patients,
    percentile_estimate,
)

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankingFigures:
    """How well a score ranks, as a record; what a class is missing for is unknown or empty."""

    roc_auc: Estimate
    """Area under the ROC curve; 0.5 where nothing is known."""

    average_precision: Estimate
    """Area under the precision-recall curve in steps; the share of positives where nothing is
    known."""

    num_positive: int
    """How many are to be ranked above."""

    num_negative: int
    """How many are to be ranked below."""

    num_patients: int
    """Patients they are of."""

    roc: tuple[tuple[float, float], ...]
    """Pairs of false and true positive rate, from (0, 0) to (1, 1), at most ``MAX_POINTS``."""

    precision_recall: tuple[tuple[float, float], ...]
    """Pairs of recall and precision, from (0, 1) to recall 1, at most ``MAX_POINTS``."""

    roc_band: tuple[tuple[float, float, float], ...]
    """Triples of a false positive rate and the ends of the 95 % interval of the true positive rate
    there, each rate by itself; empty where a class is of fewer than two patients."""

    @property
    def share_positive(self) -> float | None:
        """The average precision of a score that knows nothing."""
        num = self.num_positive + self.num_negative
        return self.num_positive / num if num else None

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RankingFigures:
        """The figures as they were before ``as_json``; ``KeyError`` or ``TypeError`` if not."""
        estimates = ("roc_auc", "average_precision")
        curves = ("roc", "precision_recall", "roc_band")
        return cls(
            **{
                **record,
                **{name: Estimate(**record[name]) for name in estimates},
                **{name: tuple(map(tuple, record[name])) for name in curves},
            }
        )

    def metrics(self) -> dict[str, float | None]:
        """Flat names; an interval's ends are ``_low`` and ``_high``."""
        return {
            **self.roc_auc.metrics("roc_auc"),
            **self.average_precision.metrics("average_precision"),
            "num_positive": self.num_positive,
            "num_negative": self.num_negative,
            "num_patients": self.num_patients,
        }


@dataclass(frozen=True, slots=True)
class RankingDifference:
    """A score's figures less a ruler's, on the same rows and the same draws."""

    roc_auc: Estimate
    """Of the areas under the ROC curve."""

    average_precision: Estimate
    """Of the average precisions."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RankingDifference:
        """The difference as ``asdict`` gave it; ``KeyError`` or ``TypeError`` if not."""
        return cls(Estimate(**record["roc_auc"]), Estimate(**record["average_precision"]))


def ranking_figures(
    is_positive: npt.ArrayLike,
    scores: npt.ArrayLike,
    patient_ids: npt.ArrayLike,
    rng: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> RankingFigures:
    """The figures of a score; the order of the rows does not matter.

    Args:
        is_positive: shape (n,).
        scores: shape (n,), probabilities or any order-preserving number.
        patient_ids: shape (n,), whose each one is.
        rng: draws the patients; one of the same seed gives two scores the same draws.
        num_resamples: how many draws.

    Raises:
        AnnotationError: a score that is no finite number.
    """
    curve = ranking_curve(is_positive, scores)
    truth, ranked = np.asarray(is_positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    draws = draws_of_patients(truth, patient_ids, rng, num_resamples)
    drawn = [DrawnRanking.of(truth, ranked, times) for times in draws]
    return RankingFigures(
        roc_auc=_estimate(roc_auc(truth, ranked), [one.area for one in drawn]),
        average_precision=_estimate(pr_auc(truth, ranked), [one.precision for one in drawn]),
        num_positive=int(truth.sum()),
        num_negative=int((~truth).sum()),
        num_patients=len(np.unique(np.asarray(patient_ids))),
        roc=() if curve is None else thinned(curve.fpr, curve.tpr),
        precision_recall=() if curve is None else thinned(curve.tpr, curve.precision),
        roc_band=_band([one.tpr for one in drawn]),
    )


def ranking_difference(
    is_positive: npt.ArrayLike,
    scores: npt.ArrayLike,
    ruler: npt.ArrayLike,
    patient_ids: npt.ArrayLike,
    rng: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> RankingDifference:
    """By how much ``scores`` ranks better than ``ruler``; all else is as in ``ranking_figures``."""
    areas = [roc_auc(is_positive, ranked) for ranked in (scores, ruler)]
    precisions = [pr_auc(is_positive, ranked) for ranked in (scores, ruler)]
    truth = np.asarray(is_positive, dtype=bool)
    both = [np.asarray(ranked, dtype=np.float64) for ranked in (scores, ruler)]
    drawn = [
        [DrawnRanking.of(truth, ranked, times) for ranked in both]
        for times in draws_of_patients(truth, patient_ids, rng, num_resamples)
    ]
    return RankingDifference(
        roc_auc=_estimate(_less(*areas), [one.area - other.area for one, other in drawn]),
        average_precision=_estimate(
            _less(*precisions), [one.precision - other.precision for one, other in drawn]
        ),
    )


def nodule_ranking(
    matches: Matches, patient_ids: npt.ArrayLike, rng: np.random.Generator
) -> RankingFigures:
    """How well the nodule probability ranks findings on nodules above false positives.

    Nodules without a finding have no probability and are not ranked: that they were missed is told
    by FROC. Double hits and findings on excluded marks count neither way.

    Args:
        matches: fates of the findings.
        patient_ids: whose each finding is, shape (findings,).
        rng: draws the patients.
    """
    is_ranked = np.isin(matches.finding_fate, (HIT, FALSE_POSITIVE))
    return ranking_figures(
        matches.finding_fate[is_ranked] == HIT,
        matches.finding_score[is_ranked],
        np.asarray(patient_ids)[is_ranked],
        rng,
    )


def _estimate(value: float | None, drawn: list[_Floats]) -> Estimate:
    return NOT_MEASURED if value is None else percentile_estimate(value, drawn)


def _less(value: float | None, ruler: float | None) -> float | None:
    return None if value is None or ruler is None else value - ruler


def _band(drawn: list[_Floats]) -> tuple[tuple[float, float, float], ...]:
    """The percentiles of the true positive rate at each rate, draws that lack a class left out."""
    tpr = np.concatenate([np.empty((0, len(BAND_RATES))), *drawn])
    tpr = tpr[np.isfinite(tpr).all(axis=1)]
    if not len(tpr):
        return ()
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(tpr, [tail, 1 - tail], axis=0)
    return tuple(zip(BAND_RATES.tolist(), low.tolist(), high.tolist(), strict=True))
