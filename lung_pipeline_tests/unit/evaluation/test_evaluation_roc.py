# SPDX-License-Identifier: Apache-2.0
"""The table of roc_curve.py's docstring, worked by hand, and its edges."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lung_pipeline.errors import AnnotationError
from lung_pipeline.evaluation.detection.matching import (
    DOUBLE_HIT,
    EXCLUDED,
    FALSE_POSITIVE,
    HIT,
    Matches,
)
from lung_pipeline.evaluation.ranking.malignancy import (
    MalignancyRanking,
    RankedNodules,
    malignancy_ranking,
)
from lung_pipeline.evaluation.ranking.roc import (
    RankingFigures,
    nodule_ranking,
    ranking_difference,
    ranking_figures,
)
from lung_pipeline.evaluation.ranking.roc_curve import (
    MAX_POINTS,
    DrawnRanking,
    ranking_curve,
    thinned,
)
from lung_pipeline.learning.ranking import auc_by_bootstrap, auc_difference
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate

POSITIVE = np.array([True, False, True, False, False])
SCORES = np.array([0.9, 0.5, 0.4, 0.4, 0.1])
PATIENTS = np.array(list("PQRST"), dtype=object)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _study(num: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, two scores with ties, and patients of about three rows each."""
    rng = _rng(7)
    truth = rng.random(num) < 0.4
    one, other = (np.round(truth + rng.normal(0, 1, num), 1) for _ in range(2))
    return truth, one, other, rng.integers(0, num // 3, num)


def test_curve_of_the_docstrings_table() -> None:
    curve = ranking_curve(POSITIVE, SCORES)
    assert curve is not None
    assert curve.thresholds.tolist() == [math.inf, 0.9, 0.5, 0.4, 0.1]
    assert curve.tpr.tolist() == [0, 1 / 2, 1 / 2, 1, 1]
    assert curve.fpr == pytest.approx(np.array([0, 0, 1, 2, 3]) / 3)
    assert curve.precision == pytest.approx([1, 1, 1 / 2, 2 / 4, 2 / 5])


def test_figures_of_the_docstrings_table() -> None:
    figures = ranking_figures(POSITIVE, SCORES, PATIENTS, _rng())
    assert figures.roc_auc.value == pytest.approx(3 / 4)
    assert figures.average_precision.value == pytest.approx(3 / 4)
    assert (figures.num_positive, figures.num_negative, figures.num_patients) == (2, 3, 5)
    assert figures.share_positive == 2 / 5
    assert figures.roc[0] == (0, 0)
    assert figures.roc[-1] == (1, 1)
    assert figures.precision_recall == ((0, 1), (1 / 2, 1), (1 / 2, 1 / 2), (1, 1 / 2), (1, 2 / 5))


def test_tied_positive_and_negative_enter_together() -> None:
    curve = ranking_curve([True, False], [0.5, 0.5])
    assert curve is not None
    assert (curve.fpr.tolist(), curve.tpr.tolist()) == ([0, 1], [0, 1])


@pytest.mark.parametrize("labels", [[], [True], [False, False]])
def test_one_class_alone_has_neither_figure_nor_curve(labels: list[bool]) -> None:
    figures = ranking_figures(labels, [0.5] * len(labels), range(len(labels)), _rng())
    assert ranking_curve(labels, [0.5] * len(labels)) is None
    assert (figures.roc_auc, figures.average_precision) == (NOT_MEASURED, NOT_MEASURED)
    assert (figures.roc, figures.precision_recall, figures.roc_band) == ((), (), ())
    assert figures.num_positive + figures.num_negative == len(labels)


def test_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(AnnotationError, match="one score, a finite number"):
        ranking_figures([True, False], [0.5, math.nan], ["P", "Q"], _rng())


def test_band_of_positives_worked_out_by_hand() -> None:
    # Positives are 2, 2, 0, 0 and all negatives 1: below any negative the rate is the share of 2
    # among four drawn positives, binomial, 0 and 1 in 1/16 of the draws each, more than 2.5 %.
    truth = np.array([True] * 4 + [False] * 3)
    scores = np.array([2.0, 2.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    figures = ranking_figures(truth, scores, np.arange(7), _rng())
    assert figures.roc_band[0] == (0.0, 0.0, 1.0)
    # Between (0, share) and (1, share) it stays level; at 1 all is above the threshold.
    assert figures.roc_band[50] == (0.5, 0.0, 1.0)
    assert figures.roc_band[100] == (1.0, 1.0, 1.0)


def test_band_takes_the_higher_of_two_points_at_one_rate() -> None:
    # Each draw has ten negatives at ten scores, a positive just below each: at a rate of k/10 the
    # curve rises from k/10 - 1/10 to k/10, whatever 7 x .1 is rounded to.
    truth = np.tile([False, True], 10)
    figures = ranking_figures(truth, -np.arange(20.0), ["P", "P"] * 5 + ["Q", "Q"] * 5, _rng())
    assert all(high >= rate - 1e-9 for rate, _, high in figures.roc_band[::10])


def test_class_of_one_patient_has_figures_and_no_interval() -> None:
    figures = ranking_figures(POSITIVE, SCORES, ["P", "Q", "P", "R", "S"], _rng())
    assert figures.roc_auc == Estimate(pytest.approx(3 / 4), None, None)
    assert figures.average_precision.low is None
    assert figures.roc_band == ()
    assert len(figures.roc) == 5


def test_draws_in_which_a_class_is_missing_are_left_out() -> None:
    # Only P and Q have negatives, and all four patients have positives: a draw without P and Q
    # would have a perfect precision, and no false positive rate.
    truth = np.array([True, True, True, True, False, False])
    scores = np.array([3.0, 1.0, 4.0, 0.0, 2.0, 2.0])
    drawn = DrawnRanking.of(truth, scores, np.array([[0, 0, 2, 2, 0, 0], [1, 1, 1, 1, 1, 1]]))
    assert np.isnan(drawn.area).tolist() == [True, False]
    assert np.isnan(drawn.precision).tolist() == [True, False]
    assert np.isnan(drawn.tpr).all(axis=1).tolist() == [True, False]
    figures = ranking_figures(truth, scores, list("PQRSPQ"), _rng())
    assert figures.roc_band[100] == (1.0, 1.0, 1.0)


def test_interval_of_the_area_is_that_of_ranking() -> None:
    truth, one, other, patients = _study()
    figures = ranking_figures(truth, one, patients, _rng(3))
    known = auc_by_bootstrap(truth, one, patients, _rng(3))
    assert figures.roc_auc.value == known.value
    assert (figures.roc_auc.low, figures.roc_auc.high) == pytest.approx((known.low, known.high))
    difference = ranking_difference(truth, one, other, patients, _rng(3)).roc_auc
    known = auc_difference(truth, one, other, patients, _rng(3))
    assert difference.value == known.value
    assert (difference.low, difference.high) == pytest.approx((known.low, known.high))


def test_score_against_itself_differs_by_nothing() -> None:
    truth, one, _, patients = _study()
    difference = ranking_difference(truth, one, one, patients, _rng())
    assert difference.roc_auc == difference.average_precision == Estimate(0.0, None, None)


def test_paired_interval_is_narrower_than_two_side_by_side() -> None:
    truth, one, _, patients = _study(300)
    other = one + _rng(1).normal(0, 0.3, len(one))
    paired = ranking_difference(truth, one, other, patients, _rng()).average_precision
    alone = ranking_figures(truth, one, patients, _rng()).average_precision
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


def test_long_curve_is_thinned_and_keeps_its_ends() -> None:
    x = np.linspace(0, 1, 20_000)
    y = np.sqrt(x)
    kept = thinned(x, y)
    assert len(kept) <= MAX_POINTS
    assert (kept[0], kept[-1]) == ((0.0, 0.0), (1.0, 1.0))
    # No point left out is further along and up from the kept one before it than a step.
    before = np.searchsorted([point[0] for point in kept], x, side="right") - 1
    way = x - np.array(kept)[before, 0] + y - np.array(kept)[before, 1]
    assert way.max() <= 2 / (MAX_POINTS - 1) + 1e-9


def test_short_curve_keeps_every_point() -> None:
    # Uneven, so that even steps would leave some out.
    x = np.linspace(0, 1, MAX_POINTS) ** 3
    assert thinned(x, x) == tuple((value, value) for value in x.tolist())


def test_nodule_ranking_leaves_out_double_hits_and_excluded_marks() -> None:
    nothing = np.empty(0, dtype=np.int64)
    matches = Matches(
        nodule_score=np.array([0.9, 0.4, np.nan]),
        nodule_finding=np.array([0, 2, -1]),
        nodule_num_findings=np.array([2, 1, 0]),
        nodule_series=nothing,
        finding_fate=np.array([HIT, FALSE_POSITIVE, HIT, FALSE_POSITIVE, DOUBLE_HIT, EXCLUDED]),
        finding_score=np.array([0.9, 0.5, 0.4, 0.1, 0.99, 0.98]),
        finding_series=nothing,
        series_uids=(),
        silent_series_uids=(),
    )
    figures = nodule_ranking(matches, list("PQRSTU"), _rng())
    assert figures.roc_auc.value == 3 / 4
    assert (figures.num_positive, figures.num_negative, figures.num_patients) == (2, 2, 4)


def test_json_and_back_is_the_identity() -> None:
    truth, one, other, patients = _study()
    figures = ranking_figures(truth, one, patients, _rng())
    assert RankingFigures.from_json(json.loads(json.dumps(figures.as_json()))) == figures
    ranked = RankedNodules(truth, other, one, patients)
    for sample in (ranked, RankedNodules(truth, other, None, patients)):
        record = malignancy_ranking(sample)
        assert MalignancyRanking.from_json(json.loads(json.dumps(record.as_json()))) == record


def test_malignancy_stands_beside_the_diameter_on_the_same_draws() -> None:
    truth, one, diameter_mm, patients = _study()
    ranking = malignancy_ranking(RankedNodules(truth, diameter_mm, one, patients))
    metrics = ranking.metrics()
    assert ranking.model is not None
    model = ranking.model.average_precision.value
    floor = ranking.diameter.average_precision.value
    assert metrics["average_precision"] == model
    assert metrics["average_precision_of_diameter"] == floor
    assert metrics["average_precision_difference"] == pytest.approx(model - floor)
    assert metrics["average_precision_difference_low"] < model - floor


def test_without_a_model_only_the_diameter_is_ranked() -> None:
    truth, _, diameter_mm, patients = _study()
    ranking = malignancy_ranking(RankedNodules(truth, diameter_mm, None, patients))
    assert (ranking.model, ranking.difference) == (None, None)
    assert set(ranking.metrics()) == {
        "average_precision_of_diameter",
        "average_precision_of_diameter_low",
        "average_precision_of_diameter_high",
    }


@pytest.mark.parametrize(("num_positive", "num_negative"), [(4, 9), (7, 13)])
def test_perfect_ranking_has_no_interval_of_rounding_errors(
    num_positive: int, num_negative: int
) -> None:
    truth = np.arange(num_positive + num_negative) < num_positive
    scores = np.where(truth, 0.9, 0.1) + np.linspace(0, 0.05, len(truth))
    otherwise = np.where(truth, 0.9, 0.1) + np.linspace(0.05, 0, len(truth))
    patients = np.arange(len(truth))
    found = ranking_figures(truth, scores, patients, np.random.default_rng(20))
    assert found.roc_auc == Estimate(1.0, None, None)
    assert found.average_precision == Estimate(pytest.approx(1.0), None, None)
    less = ranking_difference(truth, scores, otherwise, patients, np.random.default_rng(20))
    assert less.average_precision == Estimate(pytest.approx(0.0), None, None)
