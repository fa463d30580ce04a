# SPDX-License-Identifier: Apache-2.0
"""Masks grown from a centre, on nodules whose true voxels are known."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from lung_pipeline.ct.hounsfield import DENSE_HU, VoxelsHu
from lung_pipeline.segmentation.masks import SIZE_MARGIN, grow_mask

LUNG_HU, TISSUE_HU = -850, 30

Triple = tuple[int, int, int]


def _ball(
    shape: Triple, center: Triple, radius_mm: float, spacing_irc_mm: tuple[float, float, float]
) -> npt.NDArray[np.bool_]:
    offsets = np.meshgrid(
        *((np.arange(n) - c) * s for n, c, s in zip(shape, center, spacing_irc_mm, strict=True)),
        indexing="ij",
    )
    return sum(offset**2 for offset in offsets) <= radius_mm**2


def _lung_with(dense: npt.NDArray[np.bool_]) -> VoxelsHu:
    return np.where(dense, TISSUE_HU, LUNG_HU).astype(np.int16)


def _line_in_lung(first: int, last: int, axis: int) -> VoxelsHu:
    """A rod of tissue through (10, 10, 10) along one axis, from one voxel to another."""
    rod = np.zeros((21, 21, 21), dtype=bool)
    np.moveaxis(rod, axis, 0)[first : last + 1, 10, 10] = True
    return _lung_with(rod)


def _run(mask: npt.NDArray[np.bool_], axis: int) -> list[int]:
    return np.flatnonzero(np.moveaxis(mask, axis, 0)[:, 10, 10]).tolist()


@pytest.mark.parametrize("spacing_irc_mm", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7), (1.25, 0.8, 0.6)])
def test_a_ball_in_lung_is_marked_voxel_by_voxel(
    spacing_irc_mm: tuple[float, float, float],
) -> None:
    ball = _ball((25, 31, 33), (12, 15, 16), 5.2, spacing_irc_mm)
    mask = grow_mask(_lung_with(ball), (12, 15, 16), 10.4, spacing_irc_mm)
    np.testing.assert_array_equal(mask, ball)


@pytest.mark.parametrize(("axis", "side"), list(itertools.product(range(3), (1, -2))))
def test_a_nodule_at_the_border_ends_there_and_never_wraps(axis: int, side: int) -> None:
    shape = (20, 22, 24)
    center = [9, 10, 11]
    center[axis] = side % shape[axis]
    at = (center[0], center[1], center[2])
    ball = _ball(shape, at, 4.0, (1, 1, 1))
    voxels_hu = _lung_with(ball)
    # Tissue at the other end of the same lines: what wraps would take it in.
    opposite = np.moveaxis(voxels_hu, axis, 0)
    opposite[-3:] = TISSUE_HU if side == 1 else opposite[-3:]
    opposite[:3] = TISSUE_HU if side == -2 else opposite[:3]
    np.testing.assert_array_equal(grow_mask(voxels_hu, at, 8.0, (1, 1, 1)), ball)


@pytest.mark.parametrize("corner", list(itertools.product((0, 9), repeat=3)))
def test_a_centre_in_the_very_corner_is_marked(corner: Triple) -> None:
    ball = _ball((10, 10, 10), corner, 3.0, (1, 1, 1))
    np.testing.assert_array_equal(grow_mask(_lung_with(ball), corner, 6.0, (1, 1, 1)), ball)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("first", "last"), [(9, 14), (6, 11), (10, 14), (6, 10)])
def test_lung_close_on_one_side_does_not_shrink_the_other(axis: int, first: int, last: int) -> None:
    # The reference design stops on both sides at the first lung voxel of either.
    mask = grow_mask(_line_in_lung(first, last, axis), (10, 10, 10), 8.0, (1, 1, 1))
    assert _run(mask, axis) == list(range(first, last + 1))
    assert np.count_nonzero(mask) == last - first + 1


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("forward", [True, False])
def test_a_nodule_on_the_wall_grows_into_it_no_further_than_its_size(
    axis: int, *, forward: bool
) -> None:
    # From 2 voxels on one side of the centre to the end of the array on the other.
    line = _line_in_lung(8, 20, axis) if forward else _line_in_lung(0, 12, axis)
    mask = grow_mask(line, (10, 10, 10), 8.0, (1, 1, 1))
    reach = int(np.ceil(SIZE_MARGIN * 8 / 2))
    assert reach == 5
    expected = range(8, 10 + reach + 1) if forward else range(10 - reach, 13)
    assert _run(mask, axis) == list(expected)


def test_the_cap_counts_millimetres_along_each_axis() -> None:
    solid = np.full((41, 41, 41), TISSUE_HU, dtype=np.int16)
    mask = grow_mask(solid, (20, 20, 20), 8.0, (2.5, 1.0, 0.5))
    extents = [np.ptp(axis) + 1 for axis in np.nonzero(mask)]
    assert extents == [2 * 2 + 1, 2 * 5 + 1, 2 * 10 + 1]
    assert np.count_nonzero(mask) == np.prod(extents)


def test_a_nodule_smaller_than_a_slice_may_reach_its_neighbours() -> None:
    solid = np.full((9, 9, 9), TISSUE_HU, dtype=np.int16)
    mask = grow_mask(solid, (4, 4, 4), 3.0, (5.0, 5.0, 5.0))
    assert np.count_nonzero(mask) == 27


def test_thin_voxels_within_the_box_are_left_out() -> None:
    ball = _ball((21, 21, 21), (10, 10, 10), 5.0, (1, 1, 1))
    voxels_hu = _lung_with(ball)
    voxels_hu[11, 11, 11] = DENSE_HU  # the threshold itself is lung
    voxels_hu[9, 9, 9] = DENSE_HU + 1
    mask = grow_mask(voxels_hu, (10, 10, 10), 10.0, (1, 1, 1))
    assert not mask[11, 11, 11]
    assert np.count_nonzero(ball) - np.count_nonzero(mask) == 1


def test_ground_glass_below_the_threshold_is_marked_at_its_centre() -> None:
    ball = _ball((21, 21, 21), (10, 10, 10), 5.0, (1, 1, 1))
    faint = np.where(ball, -750, LUNG_HU).astype(np.int16)
    assert np.argwhere(grow_mask(faint, (10, 10, 10), 10.0, (1, 1, 1))).tolist() == [[10, 10, 10]]


def test_ground_glass_with_a_thin_centre_is_marked_around_it() -> None:
    ball = _ball((21, 21, 21), (10, 10, 10), 4.0, (1, 1, 1))
    glass = np.where(ball, -600, LUNG_HU).astype(np.int16)
    glass[10, 10, 10] = -720
    np.testing.assert_array_equal(grow_mask(glass, (10, 10, 10), 8.0, (1, 1, 1)), ball)


def test_the_volume_is_left_as_it_is() -> None:
    voxels_hu = _line_in_lung(8, 12, 0)
    before = voxels_hu.copy()
    grow_mask(voxels_hu, (10, 10, 10), 8.0, (1, 1, 1))
    np.testing.assert_array_equal(voxels_hu, before)
