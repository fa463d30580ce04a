# SPDX-License-Identifier: Apache-2.0
"""A window keeps its candidate at shape // 2, whatever border it meets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lung_pipeline.crops.windows import CROP_SHAPE_IRC, cut_window, read_window
from lung_pipeline.ct.geometry import Triple
from lung_pipeline.ct.hounsfield import AIR_HU, VoxelsHu

SHAPE_IRC = (5, 7, 9)
WINDOW_IRC = (4, 3, 6)


def _numbered() -> VoxelsHu:
    """Each voxel has a value of its own, none of them that of air."""
    return np.arange(np.prod(SHAPE_IRC), dtype=np.int16).reshape(SHAPE_IRC)


def test_a_crop_of_the_house_has_the_candidate_in_slice_16_row_24_column_24() -> None:
    voxels_hu = np.zeros((40, 60, 60), dtype=np.int16)
    voxels_hu[20, 30, 31] = 123
    crop = cut_window(voxels_hu, (20, 30, 31))
    assert crop.shape == CROP_SHAPE_IRC == (32, 48, 48)
    assert np.argwhere(crop == 123).tolist() == [[16, 24, 24]]


@pytest.mark.parametrize("center", list(itertools.product((0, 2, 4), (0, 3, 6), (0, 4, 8))))
def test_at_every_border_and_corner_the_candidate_stays_in_its_place(
    center: tuple[int, int, int],
) -> None:
    window = cut_window(_numbered(), center, WINDOW_IRC)
    assert window.shape == WINDOW_IRC
    assert window[2, 1, 3] == _numbered()[center]
    assert np.count_nonzero(window == _numbered()[center]) == 1


def test_what_leaves_the_volume_is_air() -> None:
    window = cut_window(_numbered(), (0, 0, 0), (4, 4, 4))
    assert (window[:2] == AIR_HU).all()
    assert (window[:, :2] == AIR_HU).all()
    assert (window[:, :, :2] == AIR_HU).all()
    np.testing.assert_array_equal(window[2:, 2:, 2:], _numbered()[:2, :2, :2])


@pytest.mark.parametrize("center", [(-3, 3, 4), (2, 30, 4), (2, 3, -2000), (7, 3, 4)])
def test_a_window_wholly_outside_is_air_and_reads_nothing(center: tuple[int, int, int]) -> None:
    def read(start: Triple, stop: Triple) -> VoxelsHu:
        pytest.fail(f"asked for {start} to {stop}")

    window = read_window(read, SHAPE_IRC, center, WINDOW_IRC)
    assert (window == AIR_HU).all()


def test_only_what_lies_inside_is_asked_for() -> None:
    asked: list[tuple[Triple, Triple]] = []

    def read(start: Triple, stop: Triple) -> VoxelsHu:
        asked.append((start, stop))
        return _numbered()[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]

    window = read_window(read, SHAPE_IRC, (4, 0, 4), WINDOW_IRC)
    assert asked == [((2, 0, 1), (5, 2, 7))]
    np.testing.assert_array_equal(window, cut_window(_numbered(), (4, 0, 4), WINDOW_IRC))


def test_a_window_is_a_copy() -> None:
    voxels_hu = _numbered()
    cut_window(voxels_hu, (2, 3, 4), WINDOW_IRC)[...] = 7
    np.testing.assert_array_equal(voxels_hu, _numbered())
