# SPDX-License-Identifier: Apache-2.0
"""The table of calibration.py's docstring, worked by hand, and its edges."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lung_pipeline.errors import AnnotationError, ModelError
from lung_pipeline.evaluation.ranking.calibration import CalibrationFigures, calibration_figures
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate, draws_of_patients

TRUTH = [False, False, True, True, False]
PROBABILITY = [0.1, 0.3, 0.5, 0.7, 0.9]


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _figures(num_bins: int = 2) -> CalibrationFigures:
    return calibration_figures(TRUTH, PROBABILITY, list("PQRST"), _rng(), num_bins)


def test_figures_of_the_docstrings_table() -> None:
    figures = _figures()
    assert figures.ece == pytest.approx(0.14)
    assert figures.brier.value == pytest.approx(0.25)
    costs = -np.log([0.9, 0.7, 0.5, 0.7, 0.1])
    assert figures.log_loss == pytest.approx(costs.mean())
    assert (figures.num_positive, figures.num_negative) == (2, 3)


def test_upper_end_belongs_to_a_bin() -> None:
    first, second = _figures().bins
    assert (first.low, first.high, first.count) == (0.0, 0.5, 3)
    assert (second.low, second.high, second.count) == (0.5, 1.0, 2)
    assert first.mean_probability == pytest.approx(0.3)
    assert first.share_positive.value == pytest.approx(1 / 3)


def test_sure_probabilities_stand_in_the_outer_bins() -> None:
    figures = calibration_figures([False, True], [0.0, 1.0], ["P", "Q"], _rng())
    assert [one.count for one in figures.bins] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert (figures.ece, figures.ece_by_chance, figures.brier.value) == (0, 0, 0)


def test_empty_bin_has_nothing_to_tell() -> None:
    empty = calibration_figures(TRUTH, PROBABILITY, list("PQRST"), _rng(), 10).bins[1]
    assert (empty.count, empty.mean_probability) == (0, None)
    assert empty.share_positive == NOT_MEASURED


def test_sure_mistakes_are_the_worst_there_is() -> None:
    figures = calibration_figures([True, False], [0.0, 1.0], ["P", "Q"], _rng())
    assert (figures.ece, figures.brier.value) == (1, 1)
    assert figures.log_loss == pytest.approx((150 + 25) / 2 * math.log(2))


def test_error_by_chance_worked_out_by_hand() -> None:
    figures = calibration_figures([True, False], [0.2, 0.2], ["P", "Q"], _rng(), num_bins=1)
    # Two in one bin: both 1/25, one 8/25, none 16/25; distances .8, .3 and .2.
    expected = 0.8 / 25 + 0.3 * 8 / 25 + 0.2 * 16 / 25
    assert figures.ece_by_chance == pytest.approx(expected, abs=0.03)


def test_calibrated_probabilities_err_as_much_as_chance_has_it() -> None:
    def study(seed: int, times: float) -> CalibrationFigures:
        rng = _rng(seed)
        probability = rng.random(400)
        truth = rng.random(400) < probability
        logit = times * np.log(probability / (1 - probability))
        return calibration_figures(
            truth, 1 / (1 + np.exp(-logit)), np.arange(400), rng, num_resamples=1
        )

    right = [study(seed, 1.0) for seed in range(40)]
    by_chance = np.mean([figures.ece_by_chance for figures in right])
    assert np.mean([figures.ece for figures in right]) == pytest.approx(by_chance, rel=0.1)
    too_sure = study(0, 4.0)
    assert too_sure.ece > 3 * too_sure.ece_by_chance


def test_patients_and_not_nodules_are_drawn() -> None:
    # Of two patients with a hundred positives each, one is known and one is not: the share of
    # positives among them stays 1, and the Brier score swings from 0 to 1 with them.
    truth = np.array([True] * 200 + [False] * 2)
    probability = np.array([1.0] * 100 + [0.0] * 102)
    patients = ["P"] * 100 + ["Q"] * 100 + ["R", "S"]
    brier = calibration_figures(truth, probability, patients, _rng()).brier
    assert brier.value == pytest.approx(100 / 202)
    assert (brier.low, brier.high) == (0.0, pytest.approx(200 / 202))


def test_share_of_a_bin_swings_with_its_patients() -> None:
    # The bin holds one positive and one negative of other patients: draws have 0, 1 or none.
    first, second = _figures().bins
    assert second.share_positive == Estimate(0.5, 0.0, 1.0)
    assert first.share_positive.low == 0.0


def test_intervals_are_those_of_samples_drawn_and_measured_one_by_one() -> None:
    rng = _rng(3)
    probability, patients = rng.random(30), rng.integers(0, 9, 30)
    truth = rng.random(30) < 0.5
    figures = calibration_figures(truth, probability, patients, _rng(1), 4, 200)
    scores: list[float] = []
    shares: list[list[float]] = [[], [], [], []]
    for times in draws_of_patients(truth, patients, _rng(1), 200):
        for drawn in times:
            rows = np.repeat(np.arange(30), drawn)
            scores.append(float(np.mean((probability[rows] - truth[rows]) ** 2)))
            for k, one in enumerate(shares):
                inside = rows[(probability[rows] > k / 4) & (probability[rows] <= (k + 1) / 4)]
                # A draw with nothing in the bin says nothing of it.
                one.extend([float(truth[inside].mean())] if len(inside) else [])
    assert (figures.brier.low, figures.brier.high) == pytest.approx(_percentiles(scores))
    for told, one in zip(figures.bins, shares, strict=True):
        ends = told.share_positive.low, told.share_positive.high
        assert ends == pytest.approx(_percentiles(one))
    assert min(map(len, shares)) < len(scores)


def _percentiles(drawn: list[float]) -> tuple[float, float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def test_nothing_at_all_leaves_every_figure_unknown() -> None:
    figures = calibration_figures([], [], [], _rng())
    assert (figures.ece, figures.ece_by_chance, figures.log_loss) == (None, None, None)
    assert figures.brier == NOT_MEASURED
    assert [one.count for one in figures.bins] == [0] * 10


def test_one_class_has_figures_and_no_interval() -> None:
    figures = calibration_figures([True, True], [0.9, 0.7], ["P", "Q"], _rng())
    assert figures.brier == Estimate(pytest.approx(0.05), None, None)


@pytest.mark.parametrize("spoilt", [math.nan, 1.1, -0.1, math.inf])
def test_what_is_no_probability_is_refused(spoilt: float) -> None:
    with pytest.raises(ModelError, match=r"probability 1 .*between 0 and 1"):
        calibration_figures([True, False], [0.5, spoilt], ["P", "Q"], _rng())


def test_sample_without_a_probability_is_refused() -> None:
    with pytest.raises(AnnotationError, match="got 1 for 2"):
        calibration_figures([True, False], [0.5], ["P", "Q"], _rng())


def test_order_of_the_rows_is_irrelevant() -> None:
    rng = _rng(2)
    probability, patients = rng.random(60), rng.integers(0, 20, 60)
    truth = rng.random(60) < probability
    order = rng.permutation(60)
    one = calibration_figures(truth, probability, patients, _rng())
    other = calibration_figures(truth[order], probability[order], patients[order], _rng())
    assert list(one.metrics().values()) == pytest.approx(list(other.metrics().values()))


def test_json_and_back_is_the_identity() -> None:
    figures = _figures(10)
    assert CalibrationFigures.from_json(json.loads(json.dumps(figures.as_json()))) == figures


def test_metrics_for_a_tracker_have_these_names() -> None:
    assert set(_figures().metrics()) == {
        "ece",
        "ece_by_chance",
        "brier",
        "brier_low",
        "brier_high",
        "log_loss",
    }
