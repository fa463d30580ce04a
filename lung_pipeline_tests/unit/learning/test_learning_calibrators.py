# SPDX-License-Identifier: Apache-2.0
"""Calibrators worked out by hand, what they refuse, and when none is fitted."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lung_pipeline.errors import AnnotationError, ModelError, SettingError, StoreError
from lung_pipeline.learning.calibrating import fit_calibrator, log_loss
from lung_pipeline.learning.calibrators import (
    Identity,
    Isotonic,
    Temperature,
    calibrator_from_json,
)

EVERY = [Identity("why"), Temperature(2.5, "how"), Isotonic(((0.1, 0.0), (0.6, 0.5)), "how")]


def _too_sure(num: int = 2000, times: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Truths drawn from probabilities, and these with their logit so many times too far out."""
    rng = np.random.default_rng(8)
    logit = rng.normal(0, 1.5, num)
    return rng.random(num) < 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-times * logit))


def test_temperature_divides_the_odds_in_their_logarithm() -> None:
    # Odds of 9 to 1 become 3 to 1 at a temperature of 2.
    assert Temperature(2.0).apply([0.9, 0.5, 0.1]) == pytest.approx([0.75, 0.5, 0.25])


def test_isotonic_goes_straight_from_knot_to_knot_and_level_beyond() -> None:
    calibrator = Isotonic(((0.2, 0.1), (0.4, 0.5), (0.8, 0.5)))
    given = [0.0, 0.2, 0.3, 0.4, 0.6, 1.0]
    assert calibrator.apply(given) == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.5, 0.5])


def test_temperature_of_odds_worked_out_by_hand() -> None:
    # Of those said to be .9, three in four are so: the odds 9 must become 3, at temperature 2.
    truth = np.tile([True, True, True, False], 10)
    fitted = fit_calibrator("temperature", truth, np.full(40, 0.9))
    assert isinstance(fitted, Temperature)
    assert fitted.temperature == pytest.approx(2.0, abs=1e-4)
    assert fitted.how == "fitted on 30 positive and 10 negative samples"


def test_temperature_that_was_put_in_comes_out() -> None:
    fitted = fit_calibrator("temperature", *_too_sure(20_000))
    assert isinstance(fitted, Temperature)
    assert fitted.temperature == pytest.approx(3.0, abs=0.1)


def test_isotonic_pools_neighbours_in_the_wrong_order() -> None:
    # 100 each, of which 0, 30, 10 and 90 are positive: the two in the middle become 20 %.
    truth = np.concatenate([np.arange(100) < num for num in (0, 30, 10, 90)])
    fitted = fit_calibrator("isotonic", truth, np.repeat([0.1, 0.2, 0.5, 0.8], 100))
    assert isinstance(fitted, Isotonic)
    assert fitted.apply([0.1, 0.2, 0.5, 0.8]) == pytest.approx([0.0, 0.2, 0.2, 0.9])


@pytest.mark.parametrize(("kind", "fewest"), [("temperature", 10), ("isotonic", 50)])
def test_too_few_of_a_class_leave_all_as_it_is_and_say_so(kind: str, fewest: int) -> None:
    truth, given = np.arange(2 * fewest) < fewest, np.linspace(0.9, 0.1, 2 * fewest)
    assert fit_calibrator(kind, truth, given).kind == kind
    for of_rest in (truth, ~truth):
        left_alone = fit_calibrator(kind, of_rest[1:], given[1:])
        assert isinstance(left_alone, Identity)
        assert f"'{kind}' needs {fewest} of each" in left_alone.how
        assert left_alone.apply(given).tolist() == given.tolist()


def test_no_sample_at_all_leaves_all_as_it_is() -> None:
    assert "0 positive and 0 negative" in fit_calibrator("temperature", [], []).how


def test_perfect_ranking_stops_at_the_end_of_the_range() -> None:
    truth = np.arange(40) < 20
    fitted = fit_calibrator("temperature", truth, np.where(truth, 0.6, 0.4))
    assert isinstance(fitted, Temperature)
    assert fitted.temperature == pytest.approx(0.2, abs=1e-4)
    assert "at an end of the range searched" in fitted.how


def test_reversed_ranking_is_not_turned_round() -> None:
    truth = np.arange(40) < 20
    fitted = fit_calibrator("temperature", truth, np.where(truth, 0.4, 0.6))
    assert isinstance(fitted, Temperature)
    assert fitted.temperature == pytest.approx(20, abs=1e-2)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_probabilities_of_exactly_0_and_1_do_not_break_a_fit(kind: str) -> None:
    truth, given = _too_sure()
    given[:50], given[50:100] = 0.0, 1.0
    fitted = fit_calibrator(kind, truth, given)
    applied = fitted.apply(given)
    assert np.isfinite(applied).all()
    before, after = log_loss(truth, given), log_loss(truth, applied)
    assert before is not None
    assert after is not None
    assert after < before
    assert math.isfinite(before)


def test_sure_answers_stay_at_the_ends_and_are_less_sure() -> None:
    lowest, highest = Temperature(5.0).apply([0.0, 1.0])
    assert lowest == pytest.approx(2.0**-30)
    assert highest == pytest.approx(1 - 2.0**-5, abs=1e-3)


def test_any_shape_comes_back_in_its_shape() -> None:
    for calibrator in EVERY:
        assert calibrator.apply(np.full((2, 3), 0.3)).shape == (2, 3)
        assert calibrator.apply(0.3).shape == ()


def test_applying_leaves_what_was_given_alone() -> None:
    for calibrator in EVERY:
        given = np.array([0.2, 0.7])
        calibrator.apply(given)[:] = 0
        assert given.tolist() == [0.2, 0.7]


@pytest.mark.parametrize("calibrator", EVERY)
def test_json_and_back_is_the_identity(calibrator: Identity | Temperature | Isotonic) -> None:
    record = json.loads(json.dumps(calibrator.as_json()))
    assert calibrator_from_json(record) == calibrator


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "platt"},
        {"kind": "temperature"},
        {"kind": "temperature", "temperature": 0.0},
        {"kind": "temperature", "temperature": "hot"},
        {"kind": "temperature", "temperature": 2.0, "pressure": 1.0},
        {"kind": "isotonic", "knots": []},
        {"kind": "isotonic", "knots": [[0.1, 0.5], [0.1, 0.6]]},
        {"kind": "isotonic", "knots": [[0.1, 0.5], [0.2, 0.4]]},
        {"kind": "isotonic", "knots": [[0.1, 0.5], [0.2, 1.4]]},
        {"kind": "isotonic", "knots": [[0.1, 0.5, 0.6]]},
        {"kind": "isotonic", "knots": 3},
    ],
)
def test_record_that_is_no_calibrator_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(StoreError, match="one of identity, temperature, isotonic"):
        calibrator_from_json(record)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(SettingError, match="above 0"):
        Temperature(temperature)


def test_calibrator_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingError, match="identity, temperature, isotonic, got 'platt'"):
        fit_calibrator("platt", [True], [0.5])


@pytest.mark.parametrize("spoilt", [math.nan, 1.5, -0.5])
def test_what_is_no_probability_is_refused(spoilt: float) -> None:
    for calibrator in EVERY:
        with pytest.raises(ModelError, match="between 0 and 1"):
            calibrator.apply([0.5, spoilt])
    with pytest.raises(ModelError, match="between 0 and 1"):
        fit_calibrator("temperature", [True, False], [0.5, spoilt])


def test_sample_without_a_probability_is_refused() -> None:
    with pytest.raises(AnnotationError, match="got 1 for 2"):
        fit_calibrator("temperature", [True, False], [0.5])


def test_identity_is_what_it_says() -> None:
    assert fit_calibrator("identity", [True], [0.5]) == Identity("not calibrated")
