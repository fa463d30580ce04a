# SPDX-License-Identifier: Apache-2.0
"""Ranking beside the ruler, worked out by hand.

    nodule   patient   malignant   model   diameter
    a        P         yes         0.9     8
    b        Q         yes         0.4     12
    c        Q         no          0.5     6
    d        R         no          0.2     8
    e        S         no          0.1     5

Of six pairs the model wins five (b loses to c), the diameter wins five and ties one (a and d).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from lung_pipeline.errors import AnnotationError
from lung_pipeline.learning.ranking import (
    auc_by_bootstrap,
    auc_difference,
    pr_auc,
    roc_auc,
    ruler_metrics,
)
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate, draws_of_patients

MALIGNANT = np.array([True, True, False, False, False])
MODEL = np.array([0.9, 0.4, 0.5, 0.2, 0.1])
DIAMETER_MM = np.array([8.0, 12.0, 6.0, 8.0, 5.0])
PATIENTS = np.array(["P", "Q", "Q", "R", "S"], dtype=object)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_auc_counts_pairs_and_half_of_ties() -> None:
    assert roc_auc(MALIGNANT, MODEL) == pytest.approx(5 / 6)
    assert roc_auc(MALIGNANT, DIAMETER_MM) == pytest.approx(5.5 / 6)
    assert roc_auc([1, 1, 0, 0], [3, 1, 1, 0]) == pytest.approx((3 + 0.5) / 4)


def test_pr_auc_is_the_mean_precision_at_each_positive() -> None:
    # The positives come first and third.
    assert pr_auc(MALIGNANT, MODEL) == pytest.approx((1 / 1 + 2 / 3) / 2)


@pytest.mark.parametrize("labels", [[], [True], [False, False]])
def test_one_class_alone_has_no_figure(labels: list[bool]) -> None:
    scores = [0.5] * len(labels)
    assert roc_auc(labels, scores) is None
    assert pr_auc(labels, scores) is None
    assert auc_by_bootstrap(labels, scores, range(len(labels)), _rng()) == NOT_MEASURED
    assert auc_difference(labels, scores, scores, range(len(labels)), _rng()) == NOT_MEASURED
    assert ruler_metrics(labels, scores, scores, range(len(labels)), _rng()) == {}


@pytest.mark.parametrize("spoilt", [[0.1, math.nan], [0.1, math.inf], [0.1], [0.1, 0.2, 0.3]])
def test_nodule_without_its_finite_score_is_refused(spoilt: list[float]) -> None:
    labels, sound = [True, False], [1.0, 2.0]
    for figure in (roc_auc, pr_auc):
        with pytest.raises(AnnotationError, match=r"one score, a finite number, got . for 2"):
            figure(labels, spoilt)
    for scores, ruler in ((spoilt, sound), (sound, spoilt)):
        with pytest.raises(AnnotationError, match="one score"):
            auc_difference(labels, scores, ruler, ["P", "Q"], _rng())


def test_difference_is_that_of_the_two_areas() -> None:
    difference = auc_difference(MALIGNANT, MODEL, DIAMETER_MM, PATIENTS, _rng())
    assert difference.value == pytest.approx(-0.5 / 6)
    # Of P and Q a draw has two, and two of R and S. Q twice (1/4 of the draws): b loses to c and
    # beats the others, its size beats all: 1/2 - 1. P twice and R twice (1/16): 1 - 1/2.
    assert (difference.low, difference.high) == (-0.5, 0.5)


def test_metrics_for_a_tracker_have_these_names() -> None:
    metrics = ruler_metrics(MALIGNANT, DIAMETER_MM, MODEL, PATIENTS, _rng(3))
    assert metrics["validation/roc_auc"] == pytest.approx(5 / 6)
    assert metrics["validation/auc_of_diameter"] == pytest.approx(5.5 / 6)
    assert metrics["validation/auc_difference"] == pytest.approx(-0.5 / 6)
    assert metrics["validation/auc_difference_low"] == -0.5
    assert metrics["validation/auc_difference_high"] == 0.5
    assert len(metrics) == 5


def test_interval_in_training_is_of_a_thousand_draws() -> None:
    rng = _rng(5)
    labels, model, diameter_mm = rng.random(60) < 0.5, rng.random(60), rng.random(60)
    metrics = ruler_metrics(labels, diameter_mm, model, np.arange(60), _rng(3))
    interval = auc_difference(labels, model, diameter_mm, np.arange(60), _rng(3), 1000)
    assert metrics["validation/auc_difference_low"] == interval.low
    assert metrics["validation/auc_difference_high"] == interval.high


def test_interval_that_cannot_be_told_is_left_out_of_the_metrics() -> None:
    metrics = ruler_metrics([1, 0, 0], [9.0, 5.0, 4.0], [0.2, 0.3, 0.1], list("PQR"), _rng())
    assert metrics == {
        "validation/roc_auc": 0.5,
        "validation/auc_of_diameter": 1.0,
        "validation/auc_difference": -0.5,
    }


def test_interval_of_the_auc_is_drawn_within_each_class() -> None:
    # Positives are 0 or 2, negatives 1: the AUC of a draw is its share of 2 among four positives.
    # That share is binomial: 0 of 4 and 4 of 4 each in 1/16 of the draws, more than 2.5 %.
    is_positive = np.array([True] * 4 + [False] * 3)
    scores = np.array([0.0, 0.0, 2.0, 2.0, 1.0, 1.0, 1.0])
    assert auc_by_bootstrap(is_positive, scores, np.arange(7), _rng()) == Estimate(0.5, 0.0, 1.0)


def test_nodules_of_one_patient_are_drawn_together() -> None:
    # Two patients with 100 malignant nodules each, one ranked above all and one below: a draw has
    # the one twice, the other twice, or both, so the interval reaches from 0 to 1.
    is_positive = np.array([True] * 200 + [False] * 50)
    scores = np.array([2.0] * 100 + [0.0] * 100 + [1.0] * 50)
    patients = np.array(["P"] * 100 + ["Q"] * 100 + [f"R{k}" for k in range(50)])
    assert auc_by_bootstrap(is_positive, scores, patients, _rng()) == Estimate(0.5, 0.0, 1.0)
    alone = auc_by_bootstrap(is_positive, scores, np.arange(250), _rng())
    assert alone.low is not None
    assert alone.low == pytest.approx(0.43, abs=0.02)


def test_draws_in_which_a_class_is_missing_are_left_out() -> None:
    # Only P and Q have negatives, and all four patients have positives: a draw without P and Q
    # has no area, and must not spoil the interval.
    is_positive = np.array([True, True, True, True, False, False])
    scores = np.array([3.0, 1.0, 4.0, 0.0, 2.0, 2.0])
    estimate = auc_by_bootstrap(is_positive, scores, list("PQRSPQ"), _rng())
    assert estimate == Estimate(0.5, 0.0, 1.0)


@pytest.mark.parametrize("patients", ["PPQR", "PQRR", "PPPP"])
def test_class_of_one_patient_has_no_interval(patients: str) -> None:
    estimate = auc_by_bootstrap([1, 1, 0, 0], [4.0, 1.0, 2.0, 3.0], list(patients), _rng())
    assert estimate == Estimate(0.5, None, None)


def test_perfect_ranking_has_no_interval() -> None:
    labels, scores = [1, 1, 0, 0], [4.0, 3.0, 2.0, 1.0]
    assert auc_by_bootstrap(labels, scores, list("PQRS"), _rng()) == Estimate(1.0, None, None)
    assert auc_difference(labels, scores, scores, list("PQRS"), _rng()) == Estimate(0, None, None)


def test_seed_decides_the_interval() -> None:
    rng = _rng(5)
    labels, scores = rng.random(60) < 0.5, rng.random(60)
    first, again, other = (
        auc_by_bootstrap(labels, scores, np.arange(60), _rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_number_of_draws_is_as_asked() -> None:
    # 150 is no multiple of what is drawn at once; 1 draw has one figure, hence no interval.
    told = auc_difference(MALIGNANT, MODEL, DIAMETER_MM, PATIENTS, _rng(), 150)
    assert told.low is not None
    assert auc_difference(MALIGNANT, MODEL, DIAMETER_MM, PATIENTS, _rng(), 1).low is None


def test_draws_of_many_rows_are_the_same_in_less_memory() -> None:
    num_rows, num_patients = 50_000, 50
    patients = np.arange(num_rows) % num_patients
    is_positive = patients < 20
    at_once = list(draws_of_patients(is_positive, patients, _rng(3), 130))
    assert max(times.size for times in at_once) <= 4_000_000
    # The rows are drawn with their patients, so a row a patient tells it all.
    few = draws_of_patients(is_positive[:num_patients], patients[:num_patients], _rng(3), 130)
    expected = np.concatenate(list(few))
    assert expected.shape == (130, num_patients)
    assert np.array_equal(np.concatenate([times[:, :num_patients] for times in at_once]), expected)
