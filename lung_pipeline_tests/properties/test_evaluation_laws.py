# SPDX-License-Identifier: Apache-2.0
"""Laws of matching and FROC that hold for every table."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.evaluation.detection.froc import (
    FP_RATES,
    Froc,
    at_threshold,
    froc,
    operating_point,
)
from lung_pipeline.evaluation.detection.matching import match

SERIES = ["a", "b", "c"]
COORDINATES = st.integers(-6, 6).map(float)

# Whole numbers, so that distances at the radius, ties and shared hits are common.
FINDINGS = st.lists(
    st.tuples(st.sampled_from(SERIES), COORDINATES, COORDINATES, st.integers(0, 5).map(float)),
    max_size=14,
).map(
    lambda rows: pd.DataFrame(rows, columns=["series_uid", "x_mm", "y_mm", "score"], dtype=object)
)

MARKS = st.lists(
    st.tuples(st.sampled_from(SERIES), COORDINATES, COORDINATES, st.integers(1, 12).map(float)),
    max_size=5,
).map(
    lambda rows: pd.DataFrame(
        rows, columns=["series_uid", "x_mm", "y_mm", "diameter_mm"], dtype=object
    )
)

few = settings(max_examples=60, deadline=None)


def _curve(findings: pd.DataFrame, nodules: pd.DataFrame, excluded: pd.DataFrame) -> Froc:
    matches = match(
        *(t.assign(z_mm=0.0) for t in (findings, nodules, excluded)), series_uids=SERIES
    )
    return froc(matches, len(SERIES))


def _same(one: Froc, other: Froc) -> None:
    np.testing.assert_array_equal(one.fp_per_scan, other.fp_per_scan)
    np.testing.assert_array_equal(one.sensitivity, other.sensitivity)


@few
@given(FINDINGS, MARKS, MARKS, st.randoms(use_true_random=False))
def test_order_of_rows_is_irrelevant(findings, nodules, excluded, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = [t.sample(frac=1, random_state=random.randint(0, 99)) for t in (findings, nodules)]
    one, other = _curve(findings, nodules, excluded), _curve(*shuffled, excluded)
    _same(one, other)
    np.testing.assert_array_equal(one.thresholds, other.thresholds)


@few
@given(FINDINGS, MARKS, MARKS)
def test_increasing_maps_of_the_scores_change_nothing(findings, nodules, excluded) -> None:  # type: ignore[no-untyped-def]
    mapped = findings.assign(score=np.exp(findings["score"].astype(float)) - 7)
    _same(_curve(findings, nodules, excluded), _curve(mapped, nodules, excluded))


@few
@given(FINDINGS, MARKS, MARKS)
def test_the_curve_never_falls(findings, nodules, excluded) -> None:  # type: ignore[no-untyped-def]
    curve = _curve(findings, nodules, excluded)
    assert (np.diff(curve.fp_per_scan) >= 0).all()
    assert len(nodules) == 0 or (np.diff(curve.sensitivity) >= 0).all()
    assert (np.diff(curve.thresholds[1:]) < 0).all()


@few
@given(FINDINGS, MARKS, MARKS, st.integers(0, 5))
def test_a_further_false_positive_never_raises_the_curve(  # type: ignore[no-untyped-def]
    findings, nodules, excluded, score
) -> None:
    nodules = pd.concat([nodules, pd.DataFrame([("a", 0.0, 0.0, 6.0)], columns=nodules.columns)])
    far = pd.DataFrame([("a", 500.0, 0.0, float(score))], columns=findings.columns)
    before = _curve(findings, nodules, excluded)
    after = _curve(pd.concat([findings, far]), nodules, excluded)
    rates = np.linspace(0, 8, 65)
    lifted = [after.sensitivity_at(r) - before.sensitivity_at(r) for r in rates]
    assert max(lifted) <= 1e-12


@few
@given(FINDINGS, MARKS, MARKS, st.sampled_from(FP_RATES))
def test_the_operating_point_is_met_at_its_threshold(findings, nodules, excluded, rate) -> None:  # type: ignore[no-untyped-def]
    tables = [t.assign(z_mm=0.0) for t in (findings, nodules, excluded)]
    matches = match(*tables, series_uids=SERIES)
    chosen = operating_point(froc(matches, 3), rate)
    assert chosen.fp_per_scan <= rate
    again = at_threshold(matches, 3, chosen.threshold)
    np.testing.assert_equal(astuple(again), astuple(chosen))


@few
@given(FINDINGS, MARKS, MARKS)
def test_fates_agree_with_the_rule_written_as_loops(findings, nodules, excluded) -> None:  # type: ignore[no-untyped-def]
    tables = [t.assign(z_mm=0.0) for t in (findings, nodules, excluded)]
    matches = match(*tables, series_uids=SERIES)

    def within(finding, mark) -> bool:  # type: ignore[no-untyped-def]
        distance_squared = (finding.x_mm - mark.x_mm) ** 2 + (finding.y_mm - mark.y_mm) ** 2
        return finding.series_uid == mark.series_uid and distance_squared < mark.diameter_mm**2 / 4

    rows = list(findings.itertuples())
    best = [
        max((f.score for f in rows if within(f, nodule)), default=np.nan)
        for nodule in nodules.itertuples()
    ]
    np.testing.assert_array_equal(matches.nodule_score, np.array(best, dtype=float))
    for row, fate in zip(rows, matches.finding_fate, strict=True):
        on_nodule = any(within(row, nodule) for nodule in nodules.itertuples())
        on_excluded = any(within(row, mark) for mark in excluded.itertuples())
        assert (fate in ("hit", "double hit")) == on_nodule
        assert (fate == "excluded") == (on_excluded and not on_nodule)
