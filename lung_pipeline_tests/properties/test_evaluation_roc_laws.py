# SPDX-License-Identifier: Apache-2.0
"""Laws of ranking, confusion and thresholds that hold for every set of scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.evaluation.operating_point.confusion import Things, confusion_table
from lung_pipeline.evaluation.operating_point.targets import (
    MaxFalsePositives,
    MinMalignantSensitivity,
)
from lung_pipeline.evaluation.operating_point.thresholds import solve
from lung_pipeline.evaluation.ranking.roc import RankingFigures, ranking_figures
from lung_pipeline.evaluation.ranking.roc_curve import thinned

ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=30
).map(np.array)
"""Rows of positive or not, score, patient."""

THINGS = st.lists(
    st.tuples(
        st.sampled_from(["malignant", "benign", "non-nodule", "unrated"]),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=25,
).map(
    lambda rows: Things(
        np.array([row[0] for row in rows]),
        np.array([row[1] / 9 for row in rows]),
        np.array([row[2] / 9 for row in rows]),
        num_series=4,
    )
)

few = settings(max_examples=60, deadline=None)


def _figures(rows: np.ndarray) -> RankingFigures:
    rng = np.random.default_rng(4)
    return ranking_figures(rows[:, 0], rows[:, 1], rows[:, 2], rng, 50)


@few
@given(ROWS, st.integers(0, 99))
def test_order_of_the_rows_is_irrelevant(rows: np.ndarray, seed: int) -> None:
    shuffled = rows[np.random.default_rng(seed).permutation(len(rows))]
    assert _figures(shuffled) == _figures(rows)


@few
@given(ROWS)
def test_only_the_order_of_the_scores_counts(rows: np.ndarray) -> None:
    other = rows.copy()
    other[:, 1] = rows[:, 1] ** 3 - 50
    assert _figures(other) == _figures(rows)


@few
@given(ROWS)
def test_reversed_scores_have_the_rest_of_the_area_and_of_its_interval(rows: np.ndarray) -> None:
    other = rows.copy()
    other[:, 1] = -rows[:, 1]
    there, back = _figures(rows).roc_auc, _figures(other).roc_auc
    if there.value is not None:
        assert back.value == pytest.approx(1 - there.value)
    if there.low is not None:
        assert (back.low, back.high) == pytest.approx((1 - there.high, 1 - there.low))


@few
@given(ROWS)
def test_curves_never_fall_and_end_where_all_counts(rows: np.ndarray) -> None:
    figures = _figures(rows)
    if figures.roc:
        assert (np.diff(figures.roc, axis=0) >= 0).all()
        assert figures.roc[-1] == (1.0, 1.0)
        assert figures.precision_recall[-1] == (1.0, pytest.approx(figures.share_positive))
    low_and_high = np.array(figures.roc_band).reshape(-1, 3)
    assert (np.diff(low_and_high, axis=0) >= 0).all()
    assert (low_and_high[:, 1] <= low_and_high[:, 2]).all()


@few
@given(
    st.lists(st.tuples(st.floats(0, 0.1), st.floats(-1, 1)), min_size=2, max_size=200),
    st.integers(2, 30),
)
def test_thinned_curve_is_part_of_it_with_both_ends(
    steps: list[tuple[float, float]], max_points: int
) -> None:
    x, y = np.cumsum(np.array(steps), axis=0).T
    kept = thinned(x, y, max_points)
    assert len(kept) <= max(max_points, 2)
    assert set(kept) <= set(zip(x.tolist(), y.tolist(), strict=True))
    assert (kept[0], kept[-1]) == ((x[0], y[0]), pytest.approx((x[-1], y[-1])))


@few
@given(THINGS, st.integers(0, 10), st.integers(0, 10), st.booleans())
def test_looser_thresholds_never_find_or_alarm_less(things, nodule, malignancy, first) -> None:  # type: ignore[no-untyped-def]
    strict = confusion_table(
        things, nodule_threshold=nodule / 9, malignancy_threshold=malignancy / 9
    )
    loose = confusion_table(
        things,
        nodule_threshold=(nodule - first) / 9,
        malignancy_threshold=(malignancy - (not first)) / 9,
    )
    for kind, row in strict.rows.items():
        assert loose.rows[kind].passed >= row.passed
        assert loose.rows[kind].predicted_malignant >= row.predicted_malignant
        assert loose.rows[kind].total == row.total == (things.kind == kind).sum()


@few
@given(THINGS, st.sampled_from([0.25, 0.5, 0.9]), st.sampled_from([0.5, 0.75, 1.0]))
def test_tighter_target_never_has_fewer_false_alarms(things, less, more) -> None:  # type: ignore[no-untyped-def]
    eased, tight = (
        solve(things, MinMalignantSensitivity(min(less, more), 0.0)),
        solve(things, MinMalignantSensitivity(max(less, more), 0.0)),
    )
    if (things.kind == "malignant").any():
        of_eased, of_tight = (one.on_validation.false_alarms_per_scan for one in (eased, tight))
        assert of_eased <= of_tight


@few
@given(THINGS, st.floats(0, 4), st.floats(0, 4))
def test_larger_budget_never_finds_fewer(things, one, other) -> None:  # type: ignore[no-untyped-def]
    small, large = (
        solve(things, MaxFalsePositives(fp)).nodule for fp in (min(one, other), max(one, other))
    )
    assert large <= small
