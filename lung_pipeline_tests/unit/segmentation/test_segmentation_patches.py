# SPDX-License-Identifier: Apache-2.0
"""Regions and patches: their shapes, their surroundings, and truth that stays on its voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import AIR_HU, VoxelsHu
from lung_pipeline.errors import AnnotationError
from lung_pipeline.segmentation.inference import windows_of_slices
from lung_pipeline.segmentation.patches import (
    BACKGROUND_SLICES,
    PATCH_SIZE,
    REGION_SIZE,
    NoduleMark,
    Region,
    background_region,
    mark_nodules,
    nodule_region,
    patch_batches,
)

SHAPE_IRC = (12, 110, 120)
GRID = VoxelGrid(SHAPE_IRC, (2.0, 1.0, 1.0), (-60.0, -55.0, 100.0))
MARKER_HU = 777


def _numbered_slices() -> VoxelsHu:
    """Every voxel says in which slice it lies."""
    return np.broadcast_to(np.arange(12, dtype=np.int16)[:, None, None], SHAPE_IRC).copy()


def _mark(index: int, row: int, column: int, diameter_mm: float = 4.0) -> NoduleMark:
    x, y, z = GRID.irc_to_xyz_mm([(index, row, column)])[0].tolist()
    return NoduleMark((x, y, z), diameter_mm)


def _no_mask() -> np.ndarray:
    return np.zeros(SHAPE_IRC, dtype=bool)


def _batches(
    nodules: Sequence[Region],
    background: Sequence[Region],
    share: float,
    seed: int = 1,
    size: int = 16,
    number: int = 4,
) -> list[tuple[np.ndarray, np.ndarray]]:
    drawn = patch_batches(
        nodules,
        background,
        batch_size=size,
        num_batches=number,
        background_share=share,
        rng=np.random.default_rng(seed),
    )
    return list(drawn)


def test_windows_of_slices_are_the_slice_and_three_on_each_side() -> None:
    windows = windows_of_slices(_numbered_slices(), [5, 3])
    assert windows.shape == (2, 7, 110, 120)
    assert windows[:, :, 0, 0].tolist() == [[2, 3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6]]


def test_beyond_the_ends_the_edge_slice_is_repeated() -> None:
    windows = windows_of_slices(_numbered_slices(), [0, 11])[:, :, 0, 0]
    assert windows.tolist() == [[0, 0, 0, 0, 1, 2, 3], [8, 9, 10, 11, 11, 11, 11]]
    alone = windows_of_slices(_numbered_slices()[:1], [0])[:, :, 0, 0]
    assert alone.tolist() == [[0] * 7]


def test_nodules_are_marked_together_at_their_own_places() -> None:
    voxels_hu = np.full(SHAPE_IRC, -850, dtype=np.int16)
    places = [(2, 20, 30), (9, 80, 90)]
    for place in places:
        voxels_hu[place] = 40
    mask = mark_nodules(voxels_hu, GRID, [_mark(*place) for place in places])
    assert [tuple(place) for place in np.argwhere(mask).tolist()] == places
    assert not mark_nodules(voxels_hu, GRID, []).any()


def _outlined(voxels_irc: list[tuple[int, int, int]], diameter_mm: float = 4.0) -> NoduleMark:
    """A nodule in the middle of the scan, with what its readers enclose."""
    return replace(_mark(6, 55, 60, diameter_mm), voxels_irc=np.asarray(voxels_irc))


def test_what_the_readers_enclose_is_the_mask_and_nothing_is_grown() -> None:
    solid = np.full(SHAPE_IRC, 40, dtype=np.int16)
    voxels_irc = [(5, 54, 60), (6, 55, 60), (6, 55, 61)]
    mask = mark_nodules(solid, GRID, [_outlined(voxels_irc)])
    assert [tuple(place) for place in np.argwhere(mask).tolist()] == voxels_irc


def test_a_nodule_with_outlines_and_one_without_are_marked_each_in_its_way() -> None:
    lung = np.full(SHAPE_IRC, -850, dtype=np.int16)
    lung[2, 20, 30:33] = 40
    marks = [_outlined([(6, 55, 60)]), _mark(2, 20, 30)]
    assert [mark.is_from_contours for mark in marks] == [True, False]
    grown = [(2, 20, 30), (2, 20, 31), (2, 20, 32)]
    mask = mark_nodules(lung, GRID, marks)
    assert [tuple(place) for place in np.argwhere(mask).tolist()] == [*grown, (6, 55, 60)]


@pytest.mark.parametrize("place", [(-1, 20, 30), (12, 20, 30), (5, 110, 3), (5, 3, -1)])
def test_a_nodule_outside_its_scan_is_refused(place: tuple[int, int, int]) -> None:
    with pytest.raises(AnnotationError, match="must lie inside its scan"):
        mark_nodules(_numbered_slices(), GRID, [_mark(*place)])


def test_a_nodules_region_has_its_slices_one_more_on_each_side_and_context() -> None:
    # 4 mm at 2 mm a slice reach 1 slice from the middle; one more: 2 on each side.
    region = nodule_region(_numbered_slices(), _no_mask(), GRID, _mark(6, 55, 60))
    assert region.mask.shape == (5, REGION_SIZE, REGION_SIZE)
    assert region.slices_hu.shape == (5 + 6, REGION_SIZE, REGION_SIZE)
    assert region.slices_hu[:, 48, 48].tolist() == list(range(1, 12))


@pytest.mark.parametrize(("index", "num_slices"), [(6, 5), (5, 5), (8, 7), (3, 9)])
def test_a_region_holds_every_slice_the_readers_outlined(index: int, num_slices: int) -> None:
    # 4 mm reach 1 slice from the middle; what is outlined may lie farther, to either side.
    mark = _outlined([(6, 55, 60), (index, 55, 60)])
    mask = mark_nodules(_numbered_slices(), GRID, [mark])
    region = nodule_region(_numbered_slices(), mask, GRID, mark)
    assert len(region.mask) == num_slices
    assert region.mask.sum() == mask.sum()
    assert not region.mask[[0, -1]].any()


def test_the_centre_lies_in_the_middle_of_its_region() -> None:
    voxels_hu, mask = _numbered_slices(), _no_mask()
    voxels_hu[6, 55, 60], mask[6, 55, 60] = MARKER_HU, True
    region = nodule_region(voxels_hu, mask, GRID, _mark(6, 55, 60))
    assert np.argwhere(region.mask).tolist() == [[2, 48, 48]]
    assert np.argwhere(region.slices_hu == MARKER_HU).tolist() == [[2 + 3, 48, 48]]


@pytest.mark.parametrize("index", [0, 1, 6, 10, 11])
def test_every_slice_of_a_region_has_the_surroundings_it_has_when_segmenting(index: int) -> None:
    region = nodule_region(_numbered_slices(), _no_mask(), GRID, _mark(index, 55, 60))
    own = [n for n in range(index - 2, index + 3) if 0 <= n < 12]
    assert len(region.mask) == len(own)
    for place, number in enumerate(own):
        expected = windows_of_slices(_numbered_slices(), [number])[0, :, 0, 0]
        assert region.slices_hu[place : place + 7, 48, 48].tolist() == expected.tolist()


def test_beyond_rows_and_columns_there_is_air_and_no_nodule() -> None:
    everywhere = np.ones(SHAPE_IRC, dtype=bool)
    region = background_region(_numbered_slices(), everywhere, (6, 0, 119))
    assert region.mask.shape == (BACKGROUND_SLICES, REGION_SIZE, REGION_SIZE)
    assert (region.slices_hu[:, :48] == AIR_HU).all()
    assert (region.slices_hu[:, :, 49:] == AIR_HU).all()
    assert not region.mask[:, :48].any()
    assert not region.mask[:, :, 49:].any()
    assert region.mask[:, 48:, :49].all()


def test_a_nodule_that_reaches_into_a_background_region_is_in_its_truth() -> None:
    mask = _no_mask()
    mask[6, 70, 80] = True
    region = background_region(_numbered_slices(), mask, (6, 55, 60))
    assert np.argwhere(region.mask).tolist() == [[1, 48 + 15, 48 + 20]]


def _marked_region() -> Region:
    """A nodule of three slices whose voxels, and no others, have their own values."""
    voxels_hu = np.random.default_rng(1).integers(-1000, 0, SHAPE_IRC).astype(np.int16)
    mask = _no_mask()
    mask[5:8, 50:58, 60:64] = True
    mask[6, 57:62, 60] = True
    voxels_hu[mask] = MARKER_HU + np.arange(mask.sum())
    return nodule_region(voxels_hu, mask, GRID, _mark(6, 55, 60))


def test_truth_lies_on_its_voxels_of_the_middle_slice_and_patches_as_their_region_does() -> None:
    for slices, mask in _batches([_marked_region()], [], share=0.0):
        assert slices.shape == (16, 7, PATCH_SIZE, PATCH_SIZE)
        assert mask.shape == (16, 1, PATCH_SIZE, PATCH_SIZE)
        assert (slices.dtype, mask.dtype) == (np.int16, np.bool_)
        np.testing.assert_array_equal(slices[:, 3:4] >= MARKER_HU, mask)
        for patch in slices[(slices[:, 3] == MARKER_HU + 32).any(axis=(1, 2))]:
            # Voxels 32, 33 and 36 of the nodule lie in a row, and one below the first.
            first, beside, below = (
                np.argwhere(patch[3] == MARKER_HU + 32 + n)[0] for n in (0, 1, 4)
            )
            assert (beside - first).tolist() == [0, 1]
            assert (below - first).tolist() == [1, 0]


def test_every_patch_of_a_nodules_region_holds_its_centre() -> None:
    voxels_hu = _numbered_slices()
    voxels_hu[:, 55, 60] = MARKER_HU
    region = nodule_region(voxels_hu, _no_mask(), GRID, _mark(6, 55, 60))
    places = set()
    for slices, _ in _batches([region], [], share=0.0):
        found = np.argwhere(slices[:, 3] == MARKER_HU)
        assert len(found) == 16
        places |= {(row, column) for _, row, column in found.tolist()}
    assert len(places) > 40  # and not always at one place


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.4, 0.3, 0.5), (1.0, 1, 1)])
def test_the_share_of_background_is_as_asked(share: float, low: float, high: float) -> None:
    nodule = Region(np.full((7, 96, 96), 1, np.int16), np.ones((1, 96, 96), bool))
    other = Region(np.full((7, 96, 96), 0, np.int16), np.zeros((1, 96, 96), bool))
    drawn = _batches([nodule], [other], share, size=100)
    background = np.mean([slices[:, 0, 0, 0] == 0 for slices, _ in drawn])
    assert low <= background <= high


def test_patches_are_repeated_by_the_seed() -> None:
    regions = [_marked_region()]
    for one, again in zip(_batches(regions, [], 0.0), _batches(regions, [], 0.0), strict=True):
        np.testing.assert_array_equal(one[0], again[0])
        np.testing.assert_array_equal(one[1], again[1])
    assert not np.array_equal(
        _batches(regions, [], 0.0, seed=1)[0][0], _batches(regions, [], 0.0, seed=2)[0][0]
    )
