# SPDX-License-Identifier: Apache-2.0
"""Batches with fixed shares, whose order follows from a seed and the number of the epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from lung_pipeline.crops.sampling import BalancedSampler, Group
from lung_pipeline.errors import AnnotationError, SettingError

GROUPS = {
    "malignant": Group(np.array([3, 4]), 0.5),
    "benign": Group(np.array([10, 11, 12]), 0.25),
    "non-nodule": Group(np.arange(100, 200), 0.25),
}


def _sampler(
    seed: int = 1, size: int = 8, number: int = 20, groups: Mapping[str, Group] = GROUPS
) -> BalancedSampler:
    return BalancedSampler(groups, batch_size=size, num_batches=number, seed=seed)


def _epoch(sampler: BalancedSampler, number: int = 1) -> list[list[int]]:
    return [rows.tolist() for rows in sampler.epoch(number)]


def _drawn(sampler: BalancedSampler, *epochs: int) -> list[int]:
    return [row for number in epochs for rows in sampler.epoch(number) for row in rows.tolist()]


def _one(num_rows: int, scores: np.ndarray | None = None) -> dict[str, Group]:
    return {"all": Group(np.arange(num_rows), 1.0, scores)}


def test_whole_shares_are_met_exactly_in_every_batch() -> None:
    for rows in _epoch(_sampler()):
        counts = [sum(row in group.rows for row in rows) for group in GROUPS.values()]
        assert counts == [4, 2, 2]


def test_epochs_are_repeated_by_the_seed_and_differ_between_seeds_and_epochs() -> None:
    assert _epoch(_sampler(seed=1)) == _epoch(_sampler(seed=1))
    assert _epoch(_sampler(seed=1)) != _epoch(_sampler(seed=2))
    assert _epoch(_sampler(), 1) != _epoch(_sampler(), 2)


def test_an_epoch_alone_is_the_same_as_after_others() -> None:
    went_through = _sampler()
    for number in (1, 2, 3):
        went_through.epoch(number)
    assert _epoch(went_through, 4) == _epoch(_sampler(), 4)


def test_groups_stand_mixed_within_a_batch() -> None:
    firsts = {rows[0] < 100 for rows in _epoch(_sampler())}
    assert firsts == {True, False}


def test_every_row_is_met_before_one_is_met_twice_over_the_borders_of_epochs() -> None:
    # 7 rows, 3 batches of 2 an epoch: after 6 draws six rows are met once, after 12 five twice ...
    sampler = _sampler(size=2, number=3, groups=_one(7))
    met = Counter(range(7))
    for number in range(1, 8):
        met.update(_drawn(sampler, number))
        twice = 6 * number % 7
        expected = [1 + 6 * number // 7] * (7 - twice) + [2 + 6 * number // 7] * twice
        assert sorted(met.values()) == expected


def test_packs_are_shuffled_anew() -> None:
    sampler = _sampler(size=7, number=1, groups=_one(7))
    assert len({tuple(rows) for number in range(1, 9) for rows in _epoch(sampler, number)}) == 8


def test_odd_rows_fall_on_other_batches_in_other_epochs() -> None:
    groups = {"a": Group(np.array([0]), 0.5), "b": Group(np.array([1]), 0.5)}
    sampler = _sampler(size=1, number=20, groups=groups)
    epochs = [_epoch(sampler, number) for number in (1, 2, 3)]
    assert [sum(row for rows in epoch for row in rows) for epoch in epochs] == [10, 10, 10]
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("name", list(GROUPS))
def test_an_empty_group_with_a_share_is_refused_by_name(name: str) -> None:
    groups = {**GROUPS, name: Group(np.array([], dtype=np.int64), 0.25)}
    with pytest.raises(AnnotationError, match=f"'{name}'"):
        _sampler(groups=groups)


def test_an_empty_group_without_a_share_is_passed_over() -> None:
    groups = {**GROUPS, "spare": Group(np.array([], dtype=np.int64), 0.0)}
    assert [len(rows) for rows in _sampler(groups=groups).epoch(1)] == [8] * 20


def test_shares_that_rounding_leaves_a_little_below_whole_numbers_are_drawn() -> None:
    # 0.9 of 1.2 times 8 is computed as a little less than 6.
    shares = {"a": 0.1, "b": 0.2, "c": 0.1 * 9}
    groups = {name: Group(np.array([n]), share) for n, (name, share) in enumerate(shares.items())}
    assert {rows.count(2) for rows in _epoch(_sampler(number=9, groups=groups))} == {6}


def test_the_hardest_tenth_comes_nine_times_as_often() -> None:
    scores = np.linspace(0, 1, 100)
    scores[[7, 8]] = 2.0, np.nan  # the hardest, and one that nobody has looked at
    sampler = _sampler(size=10, number=18, groups=_one(100, scores))
    met = Counter(_drawn(sampler, *range(1, 11)))
    hard = {7, *range(91, 100)}
    assert {met[row] for row in hard} == {90}
    assert {met[row] for row in set(range(100)) - hard} == {10}


def test_a_row_whose_score_is_unknown_is_never_a_hard_one() -> None:
    scores = np.full(100, np.nan)
    scores[97:] = 0.1, 0.2, 0.3
    met = Counter(_drawn(_sampler(size=10, number=194, groups=_one(100, scores)), 1, 2, 3))
    # As often as each row of a full tenth: 0.5 / 10 of 5820 draws.
    assert {met[row] for row in (97, 98, 99)} == {291}
    # The rest of the draws goes round the rows that nobody has looked at.
    assert {met[row] for row in range(97)} == {51}


def test_scores_of_which_none_is_known_are_no_scores() -> None:
    known_of_none = _one(100, np.full(100, np.nan))
    assert _epoch(_sampler(groups=known_of_none)) == _epoch(_sampler(groups=_one(100)))


@pytest.mark.parametrize("share", [0.01, 0.0125])
def test_a_share_of_less_than_a_row_an_epoch_is_refused_by_name(share: float) -> None:
    groups = {
        "a": Group(np.array([0]), 0.5),
        "b": Group(np.array([1]), 0.5 - share),
        "rare": Group(np.array([2]), share),
    }
    with pytest.raises(SettingError, match=r"'rare'.*at least one crop an epoch"):
        _sampler(size=8, number=5, groups=groups)
    assert 2 in _drawn(_sampler(size=8, number=20, groups=groups), 1)


def test_what_rounding_leaves_of_a_share_of_nothing_is_passed_over() -> None:
    groups = {
        "a": Group(np.array([0]), 0.7),
        "b": Group(np.array([1]), 0.3),
        "none": Group(np.array([2]), 1 - 0.7 - 0.3),
    }
    assert groups["none"].share > 0
    assert set(_drawn(_sampler(groups=groups), 1)) == {0, 1}


def test_every_batch_has_its_hard_rows() -> None:
    groups = {
        "nodule": Group(np.arange(100, 120), 0.5),
        "non-nodule": Group(np.arange(100), 0.5, np.arange(100.0)),
    }
    for rows in _epoch(_sampler(size=8, groups=groups)):
        assert [sum(90 <= row < 100 for row in rows), sum(row < 90 for row in rows)] == [2, 2]


@pytest.mark.parametrize("num_rows", [1, 2, 11])
def test_a_small_group_with_scores_is_drawn_whole(num_rows: int) -> None:
    groups = _one(num_rows, np.arange(float(num_rows)))
    assert set(_drawn(_sampler(groups=groups), 1)) == set(range(num_rows))
