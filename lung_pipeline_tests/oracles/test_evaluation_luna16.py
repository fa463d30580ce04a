# SPDX-License-Identifier: Apache-2.0
"""Our FROC beside figures published by others, on real detections."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.evaluation.detection.froc import (
    FP_RATES,
    Froc,
    at_threshold,
    froc,
    operating_point,
)
from lung_pipeline.evaluation.detection.froc_bootstrap import froc_difference, froc_figures
from lung_pipeline.evaluation.detection.matching import Matches, match

NAMES = {
    "seriesuid": "series_uid",
    "coordX": "x_mm",
    "coordY": "y_mm",
    "coordZ": "z_mm",
    "probability": "score",
}

PUBLISHED = (0.692, 0.769, 0.824, 0.865, 0.893, 0.917, 0.933)
"""DeepLung's DPN26 on LUNA16, as its authors published it."""


def _tables(data: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, list[str]]:
    findings = pd.read_csv(data / "froc" / "dpn26_submission.csv").rename(columns=NAMES)
    nodules = pd.read_csv(data / "luna16" / "annotations.csv").rename(columns=NAMES)
    excluded = pd.read_csv(data / "luna16" / "annotations_excluded.csv").rename(columns=NAMES)
    return findings, nodules, excluded, (data / "luna16" / "seriesuids.csv").read_text().split()


@pytest.fixture(scope="module")
def scored(reference_data: Path) -> tuple[Matches, Froc]:
    findings, nodules, excluded, series_uids = _tables(reference_data)
    matches = match(findings, nodules, excluded, series_uids=series_uids)
    return matches, froc(matches, len(series_uids))


def test_published_sensitivities_are_reproduced(scored: tuple[Matches, Froc]) -> None:
    assert [scored[1].sensitivity_at(rate) for rate in FP_RATES] == pytest.approx(
        PUBLISHED, abs=6e-4
    )
    assert scored[1].cpm == pytest.approx(0.842, abs=6e-4)


def test_published_counts_are_reproduced(scored: tuple[Matches, Froc]) -> None:
    assert scored[0].counts == {
        "hits": 1136,
        "missed": 50,
        "on_excluded": 5444,
        "double_hits": 190,
        "false_positives": 48907,
        # One series of the list has no row at all in the published file; its authors do not say so.
        "silent_series": 1,
    }


def test_without_the_excluded_list_the_cpm_falls_as_known(reference_data: Path) -> None:
    findings, nodules, _, series_uids = _tables(reference_data)
    matches = match(findings, nodules, series_uids=series_uids)
    assert froc(matches, len(series_uids)).cpm == pytest.approx(0.742, abs=6e-4)


def test_a_chosen_operating_point_is_met_again_at_its_threshold(
    scored: tuple[Matches, Froc],
) -> None:
    matches, curve = scored
    chosen = operating_point(curve, 4.0)
    assert chosen.fp_per_scan <= 4.0
    assert chosen.sensitivity == pytest.approx(curve.sensitivity_at(4.0), abs=2e-3)
    assert at_threshold(matches, 888, chosen.threshold) == chosen


def test_the_whole_of_luna16_is_scored_within_two_seconds(reference_data: Path) -> None:
    findings, nodules, excluded, series_uids = _tables(reference_data)
    start = time.perf_counter()
    froc(match(findings, nodules, excluded, series_uids=series_uids), len(series_uids))
    assert time.perf_counter() - start < 2.0


def test_a_thousand_draws_of_patients_take_less_than_fifteen_seconds(
    scored: tuple[Matches, Froc],
) -> None:
    start = time.perf_counter()
    figures = froc_figures(scored[0], num_resamples=1000)
    assert time.perf_counter() - start < 15.0
    assert figures.cpm.value == scored[1].cpm


def test_intervals_are_as_wide_as_shares_of_so_many_nodules_are(
    scored: tuple[Matches, Froc],
) -> None:
    """At 8 false positives a scan nearly each nodule with a hit is found: all but a share of 1,186.

    Its standard error alone is .0072 for independent nodules; those of a patient are alike, which
    widens it.
    """
    at_8 = dict(froc_figures(scored[0]).sensitivity)[8.0]
    assert at_8.value is not None
    assert at_8.low is not None
    assert at_8.high is not None
    alone = 2 * 1.96 * (at_8.value * (1 - at_8.value) / 1186) ** 0.5
    assert alone < at_8.high - at_8.low < 2 * alone


def test_the_same_system_with_a_tenth_of_its_hits_lost_is_worse_for_sure(
    reference_data: Path, scored: tuple[Matches, Froc]
) -> None:
    findings, nodules, excluded, series_uids = _tables(reference_data)
    lost = scored[0].nodule_finding[scored[0].nodule_finding >= 0][::10]
    worse = match(findings.drop(index=lost), nodules, excluded, series_uids=series_uids)
    difference = froc_difference(worse, scored[0])
    assert difference.cpm.high is not None
    assert difference.cpm.high < 0
