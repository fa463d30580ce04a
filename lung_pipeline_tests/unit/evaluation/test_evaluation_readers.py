# SPDX-License-Identifier: Apache-2.0
"""The readers' rule beside the diagnosis, worked by hand.

Ten patients are looked at; the table of diagnoses knows eleven, of whom Z was not looked at.

    patient   diagnosis      nodules: ratings, rule        rule says   highest mean rating
    A         2 primary      "5,5" yes; "1,1" no           malignant   5
    B         3 metastatic   "4,4,1" yes                   malignant   3
    C         2 primary      "2,2" no                      benign      2
    D         1 benign       "1" no; "" unrated            benign      1
    E         1 benign       "4,5" yes                     malignant   4.5
    F         1 benign       "3" left out; "2" no          benign      3
    G         1 benign       "3,4" left out                nothing     3.5
    H         3 metastatic   "" unrated                    unrated
    I         2 primary      no nodule                     unrated
    J         0 unknown      "5,5" yes                     unknown
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.evaluation.intervals import share_by_wilson
from lung_pipeline.evaluation.readers import ReadersFigures, readers_figures
from lung_pipeline.learning.resampling import Estimate

RULE = {"name": "a rule", "version": 2}
_NODULES = [
    ("A", "1,1", False),
    ("A", "5,5", True),
    ("B", "4,4,1", True),
    ("C", "2,2", False),
    ("D", "1", False),
    ("D", "", None),
    ("E", "4,5", True),
    ("F", "3", None),
    ("F", "2", False),
    ("G", "3,4", None),
    ("H", "", None),
    ("J", "5,5", True),
    ("Y", "5,5", True),  # not in the table of diagnoses
]
_DIAGNOSES = {
    "A": 2,
    "B": 3,
    "C": 2,
    "D": 1,
    "E": 1,
    "F": 1,
    "G": 1,
    "H": 3,
    "I": 2,
    "J": 0,
    "Z": 1,
}
_PATIENTS = "ABCDEFGHIJY"


def _figures(patients: str = _PATIENTS) -> ReadersFigures:
    rows = [row for row in _NODULES if row[0] in patients]
    nodules = pd.DataFrame(rows, columns=["patient_id", "ratings", "is_malignant"])
    return readers_figures(
        nodules.astype({"patient_id": "str", "ratings": "str", "is_malignant": "boolean"}),
        pd.DataFrame({"patient_id": list(_DIAGNOSES), "diagnosis": list(_DIAGNOSES.values())}),
        set(patients),
        rule=RULE,
        rng=np.random.default_rng(1),
    )


def test_every_patient_stands_in_one_count() -> None:
    counts = {name: n for name, n in asdict(_figures()).items() if name.startswith("num_")}
    assert counts == {
        "num_patients": 10,
        "num_unknown": 1,
        "num_unrated": 2,
        "num_left_out": 1,
        "num_malignant_called_malignant": 2,
        "num_malignant_called_benign": 1,
        "num_benign_called_malignant": 1,
        "num_benign_called_benign": 2,
    }
    assert _figures().num_compared == 6
    assert _figures().rule == RULE


def test_sensitivity_and_specificity_are_shares_of_the_decided() -> None:
    figures = _figures()
    assert figures.sensitivity == share_by_wilson(2, 3)
    assert figures.specificity == share_by_wilson(2, 3)


def test_mean_rating_ranks_patients_by_their_highest_nodule() -> None:
    # Malignant 5, 3, 2; others 1, 4.5, 3, 3.5 (also where the rule leaves out).
    # 5 wins four pairs; 3 wins one and ties one; 2 wins one.
    assert _figures().auc_of_mean_rating.value == pytest.approx((4 + 1.5 + 1) / 12)


def test_patients_who_were_not_looked_at_do_not_count() -> None:
    figures = _figures("AD")
    assert (figures.num_patients, figures.num_compared) == (2, 2)
    assert figures.auc_of_mean_rating == Estimate(1.0, None, None)


def test_malignant_patients_alone_have_no_specificity_and_no_auc() -> None:
    figures = _figures("ABC")
    nothing = Estimate(None, None, None)
    assert figures.sensitivity.value == pytest.approx(2 / 3)
    assert (figures.specificity, figures.auc_of_mean_rating) == (nothing, nothing)


@pytest.mark.parametrize("patients", ["", "Y", "J", "HI"])
def test_nobody_to_compare_leaves_every_figure_unknown(patients: str) -> None:
    figures = _figures(patients)
    assert figures.num_compared == 0
    assert figures.sensitivity == figures.specificity == Estimate(None, None, None)
    assert figures.auc_of_mean_rating == Estimate(None, None, None)


def test_metrics_are_flat_and_hold_both_ends() -> None:
    metrics = _figures().metrics()
    assert metrics["num_malignant_called_benign"] == 1
    assert metrics["sensitivity"] == pytest.approx(2 / 3)
    assert metrics["sensitivity_low"] == _figures().sensitivity.low
    assert metrics["auc_of_mean_rating_high"] == _figures().auc_of_mean_rating.high
    assert "rule" not in metrics
    assert len(metrics) == 8 + 3 * 3


@pytest.mark.parametrize(
    ("num", "of", "low", "high"),
    # R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_of_shares_are_the_published_ones(
    num: int, of: int, low: float, high: float
) -> None:
    estimate = share_by_wilson(num, of)
    assert estimate.value == num / of
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)
