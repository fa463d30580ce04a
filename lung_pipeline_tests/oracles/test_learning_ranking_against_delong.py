# SPDX-License-Identifier: Apache-2.0
"""Our ranking beside scikit-learn's, DeLong's test, and LUNA16's real nodules.

E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more
correlated receiver operating characteristic curves", Biometrics 44, 1988: the covariance of the
areas comes from each positive's share of negatives it beats, and each negative's of positives
that beat it. It takes nodules for independent, as they are where each is of its own patient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn import metrics

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.rules import TwoOfReaders
from lung_pipeline.evaluation.ranking.malignancy import (
    MalignancyFigures,
    RankedNodules,
    malignancy_figures,
)
from lung_pipeline.learning.ranking import RANGE_MM, auc_difference, pr_auc, roc_auc

Floats = npt.NDArray[np.float64]


def _delong(truth: npt.NDArray[np.bool_], scores: Floats, ruler: Floats) -> tuple[float, float]:
    """The difference of the two areas, and its standard error."""
    shares: list[list[Floats]] = [[], []]
    for ranked in (scores, ruler):
        positive, negative = ranked[truth], ranked[~truth]
        wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        for of_class, axis in zip(shares, (1, 0), strict=True):
            of_class.append(wins.mean(axis=axis))
    covariance = sum(np.cov(of_class) / len(of_class[0]) for of_class in shares)
    areas = [one.mean() for one in shares[0]]
    contrast = np.array([1.0, -1.0])
    return areas[0] - areas[1], float(np.sqrt(contrast @ covariance @ contrast))


def _nodules(num: int, seed: int, num_levels: int = 10_000) -> tuple[npt.NDArray[np.bool_], ...]:
    """Malignant or not, and two scores that agree in part; few levels give ties."""
    rng = np.random.default_rng(seed)
    truth, shared = rng.random(num) < 0.4, rng.normal(size=num)
    scores = [1.2 * truth + shared + rng.normal(size=num) for _ in range(2)]
    return truth, *(np.round(one * num_levels / 10) for one in scores)


def test_delong_of_a_case_worked_by_hand() -> None:
    # Positives 3 and 1, negatives 2 and 0, the ruler the other way round for the first pair.
    # Shares of the score: positives 1, 1/2, negatives 1/2, 1; of the ruler: 1/2, 1; 1/2, 1.
    # Differences: positives 1/2, -1/2 (variance 1/2), negatives 0, 0.
    truth = np.array([True, True, False, False])
    scores, ruler = np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 3.0, 2.0, 0.0])
    assert _delong(truth, scores, ruler) == pytest.approx((0.0, np.sqrt(0.5 / 2)))


@pytest.mark.parametrize("num_levels", [5, 10_000])
def test_areas_agree_with_scikit_learn(num_levels: int) -> None:
    for seed in range(20):
        truth, scores, _ = _nodules(40, seed, num_levels)
        assert roc_auc(truth, scores) == pytest.approx(metrics.roc_auc_score(truth, scores))
        expected = metrics.average_precision_score(truth, scores)
        assert pr_auc(truth, scores) == pytest.approx(expected)


@pytest.mark.parametrize("num_levels", [5, 10_000])
@pytest.mark.parametrize("num", [150, 600])
def test_interval_of_the_difference_is_close_to_delongs(num: int, num_levels: int) -> None:
    widths = []
    for seed in range(4):
        truth, scores, ruler = _nodules(num, seed, num_levels)
        ours = auc_difference(truth, scores, ruler, np.arange(num), np.random.default_rng(1))
        value, error = _delong(truth, scores, ruler)
        assert ours.value == pytest.approx(value)
        ends = value - 1.96 * error, value + 1.96 * error
        assert (ours.low, ours.high) == pytest.approx(ends, abs=0.5 * error)
        assert ours.low is not None
        assert ours.high is not None
        widths.append((ours.high - ours.low) / (ends[1] - ends[0]))
    assert np.mean(widths) == pytest.approx(1, abs=0.06)


@pytest.fixture(scope="module")
def nodules(reference_data: Path) -> pd.DataFrame:
    """LUNA16's rated nodules with their patients, labelled by the default rule."""
    folder = reference_data / "luna16"
    rated = luna.read_ratings(folder / "annotations_with_malignancy.csv")
    patients = pd.read_csv(folder / "series_patient_subset.csv")
    labels = [TwoOfReaders().label(list(map(int, text.split(",")))) for text in rated["ratings"]]
    return rated.assign(is_malignant=labels).merge(
        patients.rename(columns={"seriesuid": "series_uid"}), on="series_uid", validate="m:1"
    )


def _figures(nodules: pd.DataFrame, score: Floats | None) -> tuple[MalignancyFigures, ...]:
    ranked = RankedNodules(
        nodules["is_malignant"].to_numpy(dtype=bool),
        nodules["diameter_mm"].to_numpy(dtype=np.float64),
        score,
        nodules["patient_id"].to_numpy(dtype=object),
    )
    return malignancy_figures(ranked), malignancy_figures(ranked.within(*RANGE_MM))


def test_diameter_alone_ranks_real_nodules_as_published(nodules: pd.DataFrame) -> None:
    every, mid_sized = _figures(nodules, None)
    assert every.auc_of_diameter == pytest.approx(0.919, abs=5e-4)
    assert mid_sized.auc_of_diameter == pytest.approx(0.868, abs=5e-4)
    assert (every.num_malignant, every.num_benign) == (378, 804)
    assert (mid_sized.num_malignant, mid_sized.num_benign) == (310, 321)
    assert (every.num_patients, every.auc) == (nodules["patient_id"].nunique(), None)


def test_ruler_cannot_beat_itself_on_real_nodules(nodules: pd.DataFrame) -> None:
    diameter_mm = nodules["diameter_mm"].to_numpy(dtype=np.float64)
    for figures in _figures(nodules, diameter_mm**3):
        assert (figures.auc_difference.value, figures.auc_difference.low) == (0, None)


def test_noise_on_the_ruler_is_told_from_the_ruler(nodules: pd.DataFrame) -> None:
    """Diameters that are 30 % off rank worse than the diameters, and the interval says so."""
    diameter_mm = nodules["diameter_mm"].to_numpy(dtype=np.float64)
    noise = np.random.default_rng(0).normal(0, 0.3, size=len(diameter_mm))
    for figures in _figures(nodules, diameter_mm * np.exp(noise)):
        difference = figures.auc_difference
        assert difference.value is not None
        assert difference.low is not None
        assert difference.high is not None
        assert difference.low < difference.value < difference.high < 0
