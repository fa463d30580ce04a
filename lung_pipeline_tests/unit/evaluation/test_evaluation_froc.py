# SPDX-License-Identifier: Apache-2.0
"""The table of froc.py's docstring, worked by hand, and its edges."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.detection.froc import (
    OperatingPoint,
    at_threshold,
    froc,
    operating_point,
)
from lung_pipeline.evaluation.detection.matching import Matches, match

COLUMNS = ["series_uid", "x_mm", "y_mm", "z_mm"]

NODULES = pd.DataFrame(
    [("s1", 0, 0, 0, 10), ("s1", 50, 0, 0, 10), ("s2", 0, 0, 0, 10), ("s3", 0, 0, 0, 10)],
    columns=[*COLUMNS, "diameter_mm"],
)

SIX_SCANS = ["s1", "s2", "s3", "s4", "s5", "s6"]


def six_scans() -> Matches:
    """Four nodules in three of six scans; six findings.

    score  series  where                      fate
    0.9    s1      1 mm from nodule 1         hit
    0.8    s4      a scan without nodules     false positive
    0.7    s1      at the centre of nodule 2  hit
    0.6    s1      far from both              false positive
    0.5    s2      4 mm from nodule 3         hit
    0.5    s5      a scan without nodules     false positive, tied with the hit
    """
    findings = pd.DataFrame(
        [
            ("s1", 1, 0, 0, 0.9),
            ("s4", 0, 0, 0, 0.8),
            ("s1", 50, 0, 0, 0.7),
            ("s1", 0, 90, 0, 0.6),
            ("s2", 0, 0, 4, 0.5),
            ("s5", 0, 0, 0, 0.5),
        ],
        columns=[*COLUMNS, "score"],
    )
    return match(findings, NODULES, series_uids=SIX_SCANS)


def test_the_curve_has_one_point_for_each_distinct_score() -> None:
    curve = froc(six_scans(), num_series=6)
    assert curve.thresholds.tolist() == [math.inf, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert curve.sensitivity.tolist() == [0, 1 / 4, 1 / 4, 2 / 4, 2 / 4, 3 / 4]
    assert curve.fp_per_scan == pytest.approx(np.array([0, 0, 1, 1, 2, 3]) / 6)


@pytest.mark.parametrize(
    ("fp_per_scan", "sensitivity"),
    [
        (0.0, 1 / 4),  # of the two points at rate 0 the higher
        (1 / 12, 1 / 4),  # level between (0, 1/4) and (1/6, 1/4)
        (1 / 6, 2 / 4),  # of the two points at rate 1/6 the higher
        (5 / 12, 5 / 8),  # half way from (2/6, 2/4) to (3/6, 3/4)
        (8.0, 3 / 4),  # level beyond the last finding
    ],
)
def test_sensitivity_between_points_is_interpolated(fp_per_scan: float, sensitivity: float) -> None:
    assert froc(six_scans(), 6).sensitivity_at(fp_per_scan) == pytest.approx(sensitivity)


def test_cpm_is_the_mean_of_the_seven_sensitivities() -> None:
    # 1/8: 1/4. 1/4: 2/4. 1/2 and beyond: 3/4, five times.
    assert froc(six_scans(), 6).cpm == pytest.approx((1 / 4 + 2 / 4 + 5 * 3 / 4) / 7)


def test_scans_without_nodules_are_part_of_the_divisor() -> None:
    assert froc(six_scans(), 12).fp_per_scan[-1] == 3 / 12


def test_a_divisor_below_the_number_of_series_is_refused() -> None:
    with pytest.raises(SettingError, match="at least the 6 series"):
        froc(six_scans(), 3)


@pytest.mark.parametrize(
    ("allowed", "threshold", "sensitivity", "false_positives"),
    [(0.0, 0.9, 1 / 4, 0), (0.2, 0.7, 2 / 4, 1), (0.4, 0.6, 2 / 4, 2), (8.0, 0.5, 3 / 4, 3)],
)
def test_operating_point_is_the_loosest_within_the_budget(
    allowed: float, threshold: float, sensitivity: float, false_positives: int
) -> None:
    chosen = operating_point(froc(six_scans(), 6), allowed)
    assert chosen == OperatingPoint(threshold, sensitivity, false_positives / 6)


def test_where_no_threshold_is_strict_enough_nothing_counts() -> None:
    only_false = pd.DataFrame([("s4", 0, 0, 0, 1.0)], columns=[*COLUMNS, "score"])
    chosen = operating_point(froc(match(only_false, NODULES), 6), 0.1)
    assert chosen == OperatingPoint(math.inf, 0.0, 0.0)


def test_a_negative_rate_is_refused() -> None:
    with pytest.raises(SettingError, match="0 or more"):
        operating_point(froc(six_scans(), 6), -1.0)


def test_at_threshold_counts_what_reaches_it() -> None:
    assert at_threshold(six_scans(), 6, 0.7) == OperatingPoint(0.7, 2 / 4, 1 / 6)
    assert at_threshold(six_scans(), 6, 0.71) == OperatingPoint(0.71, 1 / 4, 1 / 6)


def test_without_nodules_sensitivity_is_not_a_number_and_rates_stand() -> None:
    findings = pd.DataFrame([("s4", 0, 0, 0, 1.0)], columns=[*COLUMNS, "score"])
    matches = match(findings, NODULES.iloc[:0])
    assert math.isnan(froc(matches, 2).cpm)
    assert froc(matches, 2).fp_per_scan.tolist() == [0, 1 / 2]
    assert math.isnan(at_threshold(matches, 2, 0.5).sensitivity)


def test_without_findings_the_curve_is_one_point_at_zero() -> None:
    curve = froc(match(NODULES.assign(score=1.0).iloc[:0], NODULES), 6)
    assert (curve.fp_per_scan.tolist(), curve.sensitivity.tolist()) == ([0.0], [0.0])
    assert curve.cpm == 0.0
