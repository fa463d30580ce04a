# SPDX-License-Identifier: Apache-2.0
"""What several readers agree on, voxel by voxel, on grids that run any way."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.annotations.consensus import consensus_voxels
from lung_pipeline.annotations.contours import Contour
from lung_pipeline.annotations.pixel_frame import has_readers_pixels
from lung_pipeline.ct.geometry import AxesChange, VoxelGrid, canonical_axes
from lung_pipeline.errors import GeometryError, SettingError

QUICK = settings(max_examples=60, deadline=None)

GRID = VoxelGrid((5, 20, 24), (2.5, 0.7, 0.7), (-8.0, 30.0, -100.0))
"""A scan in canonical order; slices at -100, -97.5, -95, -92.5 and -90 mm."""

Readers = list[list[Contour]]


def _square(low: tuple[int, int], size: int, z_mm: float = -95.0) -> Contour:
    """The ring around a square of pixels whose first is (column, row)."""
    across = range(-1, size)
    ring = [(n, -1) for n in across] + [(size, n) for n in across]
    ring += [(size - 1 - n, size) for n in across] + [(-1, size - 1 - n) for n in across]
    columns, rows = (np.asarray(ring) + low).astype(np.int16).T
    return Contour(z_mm, True, columns, rows)


def _turned(grid: VoxelGrid, *flipped: bool) -> VoxelGrid:
    """The file's grid whose axes run the other way."""
    return AxesChange((0, 1, 2), (flipped[0], flipped[1], flipped[2])).turn_grid(grid)


def _places(voxels_irc: np.ndarray) -> list[tuple[int, int, int]]:
    return [(index, row, column) for index, row, column in voxels_irc.tolist()]


def test_one_pixel_of_one_reader_is_one_voxel() -> None:
    voxels_irc = consensus_voxels([[_square((10, 7), 1)]], GRID, GRID)
    assert _places(voxels_irc) == [(2, 7, 10)]
    assert voxels_irc.dtype == np.int64


@pytest.mark.parametrize(
    ("flipped", "expected"),
    [
        ((False, False, False), (1, 7, 10)),
        ((False, True, True), (1, 19 - 7, 23 - 10)),
        # Slices are named by their place in the patient: turning the stack moves none of them.
        ((True, False, False), (1, 7, 10)),
        ((True, True, True), (1, 19 - 7, 23 - 10)),
    ],
    ids=["as canonical", "LUNA16's flipped series", "from head to feet", "all three"],
)
def test_outline_is_placed_however_the_files_axes_run(
    flipped: tuple[bool, bool, bool], expected: tuple[int, int, int]
) -> None:
    readers = [[_square((10, 7), 1, z_mm=-97.5)]]
    voxels_irc = consensus_voxels(readers, _turned(GRID, *flipped), GRID)
    assert _places(voxels_irc) == [expected]


@pytest.mark.parametrize(
    ("level", "num_voxels"),
    [
        pytest.param(0.0, 49, id="the outermost"),
        pytest.param(1 / 3, 25, id="the second of four"),
        # Between the second, of 5 x 5, and the third, of 3 x 3: its corners lie nearer to the
        # first than to the other (0.7 mm inside, 0.99 mm outside), its edges as near to both.
        pytest.param(0.5, 21, id="the middle"),
        pytest.param(2 / 3, 9, id="the third"),
        pytest.param(1.0, 1, id="the innermost"),
    ],
)
def test_four_nested_squares_by_level(level: float, num_voxels: int) -> None:
    readers = [[_square((10 - n, 10 - n), 2 * n + 1)] for n in (0, 1, 2, 3)]
    assert len(consensus_voxels(readers, GRID, GRID, level)) == num_voxels


@pytest.mark.parametrize(("level", "expected"), [(0, {10, 11, 12, 13}), (0.5, {11, 12}), (1, {12})])
def test_two_of_three_readers_decide(level: float, expected: set[int]) -> None:
    # 10-12, 11-12 and 12-13: one column is all three's, two are at least two's.
    first, second, third = (
        Contour(-95.0, True, np.asarray(columns, np.int16), np.asarray([9, 9, 11, 11], np.int16))
        for columns in ([9, 13, 13, 9], [10, 13, 13, 10], [11, 14, 14, 11])
    )
    voxels_irc = consensus_voxels([[first], [second], [third]], GRID, GRID, level)
    assert {column for _, _, column in voxels_irc.tolist()} == expected


def test_of_two_readers_the_surface_half_way_counts() -> None:
    # 3 x 3 within 7 x 7: half way lies the square of 5 x 5.
    readers = [[_square((9, 9), 3)], [_square((7, 7), 7)]]
    assert len(consensus_voxels(readers, GRID, GRID)) == 25


def test_reader_whose_outlines_enclose_nothing_is_not_counted() -> None:
    point = Contour(-95.0, True, np.array([3], np.int16), np.array([3], np.int16))
    readers = [[_square((10, 7), 2)], [point], []]
    assert len(consensus_voxels(readers, GRID, GRID, 1.0)) == 4


def test_readers_who_share_no_voxel_agree_on_none() -> None:
    voxels_irc = consensus_voxels([[_square((2, 2), 2)], [_square((9, 9), 2)]], GRID, GRID)
    assert voxels_irc.shape == (0, 3)


@pytest.mark.parametrize("readers", [[], [[]]], ids=["nobody", "no outline"])
def test_without_outlines_there_is_no_mask(readers: Readers) -> None:
    voxels_irc = consensus_voxels(readers, GRID, GRID)
    assert (voxels_irc.shape, voxels_irc.dtype) == ((0, 3), np.int64)


@pytest.mark.parametrize(
    ("z_mm", "index"),
    [(-101.2, 0), (-98.8, 0), (-98.7, 1), (-90.0, 4), (-88.8, 4)],
)
def test_outline_belongs_to_the_nearest_slice(z_mm: float, index: int) -> None:
    readers = [[_square((10, 7), 1, z_mm)]]
    assert _places(consensus_voxels(readers, GRID, GRID)) == [(index, 7, 10)]


def test_slices_beyond_the_volume_are_left_out() -> None:
    beyond = [_square((10, 7), 3, z_mm) for z_mm in (-101.3, -88.7, 40.0)]
    within = [_square((10, 7), 1, z_mm) for z_mm in (-95.0, -92.5)]
    readers = [[*beyond, *within], [*beyond[:1], *within]]
    assert _places(consensus_voxels(readers, GRID, GRID)) == [(2, 7, 10), (3, 7, 10)]


def test_pixels_beyond_rows_and_columns_are_left_out() -> None:
    voxels_irc = consensus_voxels([[_square((22, 18), 4)]], GRID, GRID)
    assert _places(voxels_irc) == [(2, 18, 22), (2, 18, 23), (2, 19, 22), (2, 19, 23)]


def test_reader_has_one_vote_though_two_of_his_slices_are_one_of_the_scans() -> None:
    thin = [[_square((10, 7), 1, z_mm) for z_mm in (-95.4, -94.6)], [_square((3, 3), 1)], []]
    assert _places(consensus_voxels(thin, GRID, GRID, 1.0)) == []
    assert _places(consensus_voxels(thin, GRID, GRID, 0.0)) == [(2, 3, 3), (2, 7, 10)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flipped", list(itertools.product((False, True), repeat=3)))
def test_only_a_file_with_the_readers_own_pixels_will_do(
    order: tuple[int, int, int], flipped: tuple[bool, bool, bool]
) -> None:
    # Slices first, and rows and columns both as the patient's axes or both against them.
    file_grid = AxesChange(order, flipped).turn_grid(GRID)
    expected = order == (0, 1, 2) and flipped[1] == flipped[2]
    assert has_readers_pixels(file_grid) == expected
    if not expected:
        with pytest.raises(GeometryError, match="columns and rows of LIDC's own slices"):
            consensus_voxels([[_square((10, 7), 1)]], file_grid, GRID)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("num_inside", "num_outside", "level", "num_voxels"),
    [
        (2, 1, 0.5, 9),
        (1, 2, 0.0, 9),
        (1, 2, 0.5, 0),
        (2, 2, 0.5, 0),
        (2, 1, 1.0, 0),
        (3, 1, 0.5, 9),
    ],
)
def test_reader_who_drew_outside_the_volume_has_his_one_vote(
    num_inside: int, num_outside: int, level: float, num_voxels: int
) -> None:
    inside, outside = [_square((10, 7), 3)], [_square((10, 7), 3, z_mm=-300.0)]
    readers = [inside] * num_inside + [outside] * num_outside
    assert len(consensus_voxels(readers, GRID, GRID, level)) == num_voxels


@pytest.mark.parametrize("level", [-0.5, 1.01, float("nan")])
def test_level_outside_its_range_is_refused(level: float) -> None:
    with pytest.raises(SettingError, match="the level must lie from 0 to 1"):
        consensus_voxels([[_square((10, 7), 1)]], GRID, GRID, level)


def _tilted(angle: float) -> VoxelGrid:
    """The scan turned around the patient's left-right axis: slices are no longer upright."""
    sine, cosine = float(np.sin(angle)), float(np.cos(angle))
    direction = ((1.0, 0.0, 0.0), (0.0, cosine, -sine), (0.0, sine, cosine))
    return VoxelGrid(GRID.shape_irc, GRID.spacing_irc_mm, GRID.origin_xyz_mm, direction)


@QUICK
@given(
    st.floats(-0.5, 0.5),
    st.sampled_from([(False, False, False), (False, True, True), (True, False, False)]),
    st.tuples(st.integers(0, 4), st.integers(1, 18), st.integers(1, 22)),
)
def test_voxel_is_the_one_that_turning_the_volume_moves_there(
    angle: float, flipped: tuple[bool, bool, bool], place: tuple[int, int, int]
) -> None:
    file_grid = _turned(_tilted(angle), *flipped)
    change = canonical_axes(file_grid)
    marked = np.zeros(file_grid.shape_irc, dtype=bool)
    marked[place] = True
    index, row, column = place
    # A slice is named by the position of its first pixel, as in DICOM.
    z_mm = float(file_grid.irc_to_xyz_mm([(index, 0, 0)])[0, 2])
    readers = [[_square((column, row), 1, round(z_mm, 3))]]
    voxels_irc = consensus_voxels(readers, file_grid, change.turn_grid(file_grid))
    expected = np.argwhere(change.turn_voxels(marked))
    np.testing.assert_array_equal(voxels_irc, expected)


@st.composite
def several_readers(draw: st.DrawFn) -> Readers:
    """Two to five readers, each with one to three squares on the scan's slices."""
    low = st.tuples(st.integers(1, 15), st.integers(1, 12))
    slices_mm = st.sampled_from([-100.0, -97.5, -95.0])
    squares = st.builds(_square, low, st.integers(1, 6), slices_mm)
    return draw(st.lists(st.lists(squares, min_size=1, max_size=3), min_size=2, max_size=5))


def _set(readers: Sequence[Sequence[Contour]], level: float) -> set[tuple[int, int, int]]:
    return set(_places(consensus_voxels(readers, GRID, GRID, level)))


@QUICK
@given(several_readers())
def test_lowest_level_is_the_union_and_the_highest_what_all_share(readers: Readers) -> None:
    each = [_set([contours], 1.0) for contours in readers]
    assert _set(readers, 0.0) == set.union(*each)
    assert _set(readers, 1.0) == set.intersection(*each)


@QUICK
@given(several_readers())
def test_what_most_enclose_is_in_and_what_few_do_is_not(readers: Readers) -> None:
    each = [_set([contours], 1.0) for contours in readers]
    votes = {place: sum(place in one for one in each) for place in set.union(*each)}
    found = _set(readers, 0.5)
    assert {place for place, vote in votes.items() if 2 * vote > len(readers)} <= found
    assert found <= {place for place, vote in votes.items() if 2 * vote >= len(readers)}


@QUICK
@given(several_readers(), st.floats(0, 1), st.floats(0, 1))
def test_masks_shrink_as_the_level_grows(readers: Readers, one: float, other: float) -> None:
    assert _set(readers, max(one, other)) <= _set(readers, min(one, other))


@QUICK
@given(several_readers(), st.floats(0, 1), st.randoms())
def test_order_of_readers_does_not_matter(readers: Readers, level: float, random: object) -> None:
    shuffled = list(readers)
    random.shuffle(shuffled)
    found = consensus_voxels(shuffled, GRID, GRID, level)
    np.testing.assert_array_equal(found, consensus_voxels(readers, GRID, GRID, level))
    assert _places(found) == sorted(set(_places(found)))
