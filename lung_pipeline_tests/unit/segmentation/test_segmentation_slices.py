# SPDX-License-Identifier: Apache-2.0
"""Which whole slices are judged."""

from __future__ import annotations

import numpy as np
import pytest
from two_balls import GRID, LARGE, NODULES, SCAN, SMALL

from lung_pipeline.segmentation.patches import mark_nodules
from lung_pipeline.segmentation.slices import (
    MOST_WITHOUT_NODULE,
    num_without_nodule,
    pick_slices,
    whole_slices,
)


def test_nodules_are_numbered_and_together_are_the_truth() -> None:
    assert NODULES[2, 12, 10] == 1
    assert NODULES[7, 30, 40] == 2
    assert np.unique(NODULES).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(NODULES > 0, mark_nodules(SCAN, GRID, [SMALL, LARGE]))


def test_slices_are_those_where_nodules_are_largest_and_some_without() -> None:
    assert pick_slices(NODULES, 0, np.random.default_rng(1)) == (2, 7)
    picked = pick_slices(NODULES, 2, np.random.default_rng(1))
    others = sorted(set(picked) - {2, 7})
    assert len(others) == 2
    assert not NODULES[others].any()
    assert picked == pick_slices(NODULES, 2, np.random.default_rng(1))
    assert picked == tuple(sorted(picked))


def test_more_slices_of_a_nodule_end_where_it_ends() -> None:
    of_small = (NODULES == 1).any(axis=(1, 2)).sum()
    of_large = (NODULES == 2).any(axis=(1, 2)).sum()
    picked = pick_slices(NODULES, 0, np.random.default_rng(1), per_nodule=100)
    assert len(picked) == of_small + of_large


def test_series_without_a_nodule_is_judged_too() -> None:
    empty = np.zeros(GRID.shape_irc, dtype=np.int16)
    assert len(pick_slices(empty, 3, np.random.default_rng(1))) == 3
    assert pick_slices(empty, 100, np.random.default_rng(1)) == tuple(range(12))


def test_slices_are_copies() -> None:
    scan, nodules = SCAN.copy(), NODULES.copy()
    slices = whole_slices("a", scan, nodules, (2,))
    scan[:], nodules[:] = 0, 9
    assert slices.windows_hu[0, 3, 0, 0] == -850
    assert slices.nodules.max() == 1


@pytest.mark.parametrize(
    ("wanted", "num_series", "num"),
    [
        pytest.param(4, 5, 4, id="few series: all that are wanted"),
        pytest.param(4, 40, 4, id="160 would be too many, 3 each too few"),
        pytest.param(4, 128, 1, id="one each"),
        pytest.param(0, 5, 0, id="none"),
        pytest.param(4, 0, 4, id="no series"),
    ],
)
def test_many_series_get_fewer_slices_each(wanted: int, num_series: int, num: int) -> None:
    assert {num_without_nodule(wanted, num_series, k) for k in range(max(num_series, 1))} == {num}
    assert num * num_series < MOST_WITHOUT_NODULE + num_series


@pytest.mark.parametrize("num_series", [129, 130, 500])
def test_of_more_series_than_slices_some_get_none_and_they_lie_apart(num_series: int) -> None:
    """LUNA16's validation part has 130."""
    nums = [num_without_nodule(4, num_series, number) for number in range(num_series)]
    assert sum(nums) == MOST_WITHOUT_NODULE
    assert set(nums) == {0, 1}
    begun = np.cumsum(nums) - np.arange(1, num_series + 1) * MOST_WITHOUT_NODULE / num_series
    assert np.abs(begun).max() < 1
    assert sum(num_without_nodule(0, num_series, number) for number in range(num_series)) == 0
