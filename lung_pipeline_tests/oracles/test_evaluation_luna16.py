# SPDX-License-Identifier: Apache-2.0
"""Our FROC beside figures published by others, on real detections."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.evaluation.froc import FP_RATES, Froc, at_threshold, froc, operating_point
from lung_pipeline.evaluation.matching import Matches, match

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
