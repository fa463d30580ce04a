# SPDX-License-Identifier: Apache-2.0
"""Whether slices stand beside their neighbours, by their pictures alone."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.ct.slice_order import coarse_pictures, disorder, doubled_slices


def ramp(count: int = 40, noise: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Each slice 10 HU above the one before, on 32 x 32 pixels."""
    levels = np.arange(count)[:, None, None] * 10 - 200
    voxels = levels + np.random.default_rng(0).normal(0, noise, (count, 32, 32))
    return np.rint(voxels).astype(np.int16)


def test_coarse_picture_is_the_mean_of_blocks_of_every_other_pixel() -> None:
    voxels_hu = np.zeros((1, 33, 35), np.int16)
    voxels_hu[0, :16, 16:32:2] = 40  # one block of four, its even columns
    voxels_hu[0, 1::2] = 999  # odd rows are not looked at
    np.testing.assert_array_equal(coarse_pictures(voxels_hu), [[[0, 40], [0, 0]]])


@pytest.mark.parametrize("step", [1, 2, 5])
def test_even_change_along_the_body_is_half_at_each_step(step: int) -> None:
    # 10 HU a slice: step apart 10 * step, twice as far apart 20 * step.
    assert disorder(coarse_pictures(ramp()), step) == pytest.approx(0.5)


def test_halves_in_turn_are_in_order_at_two_and_in_none_at_one() -> None:
    pictures = coarse_pictures(ramp()[np.arange(40).reshape(2, 20).T.ravel()])
    # 0, 20, 1, 21 ...: neighbours 200 and 190 HU apart, 20 and 19 of the 39; next but one 10.
    assert disorder(pictures, 1) == pytest.approx((20 * 200 + 19 * 190) / 39 / 10)
    assert disorder(pictures, 2) == pytest.approx(0.5)


def test_shuffled_slices_are_in_no_order() -> None:
    order = np.random.default_rng(2).permutation(40)
    assert disorder(coarse_pictures(ramp()[order]), 2) > 0.8


@pytest.mark.parametrize("shape_irc", [(4, 32, 32), (9, 14, 32), (9, 32, 14)])
def test_too_little_to_tell_is_no_disorder(shape_irc: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(0).normal(0, 99, shape_irc).astype(np.int16)
    assert disorder(coarse_pictures(noise), 2) == 0.0


def test_doubled_slices_are_those_that_equal_the_one_before() -> None:
    voxels_hu = ramp(noise=20)
    assert doubled_slices(voxels_hu) == []
    voxels_hu[8], voxels_hu[30], voxels_hu[31] = voxels_hu[7], voxels_hu[29], voxels_hu[29]
    assert doubled_slices(voxels_hu) == [8, 30, 31]


def test_empty_slices_at_the_end_are_not_doubled() -> None:
    voxels_hu = ramp(noise=20)
    voxels_hu[36:] = -1000
    assert doubled_slices(voxels_hu) == []
