# SPDX-License-Identifier: Apache-2.0
"""Marked voxels to candidates, on masks that can be drawn by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.grouping.components import (
    SMALLEST_DIAMETER_MM,
    ball_diameter_mm,
    ball_volume_mm3,
    eroding_axes,
    group,
    label_parted,
)

Mask = npt.NDArray[np.bool_]

FINE = (1.0, 1.0, 1.0)
THICK = (2.5, 0.7, 0.7)


def _mask(*boxes: tuple[slice, slice, slice], shape: tuple[int, int, int] = (20, 30, 30)) -> Mask:
    mask = np.zeros(shape, dtype=bool)
    for box in boxes:
        mask[box] = True
    return mask


def _even(shape: tuple[int, ...] = (20, 30, 30)) -> VoxelsHu:
    """A volume of water: each voxel weighs the same."""
    return np.zeros(shape, dtype=np.int16)


def _ball(
    center: tuple[float, float, float],
    diameter_mm: float,
    spacing_irc_mm: tuple[float, float, float],
    shape: tuple[int, int, int] = (24, 50, 50),
) -> Mask:
    axes = [(np.arange(n) - c) * s for n, c, s in zip(shape, center, spacing_irc_mm, strict=True)]
    offsets = np.meshgrid(*axes, indexing="ij")
    return np.sqrt(sum(offset**2 for offset in offsets)) <= diameter_mm / 2


BLOCK = np.s_[4:9, 10:15, 10:15]
OTHER = np.s_[4:9, 10:15, 20:25]


def test_no_mark_no_component() -> None:
    assert group(_mask(), _even(), FINE) == []


def test_one_block_is_one_component_with_its_centre_and_volume() -> None:
    [component] = group(_mask(BLOCK), _even(), FINE)
    assert component.center_irc == pytest.approx((6, 12, 12))
    # One erosion and two steps back leave out the corners, which are three steps away.
    assert component.volume_mm3 == 125 - 8
    assert component.diameter_mm == pytest.approx(ball_diameter_mm(117))


def test_two_blocks_are_two_components_in_the_order_of_the_array() -> None:
    components = group(_mask(OTHER, BLOCK), _even(), FINE)
    assert [c.center_irc for c in components] == [
        pytest.approx((6, 12, 12)),
        pytest.approx((6, 12, 22)),
    ]


@pytest.mark.parametrize("width", [1, 2])
def test_a_thin_bridge_parts_and_belongs_to_nobody(width: int) -> None:
    bridge = np.s_[6 : 6 + width, 12 : 12 + width, 15:20]
    mask = _mask(BLOCK, OTHER, bridge)
    assert len(group(mask, _even(), FINE)) == 2
    labels, count = label_parted(mask, FINE)
    assert count == 2
    assert labels[6, 12, 17] == 0  # the middle of the bridge
    assert set(np.unique(labels[mask])) == {0, 1, 2}


def test_a_thick_bridge_joins() -> None:
    assert len(group(_mask(BLOCK, OTHER, np.s_[5:8, 11:14, 15:20]), _even(), FINE)) == 1


def test_specks_are_left_out() -> None:
    specks = [np.s_[n : n + 1, n : n + 1, n : n + 1] for n in (2, 15)]
    sheet = np.s_[12:13, 2:20, 2:20]
    assert len(group(_mask(BLOCK, *specks, sheet), _even(), FINE)) == 1


@pytest.mark.parametrize(("diameter_mm", "found"), [(2.6, 0), (3.4, 1)])
def test_components_count_from_three_millimetres_on(diameter_mm: float, found: int) -> None:
    spacing = (0.5, 0.5, 0.5)
    mask = _ball((12, 25, 25), diameter_mm, spacing)
    components = group(mask, _even(mask.shape), spacing)
    assert len(components) == found
    assert all(c.diameter_mm >= SMALLEST_DIAMETER_MM for c in components)


def test_a_ball_is_as_large_as_its_volume() -> None:
    assert ball_volume_mm3(3.0) == pytest.approx(4 / 3 * np.pi * 1.5**3)
    assert ball_diameter_mm(ball_volume_mm3(7.3)) == pytest.approx(7.3)


@pytest.mark.parametrize(
    ("spacing_irc_mm", "axes"),
    [
        (FINE, {0, 1, 2}),
        (THICK, {1, 2}),
        ((1.0000001, 1.0, 0.9), {0, 1, 2}),
        ((1.25, 1.01, 1.0), {2}),
        ((3.0, 2.0, 1.5), set()),
    ],
)
def test_only_fine_axes_are_eroded(
    spacing_irc_mm: tuple[float, float, float], axes: set[int]
) -> None:
    assert set(eroding_axes(spacing_irc_mm)) == axes


def test_a_small_nodule_on_thick_slices_survives() -> None:
    # 5 mm on slices of 2.5 mm: two slices, which the reference design's erosion deletes.
    mask = _mask(np.s_[6:8, 10:17, 10:17])
    [component] = group(mask, _even(), THICK)
    assert component.center_irc == pytest.approx((6.5, 13, 13))
    # In the plane two steps reach the corners: nothing is lost.
    assert component.volume_mm3 == pytest.approx(mask.sum() * 2.5 * 0.7 * 0.7)


@pytest.mark.parametrize("spacing_irc_mm", [FINE, THICK, (1.25, 0.6, 0.6), (2.0, 0.9, 0.9)])
@pytest.mark.parametrize("diameter_mm", [6.0, 10.0, 20.0])
def test_a_rendered_ball_has_its_diameter_within_a_tenth(
    diameter_mm: float, spacing_irc_mm: tuple[float, float, float]
) -> None:
    mask = _ball((11.3, 24.6, 25.2), diameter_mm, spacing_irc_mm)
    [component] = group(mask, _even(mask.shape), spacing_irc_mm)
    assert component.diameter_mm == pytest.approx(diameter_mm, rel=0.1)
    assert component.center_irc == pytest.approx((11.3, 24.6, 25.2), abs=0.35)


def test_the_centre_is_drawn_to_dense_tissue() -> None:
    voxels_hu = _even()
    voxels_hu[:, :, :12] = -1000
    voxels_hu[:, :, 12:] = 1000
    [component] = group(_mask(BLOCK), voxels_hu, FINE)
    assert component.center_irc[:2] == pytest.approx((6, 12))
    assert component.center_irc[2] > 12.9


def test_a_component_of_pure_air_has_a_centre_too() -> None:
    [component] = group(_mask(BLOCK), np.full((20, 30, 30), -1000, dtype=np.int16), FINE)
    assert component.center_irc == pytest.approx((6, 12, 12))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_blocks_at_opposite_borders_are_two_and_stay_at_their_ends(axis: int) -> None:
    mask = _mask(shape=(20, 20, 20))
    line = np.moveaxis(mask, axis, 0)
    line[:5, 8:13, 8:13] = True
    line[-5:, 8:13, 8:13] = True
    components = group(mask, _even(mask.shape), FINE)
    along = [component.center_irc[axis] for component in components]
    assert along == pytest.approx([2, 17])
    assert [component.volume_mm3 for component in components] == [117, 117]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("at_start", [True, False])
def test_growing_back_at_a_border_takes_nothing_from_the_other(
    axis: int, *, at_start: bool
) -> None:
    block, speck = (slice(0, 5), -1) if at_start else (slice(-5, None), 0)
    mask = _mask(shape=(20, 20, 20))
    line = np.moveaxis(mask, axis, 0)
    line[block, 8:13, 8:13] = True
    line[speck, 10, 10] = True
    [component] = group(mask, _even(mask.shape), FINE)
    assert component.volume_mm3 == 117
