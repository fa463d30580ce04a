# SPDX-License-Identifier: Apache-2.0
"""A reader's ring lies just outside: worked out by hand on small masks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.phantom.contours import draw_rings, trace
from lung_pipeline.phantom.nodules import Form, draw_form

_GRID = VoxelGrid((40, 60, 60), (2.0, 0.5, 0.5), (-15.0, -15.0, -40.0))


def test_ring_around_one_pixel_is_its_four_neighbours_closed() -> None:
    mask = np.zeros((5, 5), dtype=np.bool_)
    mask[2, 2] = True
    assert trace(mask) == [(1, 2), (2, 3), (3, 2), (2, 1), (1, 2)]


def test_only_the_largest_island_is_drawn_and_its_hole_filled() -> None:
    mask = np.zeros((12, 12), dtype=np.bool_)
    mask[3:8, 3:8] = True
    mask[5, 5] = False
    mask[9, 9] = True
    assert _inside(trace(mask), mask.shape).sum() == 25


def test_pixels_inside_a_ring_are_the_nodule() -> None:
    form = draw_form(np.random.default_rng(3), "lobulated", 9.0)
    for ring in draw_rings(form, (0.3, -0.2, 0.1), _GRID, 0.0):
        columns = np.arange(60) * 0.5 - 15.0 - 0.3
        rows = np.arange(60) * 0.5 - 15.0 + 0.2
        distance = form.distance(columns[None, :], rows[:, None], np.array(ring.z_mm - 0.1))
        inside = _inside([(row, column) for column, row in ring.pixels_xy], (60, 60))
        np.testing.assert_array_equal(inside, distance < 0.0)
        assert all(distance[row, column] >= 0.0 for column, row in ring.pixels_xy)


def test_rings_name_the_slices_that_cut_the_ball() -> None:
    ball = Form(np.array([[0, 0, 0, 0, 0, 0, 3.0, 3.0]]), 0.0, (1.0, 1.0, 1.0))
    rings = draw_rings(ball, (0.0, 0.0, 0.0), _GRID, 0.0)
    assert [ring.z_mm for ring in rings] == [-2.0, 0.0, 2.0]
    assert [ring.index for ring in rings] == [19, 20, 21]


def _inside(ring: list[tuple[int, int]], shape: tuple[int, int]) -> np.ndarray:
    wall = np.zeros(shape, dtype=np.bool_)
    wall[tuple(np.transpose(ring))] = True
    return np.asarray(ndimage.binary_fill_holes(wall) & ~wall)
