# SPDX-License-Identifier: Apache-2.0
"""Laws of the split and of the table of candidates, for any scans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.annotations.candidates import build_candidates
from lung_pipeline.annotations.neighbours import first_of_clusters, inside_any, nearest
from lung_pipeline.annotations.rules import RULES
from lung_pipeline.annotations.splits import PARTS, SplitRule, patients_in_two_parts

SERIES = [f"1.2.{number}" for number in range(8)]
SEEDS = st.integers(0, 10_000)


def _marks(rng: np.random.Generator, rows: int, step_mm: float = 1.5) -> pd.DataFrame:
    # Coordinates on a coarse lattice, so that ties and marks in nodules do happen.
    points = rng.integers(-12, 12, size=(rows, 3)) * step_mm
    table = pd.DataFrame(points, columns=["x_mm", "y_mm", "z_mm"])
    table.insert(0, "series_uid", rng.choice(SERIES, size=rows))
    return table


def _inputs(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    nodules = _marks(rng, 12).drop_duplicates()
    candidates = _marks(rng, 60, step_mm=rng.choice([0.25, 0.5, 1.5]))
    rated = nodules.iloc[::2]
    texts = [",".join(map(str, rng.integers(1, 6, size=rng.integers(1, 5)))) for _ in rated.index]
    patients = [f"patient-{number}" for number in rng.integers(0, 4, size=6)]
    excluded = _marks(rng, 10)
    rules = list(RULES.values())
    return {
        "subset": "subset0",
        "series_uids": SERIES[:6],
        "annotations": nodules.assign(diameter_mm=rng.uniform(3, 20, size=len(nodules))),
        "candidates": candidates.assign(is_nodule=rng.random(len(candidates)) < 0.1),
        "excluded": excluded.assign(diameter_mm=rng.choice([-1.0, 3.0, 8.0], size=10)),
        "ratings": rated.assign(ratings=texts),
        "patients": pd.DataFrame({"series_uid": SERIES[1:7], "patient_id": patients}),
        "split": SplitRule(seed),
        "rule": rules[seed % len(rules)](),
    }


def _shuffled(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, pd.DataFrame):
        return value.iloc[rng.permutation(len(value))]
    return [value[k] for k in rng.permutation(len(value))] if isinstance(value, list) else value


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_no_patient_stands_in_two_parts_under_any_seed(seed: int) -> None:
    table = build_candidates(**_inputs(seed)).table

    assert not table.empty
    assert patients_in_two_parts(table) == []


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_order_of_the_inputs_does_not_change_the_table(seed: int) -> None:
    inputs, rng = _inputs(seed), np.random.default_rng(seed + 1)

    first = build_candidates(**inputs)
    second = build_candidates(**{name: _shuffled(value, rng) for name, value in inputs.items()})

    pd.testing.assert_frame_equal(first.table, second.table)
    assert first.counts == second.counts


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_adding_series_leaves_the_rows_of_the_others_as_they_were(seed: int) -> None:
    inputs = _inputs(seed)

    few = build_candidates(**(inputs | {"series_uids": SERIES[:3]})).table
    more = build_candidates(**inputs).table

    kept = more[more["series_uid"].isin(SERIES[:3])].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, kept)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_every_row_of_the_sources_went_somewhere(seed: int) -> None:
    inputs = _inputs(seed)

    counts = build_candidates(**inputs).counts

    nodules = counts["nodules"] + counts["annotations_of_absent_series"]
    gone = ("inside_nodules", "on_excluded")
    others = ("negatives", *(f"negatives_{why}" for why in gone), "near_duplicates_merged")
    not_of_here = ("candidates_of_class_1", "candidates_of_absent_series")
    negatives = sum(counts[name] for name in (*others, *not_of_here))
    assert nodules == len(inputs["annotations"])
    assert negatives == len(inputs["candidates"])
    labels = ("malignant", "benign", "left_out", "unrated")
    assert counts["nodules"] == sum(counts[name] for name in labels)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, train=st.floats(0.1, 0.8), validation=st.floats(0, 0.2))
def test_shares_are_approached_for_many_patients(
    seed: int, train: float, validation: float
) -> None:
    rule, number = SplitRule(seed, train, validation), 4_000

    parts = [rule.part_of(f"patient-{k}") for k in range(number)]

    shares = [train, validation, 1 - train - validation]
    for part, share in zip(PARTS, shares, strict=True):
        # Five standard deviations of a binomial share, at most 0.04.
        tolerance = 5 * (share * (1 - share) / number) ** 0.5 + 1e-9
        assert abs(parts.count(part) / number - share) <= tolerance


def _apart_mm(table: pd.DataFrame, others: pd.DataFrame) -> Any:
    """Distances of every row to every other row, pair by pair; infinite between two series."""
    columns = ["x_mm", "y_mm", "z_mm"]
    offset = table[columns].to_numpy()[:, None] - others[columns].to_numpy()[None]
    same = table["series_uid"].to_numpy()[:, None] == others["series_uid"].to_numpy()[None]
    return np.where(same, np.linalg.norm(offset, axis=2), np.inf)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_negatives_lie_apart_and_outside_of_what_is_marked(seed: int) -> None:
    inputs = _inputs(seed)
    excluded = inputs["excluded"]
    unknown = excluded["diameter_mm"] < 0

    table = build_candidates(**inputs).table

    negatives = table[~table["is_nodule"]]
    marks = pd.concat([inputs["annotations"], excluded.assign(diameter_mm=10.0)[unknown]])
    marks = pd.concat([marks, excluded[~unknown]])
    assert (_apart_mm(negatives, marks) > marks["diameter_mm"].to_numpy() / 2).all()
    apart_mm = _apart_mm(negatives, negatives)
    np.fill_diagonal(apart_mm, np.inf)
    assert (apart_mm > 1).all()


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, within_mm=st.sampled_from([0.5, 1.0, 1.3, 4.0]))
def test_clusters_are_those_of_a_walk_from_row_to_row(seed: int, within_mm: float) -> None:
    rng = np.random.default_rng(seed)
    table = _marks(rng, 60, step_mm=0.5).sort_values(["series_uid", "z_mm", "y_mm", "x_mm"])
    near = _apart_mm(table, table) <= within_mm
    firsts, reached = [], np.zeros(len(table), dtype=bool)
    for row in range(len(table)):
        if not reached[row]:
            firsts.append(table.iloc[row].tolist())
            front = near[row]
            while (front & ~reached).any():
                reached |= front
                front = near[reached].any(axis=0)
    shuffled = table.iloc[rng.permutation(len(table))]

    found = shuffled.iloc[first_of_clusters(shuffled, within_mm)]

    assert found.sort_values(["series_uid", "z_mm", "y_mm", "x_mm"]).to_numpy().tolist() == firsts


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_one_search_over_all_series_equals_a_search_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table, balls = _marks(rng, 40), _marks(rng, 15)
    radius_mm = rng.uniform(0.5, 12, size=15)
    distance_mm = _apart_mm(table, balls)

    position, found = nearest(table, balls, within_mm=6.2)

    assert (
        inside_any(table, balls, radius_mm).tolist() == (distance_mm <= radius_mm).any(1).tolist()
    )
    assert found.tolist() == (distance_mm.min(axis=1) < 6.2).tolist()
    np.testing.assert_allclose(
        distance_mm[np.arange(40), position][found], distance_mm.min(axis=1)[found]
    )
