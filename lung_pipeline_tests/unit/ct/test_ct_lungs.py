# SPDX-License-Identifier: Apache-2.0
"""The lungs of a chest made of ellipsoids, whole, cut, diseased, or absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simple_chest import GRID, LEFT_MM, RIGHT_MM, Mask, axes_mm, chest, ellipsoid, lung

from lung_pipeline.ct.cells import spread
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.lungs import Lungs, find_lungs

CHEST = chest()
BOTH = lung(LEFT_MM) | lung(RIGHT_MM)
WHOLE = find_lungs(CHEST, GRID)


def _voxels(lungs: Lungs) -> Mask:
    return spread(lungs.mask, lungs.step_irc, lungs.grid.shape_irc)


def _dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def _part(first: int, stop: int) -> tuple[VoxelsHu, VoxelGrid]:
    return CHEST[first:stop], replace(GRID, shape_irc=(stop - first, *GRID.shape_irc[1:]))


def _irc(point_mm: tuple[float, ...]) -> list[float]:
    return [mm / s - 0.5 for mm, s in zip(point_mm, GRID.spacing_irc_mm, strict=True)]


def test_the_lungs_of_a_simple_chest_are_found() -> None:
    assert _dice(_voxels(WHOLE), BOTH) > 0.96
    assert WHOLE.volume_ml == pytest.approx(BOTH.sum() * GRID.voxel_volume_mm3 / 1000, rel=0.05)
    assert not WHOLE.is_cut_below
    assert not WHOLE.is_cut_above


@pytest.mark.parametrize(
    "point_mm",
    [
        pytest.param((25.0, 80.0, 285.0), id="gas in the bowel"),
        pytest.param((25.0, 140.0, 150.0), id="gas in a narrow loop"),
        pytest.param((165.0, 275.0, 209.0), id="foam in the table"),
        pytest.param((165.0, 140.0, 5.0), id="air beside the body"),
        pytest.param((325.0, 120.0, 209.0), id="windpipe above"),
    ],
)
def test_other_air_is_no_lung(point_mm: tuple[float, ...]) -> None:
    nearest = np.floor(np.add(_irc(point_mm), 0.5)).astype(int)
    assert CHEST[tuple(nearest)] < -800
    assert WHOLE.depth_mm([_irc(point_mm)])[0] < -5


@pytest.mark.parametrize(
    ("first", "stop", "below", "above"),
    [(0, 60, False, True), (50, 110, True, False), (35, 75, True, True), (0, 110, False, False)],
)
def test_lungs_that_the_scan_cuts_off_are_found_and_said_to_be_cut(
    first: int, stop: int, *, below: bool, above: bool
) -> None:
    lungs = find_lungs(*_part(first, stop))
    assert _dice(_voxels(lungs), BOTH[first:stop]) > 0.95
    assert (lungs.is_cut_below, lungs.is_cut_above) == (below, above)


def test_one_lung_is_enough() -> None:
    voxels_hu = CHEST.copy()
    voxels_hu[lung(LEFT_MM)] = 30
    lungs = find_lungs(voxels_hu, GRID)
    assert _dice(_voxels(lungs), lung(RIGHT_MM)) > 0.95


def test_emphysema_is_lung() -> None:
    # Half of the voxels below -950 HU, which is what emphysema is told by.
    voxels_hu = CHEST.copy()
    voxels_hu[BOTH] -= 100
    assert (voxels_hu[BOTH] < -950).mean() > 0.4
    lungs = find_lungs(np.clip(voxels_hu, -1000, 1000), GRID)
    assert _dice(_voxels(lungs), BOTH) > 0.95


@pytest.mark.parametrize("diameter_mm", [30.0, 60.0])
def test_a_mass_within_a_lung_is_inside(diameter_mm: float) -> None:
    voxels_hu = CHEST.copy()
    voxels_hu[ellipsoid(LEFT_MM, (diameter_mm / 2,) * 3)] = 40
    lungs = find_lungs(voxels_hu, GRID)
    assert lungs.depth_mm([_irc(LEFT_MM)])[0] > 45


@pytest.mark.parametrize("inward_mm", [6.0, 10.0, 14.0])
def test_a_mass_of_30_mm_at_the_wall_has_its_centre_inside(inward_mm: float) -> None:
    middle_mm = (LEFT_MM[0], LEFT_MM[1], LEFT_MM[2] + 60.0 - inward_mm)
    voxels_hu = CHEST.copy()
    voxels_hu[ellipsoid(middle_mm, (15.0,) * 3)] = 40
    assert find_lungs(voxels_hu, GRID).depth_mm([_irc(middle_mm)])[0] > -3


def test_a_mass_that_the_scan_cuts_through_is_inside() -> None:
    voxels_hu, grid = _part(0, 56)
    voxels_hu = voxels_hu.copy()
    voxels_hu[ellipsoid(LEFT_MM, (17.0,) * 3, grid)] = 40
    assert find_lungs(voxels_hu, grid).depth_mm([_irc(LEFT_MM)])[0] > 45


def test_what_lies_between_the_lungs_is_outside() -> None:
    # 16 mm of tissue part the lungs where they are nearest: less than the closing bridges.
    middle_mm = (150.0, 140.0, 209.0)
    assert WHOLE.depth_mm([_irc(middle_mm)])[0] < -4


@pytest.mark.parametrize("hu", [-1000, 0], ids=["air", "water"])
def test_an_even_volume_has_no_lungs(hu: int) -> None:
    lungs = find_lungs(np.full(GRID.shape_irc, hu, dtype=np.int16), GRID)
    assert lungs.volume_ml == 0
    assert lungs.box(10.0) is None
    assert not lungs.is_cut_below
    assert not lungs.is_cut_above
    assert lungs.depth_mm([(50, 50, 50)])[0] == -np.inf


def test_a_trunk_with_bowel_gas_alone_has_no_lungs() -> None:
    voxels_hu = CHEST.copy()
    voxels_hu[BOTH] = 40
    voxels_hu[ellipsoid((150.0, 100.0, 209.0), (100.0, 25.0, 25.0))] = -980
    assert find_lungs(voxels_hu, GRID).volume_ml == 0


def test_a_tall_pocket_of_less_air_than_a_newborns_lungs_hold_is_none() -> None:
    voxels_hu = CHEST.copy()
    voxels_hu[BOTH] = 40
    voxels_hu[ellipsoid(LEFT_MM, (100.0, 12.0, 12.0))] = -850
    assert find_lungs(voxels_hu, GRID).volume_ml == 0


def test_the_bases_that_an_abdominal_scan_shows_are_no_lungs() -> None:
    assert find_lungs(*_part(0, 36)).volume_ml == 0


@pytest.mark.parametrize(
    "spacing_irc_mm", [(0.6, 2.75, 2.75), (5.0, 2.75, 2.75), (3.0, 1.375, 1.375)]
)
def test_the_mask_is_the_same_on_finer_and_coarser_voxels(
    spacing_irc_mm: tuple[float, float, float],
) -> None:
    number = [
        round(n * s / t)
        for n, s, t in zip(GRID.shape_irc, GRID.spacing_irc_mm, spacing_irc_mm, strict=True)
    ]
    grid = VoxelGrid((number[0], number[1], number[2]), spacing_irc_mm, (0.0, 0.0, 0.0))
    lungs = find_lungs(chest(grid), grid)
    assert lungs.volume_ml == pytest.approx(WHOLE.volume_ml, rel=0.04)
    assert _dice(_voxels(lungs), lung(LEFT_MM, grid) | lung(RIGHT_MM, grid)) > 0.95


def test_depth_is_the_distance_to_the_border() -> None:
    # Along the left lung's long axis from its middle to its lower tip, and beyond.
    points = [_irc((LEFT_MM[0] - mm, *LEFT_MM[1:])) for mm in (0.0, 106.0, 117.0)]
    middle, tip, below = WHOLE.depth_mm(points)
    assert middle == pytest.approx(60, abs=3)
    assert 0 < tip < 6
    assert -12 < below < -3


def test_the_mask_itself_is_a_closed_ellipsoid_and_no_box() -> None:
    head, back, left = axes_mm()
    corner = (np.abs(head - 240) < 5) & (np.abs(back - 205) < 5) & (np.abs(left - 330) < 5)
    assert not _voxels(WHOLE)[corner].any()
