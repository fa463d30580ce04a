# SPDX-License-Identifier: Apache-2.0
"""Boxes and depths of masks that can be drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.lungs import BoxIrc, Lungs

GRID = VoxelGrid((40, 61, 60), (1.0, 2.0, 1.0), (0.0, 0.0, 0.0))
STEP = (2, 3, 5)


def _lungs(*blocks: tuple[slice, slice, slice]) -> Lungs:
    mask = np.zeros((20, 21, 12), dtype=np.bool_)
    for block in blocks:
        mask[block] = True
    return Lungs(mask, STEP, GRID)


LOW, HIGH = np.s_[5:8, 2:4, 3:6], np.s_[12:15, 10:12, 8:10]
"""Voxels 10-16, 6-12, 15-30 and 24-30, 30-36, 40-50."""


@pytest.mark.parametrize(
    ("margin_mm", "slices", "box"),
    [
        (0.0, None, ((10, 6, 15), (30, 36, 50))),
        (4.0, None, ((6, 4, 11), (34, 38, 54))),
        (3.5, None, ((6, 4, 11), (34, 38, 54))),  # whole voxels, never less than the margin
        (100.0, None, ((0, 0, 0), (40, 61, 60))),
        (0.0, range(20), ((10, 6, 15), (16, 12, 30))),
        (0.0, range(12, 14), ((12, 6, 15), (14, 12, 30))),
        (0.0, range(16, 24), None),
        (0.0, range(13, 25), ((13, 6, 15), (25, 36, 50))),
        # Just below the lungs the margin reaches in.
        (4.0, range(8), ((6, 4, 11), (8, 14, 34))),
        (4.0, range(6), None),
        (4.0, range(16, 20), ((16, 4, 11), (20, 14, 34))),
        (4.0, range(35, 40), None),
    ],
)
def test_a_box_holds_the_lungs_and_a_margin(
    margin_mm: float, slices: range | None, box: BoxIrc | None
) -> None:
    assert _lungs(LOW, HIGH).box(margin_mm, slices) == box


def test_a_last_cell_of_fewer_voxels_ends_with_the_volume() -> None:
    lungs = _lungs(np.s_[:, 18:21, :])
    assert lungs.box(0.0) == ((0, 54, 0), (40, 61, 60))


def test_depth_is_exact_for_a_block() -> None:
    # Millimetres from the corner: 10-16, 12-24, 15-30.
    lungs = _lungs(LOW)
    points_mm = [(13, 18, 22.5), (11, 18, 22.5), (10, 18, 22.5), (7, 18, 22.5), (6, 9, 22.5)]
    points_irc = np.array(points_mm) / GRID.spacing_irc_mm - 0.5
    np.testing.assert_allclose(lungs.depth_mm(points_irc), [3, 1, 0, -3, -5], atol=1e-9)


def test_depth_far_outside_and_off_the_volume_is_the_distance_too() -> None:
    points_irc = np.array([(-100.5, 8, 20), (12, 8, 129.5)])
    np.testing.assert_allclose(_lungs(LOW).depth_mm(points_irc), [-110, -100], atol=1e-9)


def test_the_end_of_the_scan_is_no_border() -> None:
    lungs = _lungs(np.s_[:3, :, :])
    np.testing.assert_allclose(lungs.depth_mm([(0, 0, 0), (7, 30, 30)]), [5.5, -1.5])


def test_a_mask_of_nothing_or_of_all_has_no_border() -> None:
    assert _lungs().depth_mm([(1, 1, 1)]).tolist() == [-np.inf]
    assert _lungs(np.s_[:, :, :]).depth_mm([(1, 1, 1)]).tolist() == [np.inf]
    assert _lungs(LOW).depth_mm(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("width", "is_cut"), [(0, False), (1, False), (2, True)], ids=["none", "a windpipe", "lungs"]
)
def test_lungs_are_cut_where_the_end_holds_a_twentieth_of_the_largest_slice(
    width: int, *, is_cut: bool
) -> None:
    # The largest layer has 20 x 4 = 80 cells; a twentieth of it is 4.
    lungs = _lungs(np.s_[1:19, 0:20, 4:8], np.s_[0:1, 0:4, 0:width], np.s_[19:20, 0:4, 0:width])
    assert lungs.is_cut_below == is_cut
    assert lungs.is_cut_above == is_cut


def test_volume_is_that_of_the_cells() -> None:
    assert _lungs(LOW).volume_ml == pytest.approx(3 * 2 * 3 * (2 * 6 * 5) / 1000)
