# SPDX-License-Identifier: Apache-2.0
"""Batches with fixed shares, drawn from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.crops.sampling import Group, balanced_batches
from lung_pipeline.errors import AnnotationError

GROUPS = {
    "malignant": Group(np.array([3, 4]), 0.5),
    "benign": Group(np.array([10, 11, 12]), 0.25),
    "non-nodule": Group(np.arange(100, 200), 0.25),
}


def _batches(seed: int, size: int = 8, number: int = 20) -> list[list[int]]:
    drawn = balanced_batches(
        GROUPS, batch_size=size, num_batches=number, rng=np.random.default_rng(seed)
    )
    return [rows.tolist() for rows in drawn]


def test_whole_shares_are_met_exactly_in_every_batch() -> None:
    for rows in _batches(seed=1):
        counts = [sum(row in group.rows for row in rows) for group in GROUPS.values()]
        assert counts == [4, 2, 2]


def test_batches_are_repeated_by_the_seed_and_differ_between_seeds() -> None:
    assert _batches(seed=1) == _batches(seed=1)
    assert _batches(seed=1) != _batches(seed=2)


def test_groups_stand_mixed_within_a_batch() -> None:
    firsts = {rows[0] < 100 for rows in _batches(seed=1)}
    assert firsts == {True, False}


def test_every_row_of_a_group_is_drawn_sooner_or_later() -> None:
    drawn = {row for rows in _batches(seed=1, number=200) for row in rows}
    assert drawn >= {3, 4, 10, 11, 12}
    assert len(drawn & set(range(100, 200))) > 90


def test_a_batch_of_one_goes_round_by_chance() -> None:
    kinds = [rows[0] for rows in _batches(seed=1, size=1, number=200)]
    assert np.mean([kind < 10 for kind in kinds]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", list(GROUPS))
def test_an_empty_group_with_a_share_is_refused_by_name(name: str) -> None:
    groups = {**GROUPS, name: Group(np.array([], dtype=np.int64), 0.25)}
    with pytest.raises(AnnotationError, match=f"'{name}'"):
        next(balanced_batches(groups, batch_size=8, num_batches=1, rng=np.random.default_rng(1)))


def test_an_empty_group_without_a_share_is_passed_over() -> None:
    groups = {**GROUPS, "spare": Group(np.array([], dtype=np.int64), 0.0)}
    drawn = balanced_batches(groups, batch_size=8, num_batches=2, rng=np.random.default_rng(1))
    assert [len(rows) for rows in drawn] == [8, 8]


def test_shares_that_rounding_leaves_a_little_below_whole_numbers_are_drawn() -> None:
    # 0.9 of 1.2 times 8 is computed as a little less than 6.
    shares = {"a": 0.1, "b": 0.2, "c": 0.1 * 9}
    groups = {name: Group(np.array([n]), share) for n, (name, share) in enumerate(shares.items())}
    drawn = balanced_batches(groups, batch_size=8, num_batches=9, rng=np.random.default_rng(1))
    assert {int((rows == 2).sum()) for rows in drawn} == {6}
