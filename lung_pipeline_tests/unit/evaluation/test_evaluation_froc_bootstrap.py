# SPDX-License-Identifier: Apache-2.0
"""Draws of patients, worked by hand, and the records of figures and differences."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.errors import SettingError, StoreError
from lung_pipeline.evaluation.detection.froc import FP_RATES, froc
from lung_pipeline.evaluation.detection.froc_bootstrap import froc_difference, froc_figures
from lung_pipeline.evaluation.detection.froc_draws import (
    drawn_sensitivities,
    froc_band,
    weighted_froc,
)
from lung_pipeline.evaluation.detection.froc_figures import FrocDifference, FrocFigures
from lung_pipeline.evaluation.detection.matching import Matches, match
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate

POINT = ["x_mm", "y_mm", "z_mm"]
PATIENTS = {"p1": "p", "p2": "p", "q1": "q", "r1": "r"}
NODULES = pd.DataFrame(
    [("p1", 0, 0, 0, 6), ("q1", 0, 0, 0, 6)], columns=["series_uid", *POINT, "diameter_mm"]
)


def of_findings(*rows: tuple[str, float, float]) -> Matches:
    """Findings (series, x, score) matched on the four series of three patients."""
    table = pd.DataFrame(list(rows), columns=["series_uid", "x_mm", "score"])
    return match(table.assign(y_mm=0.0, z_mm=0.0), NODULES, series_uids=list(PATIENTS))


def width(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def docstring_matches() -> Matches:
    """The table of froc_draws.py: a hit in p1 at 0.9, a false positive in q1 at 0.8."""
    return of_findings(("p1", 0, 0.9), ("q1", 40, 0.8))


def many_scans(*, misses: int, num: int = 40) -> Matches:
    """A nodule in each of ``num`` scans, all hit but the first few, nothing false."""
    uids = [f"s{k:02d}" for k in range(num)]
    nodules = pd.DataFrame({"series_uid": uids, **dict.fromkeys(POINT, 0.0), "diameter_mm": 6.0})
    found = nodules.iloc[misses:].assign(score=0.5)
    return match(found, nodules, series_uids=uids)


def at_rates(matches: Matches, times: list[int], fp_rates: list[float]) -> list[float]:
    """Sensitivities where p, q and r count so many times."""
    return weighted_froc(matches, PATIENTS).sensitivities_at(fp_rates, np.array(times)).tolist()


def test_a_patient_drawn_twice_counts_twice_in_nodules_and_hits() -> None:
    """The draw of froc_draws.py: 2 of 3 nodules found before any false positive."""
    assert at_rates(docstring_matches(), [2, 1, 0], [0.0, 1 / 5, 8.0]) == [2 / 3] * 3
    assert at_rates(docstring_matches(), [1, 1, 1], [0.0, 1 / 4, 8.0]) == [1 / 2] * 3


def test_the_rate_of_a_draw_is_counted_in_its_own_series() -> None:
    """q twice and r once, three series; in q a false positive stands above the hit.

    score  fate in q        H  F   sensitivity  a scan
    0.8    false positive   0  2   0            2/3
    0.7    hit              2  2   2/2          2/3
    """
    matches = of_findings(("q1", 40, 0.8), ("q1", 0, 0.7))
    assert at_rates(matches, [0, 2, 1], [0.6, 2 / 3, 0.7]) == [0, 1, 1]


def test_tied_scores_enter_a_draw_together() -> None:
    """p twice, q once: a hit in p tied with a false positive in q, five series, three nodules.

    score  H  F   sensitivity  a scan
    0.5    2  1   2/3          1/5

    Half way there, at 1/10 a scan, the line is at 1/3.
    """
    matches = of_findings(("p1", 0, 0.5), ("q1", 40, 0.5))
    assert at_rates(matches, [2, 1, 0], [0, 1 / 10, 1 / 5]) == pytest.approx([0, 1 / 3, 2 / 3])


def test_a_draw_without_a_nodule_says_nothing_and_is_left_out() -> None:
    assert np.isnan(at_rates(docstring_matches(), [0, 0, 3], [1.0])).all()
    ends = froc_band(np.array([[0.2, 0.4], [np.nan, np.nan]]))
    assert [end.tolist() for end in ends] == [[0.2, 0.4], [0.2, 0.4]]
    assert all(np.isnan(end).all() for end in froc_band(np.full((1, 2), np.nan)))


def test_the_band_lies_between_percentiles_at_each_rate() -> None:
    """Of 0, 1, ... 40 the 2.5th percentile is 1 and the 97.5th is 39."""
    drawn = np.column_stack([np.arange(41.0), np.arange(41.0)[::-1] + 100])
    low, high = froc_band(drawn)
    assert low == pytest.approx([1, 101])
    assert high == pytest.approx([39, 139])


def test_double_hits_and_those_on_excluded_marks_are_no_false_positives_of_a_draw() -> None:
    """Of three findings in p1 one is the hit, one lies on the nodule too, one on a mark."""
    findings = [("p1", 0, 0.5), ("p1", 1, 0.4), ("p1", 40, 0.9)]
    table = pd.DataFrame(findings, columns=["series_uid", "x_mm", "score"])
    marks = pd.DataFrame([("p1", 40, 0, 0, -1)], columns=NODULES.columns)
    matches = match(table.assign(y_mm=0, z_mm=0), NODULES, marks, series_uids=list(PATIENTS))
    assert at_rates(matches, [1, 1, 1], [0.0, 8.0]) == [1 / 2, 1 / 2]


def test_the_interval_of_the_cpm_is_that_of_the_mean() -> None:
    """Twenty scans with two nodules; the second comes with ten false positives, at 10 a scan.

    So the seven rates lie on a line that rises from about 1/2, and the draws spread least where it
    begins: the mean's interval is narrower than that at 8 a scan.
    """
    uids = [f"s{k:02d}" for k in range(20)]
    first = pd.DataFrame({"series_uid": uids, "x_mm": 0.0, "score": 0.9}).iloc[:-1]
    last = pd.DataFrame({"series_uid": uids, "x_mm": 50.0, "score": 0.5}).iloc[:-6]
    false = [first.assign(x_mm=100.0 + k, score=0.5) for k in range(10)]
    nodules = pd.concat(
        pd.DataFrame({"series_uid": uids, "x_mm": x_mm, "diameter_mm": 6.0}) for x_mm in (0.0, 50.0)
    )
    placed = [t.assign(y_mm=0.0, z_mm=0.0) for t in (pd.concat([first, last, *false]), nodules)]
    matches = match(*placed, series_uids=uids)
    figures = froc_figures(matches)
    drawn = drawn_sensitivities(matches, FP_RATES, num_resamples=1000, seed=RESAMPLING_SEED)
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    assert (figures.cpm.low, figures.cpm.high) == pytest.approx((low, high))
    assert width(figures.cpm) < width(figures.sensitivity[-1][1])


def test_figures_without_weights_are_those_of_the_curve() -> None:
    matches = of_findings(("q1", 40, 0.8), ("q1", 0, 0.7), ("r1", 0, 0.9))
    figures, curve = froc_figures(matches, PATIENTS, num_resamples=50), froc(matches, 4)
    assert [at.value for _, at in figures.sensitivity] == [
        curve.sensitivity_at(r) for r in FP_RATES
    ]
    assert figures.cpm.value == curve.cpm
    assert (figures.num_series, figures.num_patients, figures.num_nodules) == (4, 3, 2)
    assert figures.counts == matches.counts


def test_a_series_without_a_known_patient_is_its_own() -> None:
    assert froc_figures(docstring_matches(), num_resamples=0).num_patients == 4
    # Of the same name as a patient: still apart.
    named = {"p1": "r1", "p2": "r1", "q1": "q"}
    assert froc_figures(docstring_matches(), named, num_resamples=0).num_patients == 3


def test_two_scans_of_a_patient_are_drawn_together() -> None:
    """Half of forty nodules found: about the root of two wider where scans go in pairs."""
    misses = many_scans(misses=20)
    pairs = {f"s{k:02d}": str(k // 2) for k in range(40)}
    alone, together = froc_figures(misses).cpm, froc_figures(misses, pairs).cpm
    assert 1.2 < width(together) / width(alone) < 1.7


def test_the_interval_is_that_of_a_share() -> None:
    """30 of 40 found: the standard error of a share is the root of .75 * .25 / 40 = .068."""
    cpm = froc_figures(many_scans(misses=10)).cpm
    assert cpm.value == 0.75
    assert cpm.low == pytest.approx(0.75 - 1.96 * 0.068, abs=0.03)
    assert cpm.high == pytest.approx(0.75 + 1.96 * 0.068, abs=0.03)


def test_a_perfect_system_has_no_interval() -> None:
    assert froc_figures(many_scans(misses=0)).cpm == Estimate(1.0, None, None)


def test_without_resamples_there_are_no_intervals() -> None:
    assert froc_figures(many_scans(misses=10), num_resamples=0).cpm == Estimate(0.75, None, None)


def test_without_nodules_nothing_is_measured() -> None:
    findings = NODULES.assign(score=0.5)
    figures = froc_figures(match(findings, NODULES.iloc[:0], series_uids=list(PATIENTS)))
    assert figures.cpm == NOT_MEASURED
    assert json.loads(json.dumps(figures.as_json(), allow_nan=False))["num_nodules"] == 0


def test_a_negative_number_of_resamples_is_refused() -> None:
    with pytest.raises(SettingError, match="0 or more, got -1"):
        froc_figures(docstring_matches(), num_resamples=-1)


def test_the_difference_of_a_system_and_itself_is_nothing() -> None:
    difference = froc_difference(docstring_matches(), docstring_matches(), PATIENTS)
    assert difference.cpm == Estimate(0.0, None, None)


def test_the_difference_is_paired() -> None:
    """Both miss the same ten of forty, the other five more: 5/40 apart in every kind of draw.

    Unpaired the interval would be wider: both shares have a standard error near .07, their
    difference near .1; paired it is that of 5 in 40, the root of .125 * .875 / 40 = .052.
    """
    difference = froc_difference(many_scans(misses=10), many_scans(misses=15))
    assert difference.cpm.value == pytest.approx(5 / 40)
    assert width(difference.cpm) == pytest.approx(2 * 1.96 * 0.052, abs=0.05)
    turned = froc_difference(many_scans(misses=15), many_scans(misses=10)).cpm
    ends = [difference.cpm.value, difference.cpm.low, difference.cpm.high]
    assert [turned.value, turned.high, turned.low] == pytest.approx([-float(e or 0) for e in ends])


def test_systems_on_other_nodules_are_not_compared() -> None:
    with pytest.raises(SettingError, match="40 nodules of 40 series and 39 nodules of 39 series"):
        froc_difference(many_scans(misses=1), many_scans(misses=1, num=39))


def test_systems_on_other_series_are_not_compared() -> None:
    """The same nodules, but one was looked at on one series more: another divisor."""
    more = match(NODULES.assign(score=0.5), NODULES, series_uids=[*PATIENTS, "s1"])
    with pytest.raises(SettingError, match="2 nodules of 4 series and 2 nodules of 5 series"):
        froc_difference(docstring_matches(), more)


def test_records_come_back_as_they_were_written() -> None:
    figures = froc_figures(many_scans(misses=10), num_resamples=20)
    assert FrocFigures.from_json(json.loads(json.dumps(figures.as_json()))) == figures
    difference = froc_difference(many_scans(misses=10), many_scans(misses=15), num_resamples=20)
    assert FrocDifference.from_json(json.loads(json.dumps(difference.as_json()))) == difference


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(FrocFigures)])
def test_a_record_without_a_field_is_refused(field: str) -> None:
    record = froc_figures(many_scans(misses=1), num_resamples=0).as_json()
    del record[field]
    with pytest.raises(StoreError, match=field):
        FrocFigures.from_json(record)


def test_metrics_have_flat_names() -> None:
    metrics = froc_figures(many_scans(misses=10), num_resamples=20).metrics()
    assert metrics["cpm"] == metrics["sensitivity_at_0.125_fp_per_scan"] == 0.75
    assert {"cpm_low", "sensitivity_at_8_fp_per_scan_high", "num_hits", "num_series"} <= set(
        metrics
    )
    difference = froc_difference(many_scans(misses=1), many_scans(misses=2), num_resamples=20)
    assert difference.metrics()["cpm_difference"] == pytest.approx(1 / 40)
    assert "sensitivity_at_1_fp_per_scan_difference_low" in difference.metrics()
