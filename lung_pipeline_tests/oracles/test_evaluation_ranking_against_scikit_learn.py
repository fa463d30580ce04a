# SPDX-License-Identifier: Apache-2.0
"""Every point and figure of ROC, precision-recall and calibration beside scikit-learn's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.rules import TwoOfReaders
from lung_pipeline.evaluation.ranking.calibration import calibration_figures
from lung_pipeline.evaluation.ranking.roc import ranking_figures
from lung_pipeline.evaluation.ranking.roc_curve import BAND_RATES, DrawnRanking, ranking_curve
from lung_pipeline.learning.calibrating import log_loss
from lung_pipeline.learning.resampling import draws_of_patients

# Of whole numbers and few, so that ties are common; both classes are there.
ROWS = (
    st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 5)), max_size=40)
    .map(lambda rows: np.array([*rows, (True, 7, 0), (False, 9, 1)], dtype=np.int64))
    .map(lambda rows: (rows[:, 0].astype(bool), rows[:, 1] / 20, rows[:, 2]))
)

Rows = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64], npt.NDArray[np.int64]]

few = settings(max_examples=80, deadline=None)


@few
@given(ROWS)
def test_points_are_scikit_learns(rows: Rows) -> None:
    truth, scores, _ = rows
    curve = ranking_curve(truth, scores)
    assert curve is not None
    fpr, tpr, thresholds = metrics.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    # scikit-learn's begins with the loosest.
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    np.testing.assert_allclose(curve.precision[::-1], precision, atol=1e-12)
    np.testing.assert_allclose(curve.tpr[::-1], recall, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds[:0:-1], thresholds)


@few
@given(ROWS)
def test_figures_and_recorded_points_are_scikit_learns(rows: Rows) -> None:
    truth, scores, patients = rows
    figures = ranking_figures(truth, scores, patients, np.random.default_rng(0), 20)
    assert figures.roc_auc.value == pytest.approx(metrics.roc_auc_score(truth, scores))
    expected = metrics.average_precision_score(truth, scores)
    assert figures.average_precision.value == pytest.approx(expected)
    fpr, tpr, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(figures.roc, np.column_stack([fpr, tpr]), atol=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    pairs = np.column_stack([recall, precision])[::-1]
    np.testing.assert_allclose(figures.precision_recall, pairs, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_each_draw_is_scikit_learns_with_weights(rows: Rows) -> None:
    truth, scores, patients = rows
    for times in draws_of_patients(truth, patients, np.random.default_rng(1), 8):
        drawn = DrawnRanking.of(truth, scores, times)
        for row, weights in enumerate(times):
            if not (weights[truth].any() and weights[~truth].any()):
                assert np.isnan(drawn.area[row])
                assert np.isnan(drawn.precision[row])
                assert np.isnan(drawn.tpr[row]).all()
                continue
            area = metrics.roc_auc_score(truth, scores, sample_weight=weights)
            assert drawn.area[row] == pytest.approx(area)
            precision = metrics.average_precision_score(truth, scores, sample_weight=weights)
            assert drawn.precision[row] == pytest.approx(precision)
            fpr, tpr, _ = metrics.roc_curve(
                truth, scores, sample_weight=weights, drop_intermediate=False
            )
            expected = np.interp(BAND_RATES + 1e-12, fpr, tpr)
            np.testing.assert_allclose(drawn.tpr[row], expected, atol=1e-9)


def test_hundreds_of_random_scores_agree() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(700) < 0.1
    scores = rng.random(700) + 0.4 * truth
    curve = ranking_curve(truth, scores)
    assert curve is not None
    fpr, tpr, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
    figures = ranking_figures(truth, scores, np.arange(700), rng, 10)
    assert figures.roc_auc.value == pytest.approx(metrics.auc(fpr, tpr))
    # Thinned, the area is still the same to a thousandth.
    assert metrics.auc(*np.array(figures.roc).T) == pytest.approx(figures.roc_auc.value, abs=1e-3)


def test_real_diameters_have_the_curves_that_scikit_learn_has(reference_data: Path) -> None:
    rated = luna.read_ratings(reference_data / "luna16" / "annotations_with_malignancy.csv")
    is_malignant = np.array(
        [TwoOfReaders().label(list(map(int, text.split(",")))) for text in rated["ratings"]],
        dtype=bool,
    )
    diameter_mm = rated["diameter_mm"].to_numpy(dtype=np.float64)
    series = rated["series_uid"].to_numpy(dtype=object)
    figures = ranking_figures(is_malignant, diameter_mm, series, np.random.default_rng(0), 200)
    assert figures.roc_auc.value == pytest.approx(0.919, abs=5e-4)
    expected = metrics.average_precision_score(is_malignant, diameter_mm)
    assert figures.average_precision.value == pytest.approx(expected)
    curve = ranking_curve(is_malignant, diameter_mm)
    assert curve is not None
    fpr, tpr, thresholds = metrics.roc_curve(is_malignant, diameter_mm, drop_intermediate=False)
    np.testing.assert_allclose(np.stack([curve.fpr, curve.tpr]), [fpr, tpr], atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    # Of a thousand points the record keeps some, each of them the curve's.
    every = set(zip(curve.fpr.tolist(), curve.tpr.tolist(), strict=True))
    assert len(every) > len(figures.roc) > 300
    assert set(figures.roc) <= every


@few
@given(ROWS, st.integers(1, 12))
def test_calibration_is_scikit_learns(rows: Rows, num_bins: int) -> None:
    truth, probability, patients = rows
    rng = np.random.default_rng(0)
    figures = calibration_figures(truth, probability, patients, rng, num_bins, 20)
    so, said = calibration_curve(truth, probability, n_bins=num_bins)
    full = [one for one in figures.bins if one.count]
    assert [one.share_positive.value for one in full] == pytest.approx(so)
    assert [one.mean_probability for one in full] == pytest.approx(said)
    brier = metrics.brier_score_loss(truth, probability)
    assert figures.brier.value == pytest.approx(brier)
    weights = np.array([one.count for one in full]) / len(truth)
    assert figures.ece == pytest.approx(weights @ np.abs(so - said))


@few
@given(ROWS)
def test_log_loss_is_scikit_learns_where_nothing_is_sure(rows: Rows) -> None:
    truth, probability, _ = rows
    inside = probability * 0.98 + 0.01
    assert log_loss(truth, inside) == pytest.approx(metrics.log_loss(truth, inside))
