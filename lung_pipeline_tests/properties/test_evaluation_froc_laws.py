# SPDX-License-Identifier: Apache-2.0
"""Laws of draws of patients and of the cap, for every table.

A draw by weights must be the curve of a study in which the drawn patients really stand several
times: their series copied under new names, and all matched anew.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.evaluation.detection.detections import strongest_of_each_series
from lung_pipeline.evaluation.detection.froc import FP_RATES, froc
from lung_pipeline.evaluation.detection.froc_bootstrap import froc_difference, froc_figures
from lung_pipeline.evaluation.detection.froc_draws import drawn_sensitivities, weighted_froc
from lung_pipeline.evaluation.detection.matching import Matches, match

SERIES = ["a", "b", "c", "d"]
PATIENTS = {"a": "p", "b": "p", "c": "q", "d": "r"}
COORDINATES = st.integers(-6, 6).map(float)
few = settings(max_examples=40, deadline=None)


def tables(
    last: str, values: st.SearchStrategy[float], most: int
) -> st.SearchStrategy[pd.DataFrame]:
    """Whole numbers, so that distances at the radius, ties and shared hits are common."""
    rows = st.tuples(st.sampled_from(SERIES), COORDINATES, COORDINATES, values)
    return st.lists(rows, max_size=most).map(
        lambda made: pd.DataFrame(
            made, columns=["series_uid", "x_mm", "y_mm", last], dtype=object
        ).assign(z_mm=0.0)
    )


FINDINGS = tables("score", st.integers(0, 5).map(float), 16)
MARKS = tables("diameter_mm", st.integers(1, 12).map(float), 5)
TIMES = st.tuples(*[st.integers(0, 3)] * 3).filter(any)
Table = pd.DataFrame


def _match(findings: Table, nodules: Table, excluded: Table) -> Matches:
    return match(findings, nodules, excluded, series_uids=SERIES)


def _copied(table: Table, times: dict[str, int]) -> Table:
    """The rows of each series as often as it counts, each time under another name."""
    copies = [
        table[table["series_uid"] == uid].assign(series_uid=f"{uid}#{copy}")
        for uid in SERIES
        for copy in range(times[uid])
    ]
    return pd.concat([table.iloc[:0], *copies])


@few
@given(FINDINGS, MARKS, MARKS, TIMES)
def test_weights_give_the_curve_of_copied_patients(
    findings: Table, nodules: Table, excluded: Table, times: tuple[int, int, int]
) -> None:
    by_series = {uid: times["pqr".index(patient)] for uid, patient in PATIENTS.items()}
    copied = match(
        *(_copied(t, by_series) for t in (findings, nodules, excluded)),
        series_uids=[f"{uid}#{copy}" for uid in SERIES for copy in range(by_series[uid])],
    )
    curve = froc(copied, len(copied.series_uids))
    rates = [0.0, *FP_RATES, 1 / 3]
    weighted = weighted_froc(_match(findings, nodules, excluded), PATIENTS)
    np.testing.assert_allclose(
        weighted.sensitivities_at(rates, np.array(times)),
        [curve.sensitivity_at(rate) for rate in rates],
        atol=1e-12,
    )


@few
@given(FINDINGS, MARKS, MARKS, st.randoms(use_true_random=False))
def test_the_order_of_rows_moves_no_interval(findings, nodules, excluded, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = [t.sample(frac=1, random_state=random.randint(0, 99)) for t in (findings, nodules)]
    one, other = _match(findings, nodules, excluded), _match(*shuffled, excluded)
    patients = dict(sorted(PATIENTS.items(), key=lambda _: random.random()))
    assert froc_figures(one, PATIENTS, num_resamples=20) == froc_figures(
        other, patients, num_resamples=20
    )


@few
@given(FINDINGS, MARKS, MARKS)
def test_increasing_maps_of_the_scores_move_no_interval(
    findings: Table, nodules: Table, excluded: Table
) -> None:
    mapped = findings.assign(score=np.exp(findings["score"].astype(float)) - 7)
    one, other = _match(findings, nodules, excluded), _match(mapped, nodules, excluded)
    assert froc_figures(one, PATIENTS, num_resamples=20) == froc_figures(
        other, PATIENTS, num_resamples=20
    )


@few
@given(FINDINGS, MARKS, st.integers(0, 5).map(float), st.sampled_from(SERIES))
def test_a_further_false_positive_raises_no_draw(
    findings: Table, nodules: Table, score: float, series: str
) -> None:
    far = pd.DataFrame([(series, 500.0, 0.0, score, 0.0)], columns=findings.columns)
    none = nodules.iloc[:0]
    before, after = (
        _match(findings, nodules, none),
        _match(pd.concat([findings, far]), nodules, none),
    )
    drawn = [
        drawn_sensitivities(m, FP_RATES, PATIENTS, num_resamples=20, seed=1)
        for m in (after, before)
    ]
    assert np.nanmax(drawn[0] - drawn[1], initial=0) <= 1e-12


@few
@given(FINDINGS, FINDINGS, MARKS, MARKS)
def test_the_difference_is_that_of_the_figures(
    findings: Table, others: Table, nodules: Table, excluded: Table
) -> None:
    one, other = _match(findings, nodules, excluded), _match(others, nodules, excluded)
    difference = froc_difference(one, other, PATIENTS, num_resamples=20)
    of_one, of_other = (froc_figures(m, PATIENTS, num_resamples=0).cpm.value for m in (one, other))
    if of_one is None or of_other is None:
        assert difference.cpm.value is None
        return
    assert difference.cpm.value is not None
    assert abs(difference.cpm.value - (of_one - of_other)) < 1e-12
    if difference.cpm.low is not None and difference.cpm.high is not None:
        assert -1 <= difference.cpm.low <= difference.cpm.high <= 1


@few
@given(FINDINGS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_cap_keeps_the_strongest_in_any_order(findings, cap, random) -> None:  # type: ignore[no-untyped-def]
    found = findings.astype({"score": float})
    kept = strongest_of_each_series(found, cap)
    shuffled = found.sample(frac=1, random_state=random.randint(0, 99))
    assert set(strongest_of_each_series(shuffled, cap).index) == set(kept.index)
    for uid in SERIES:
        of_series = found[found["series_uid"] == uid]["score"].sort_values(ascending=False)
        left = kept[kept["series_uid"] == uid]["score"]
        assert len(left) <= cap
        gone = of_series.drop(left.index)
        assert gone.empty or left.empty or left.min() > gone.max()
        # Nobody goes without need: one more score would be tied with one beyond the cap.
        assert gone.empty or (of_series >= gone.max()).sum() > cap


@few
@given(FINDINGS, MARKS, MARKS)
def test_a_cap_that_nobody_reaches_changes_nothing(
    findings: Table, nodules: Table, excluded: Table
) -> None:
    found = findings.astype({"score": float})
    assert strongest_of_each_series(found, 16).equals(found)
