# SPDX-License-Identifier: Apache-2.0
"""What an outline encloses: worked out by hand, and held against two other ways to find it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from scipy import ndimage

from lung_pipeline.annotations.contours import Contour, PixelSet, enclosed, interior
from lung_pipeline.phantom.contours import trace

Pixel = tuple[int, int]

QUICK = settings(max_examples=150, deadline=None)


def _outline(points: Sequence[Pixel], *, z_mm: float = 0.0, is_inclusion: bool = True) -> Contour:
    """An outline through (column, row)."""
    columns, rows = np.asarray(points, dtype=np.int16).T
    return Contour(z_mm, is_inclusion, columns, rows)


def _square(low: int, high: int, *, z_mm: float = 0.0, is_inclusion: bool = True) -> Contour:
    """The ring of pixels along the sides of a square, each once."""
    side = range(low, high)
    ring = [(low, n) for n in side] + [(n, high) for n in side]
    ring += [(high, low + high - n) for n in side] + [(low + high - n, low) for n in side]
    return _outline(ring, z_mm=z_mm, is_inclusion=is_inclusion)


def _ring_from(contour: Contour, start: Pixel) -> list[Pixel]:
    """The same outline, told from another of its pixels on."""
    ring = list(zip(contour.columns.tolist(), contour.rows.tolist(), strict=True))
    return ring[ring.index(start) :] + ring[: ring.index(start)]


def _inside(contour: Contour) -> set[Pixel]:
    rows, columns = interior(contour)
    return set(zip(columns.tolist(), rows.tolist(), strict=True))


def _block(low: int, high: int) -> set[Pixel]:
    return {(column, row) for column in range(low, high + 1) for row in range(low, high + 1)}


def _pixels(found: PixelSet) -> set[Pixel]:
    return set(zip(found.columns.tolist(), found.rows.tolist(), strict=True))


def test_ring_of_eight_pixels_holds_one() -> None:
    assert _inside(_square(4, 6)) == {(5, 5)}


def test_four_neighbours_hold_the_pixel_between_them() -> None:
    assert _inside(_outline([(5, 4), (6, 5), (5, 6), (4, 5)])) == {(5, 5)}


def test_columns_and_rows_are_not_mixed_up() -> None:
    ring = [(10, 20), (11, 20), (12, 20), (13, 20), (13, 21), (13, 22), (12, 22), (11, 22)]
    rows, columns = interior(_outline([*ring, (10, 22), (10, 21)]))
    assert (rows.tolist(), columns.tolist()) == ([21, 21], [11, 12])


@pytest.mark.parametrize(
    "points",
    [
        [(5, 5)],
        [(5, 5), (6, 5)],
        [(5, 5), (6, 5), (7, 5), (8, 5)],
        [(5, 5), (6, 6), (7, 7), (8, 8)],
        [(5, 5), (6, 5), (6, 6), (5, 6)],
        [(5, 5), (6, 5), (7, 5), (8, 5), (8, 6), (7, 6), (6, 6), (5, 6)],
        [(5, 5), (6, 6), (5, 7), (6, 8)],
    ],
    ids=["a point", "two", "a line", "a slope", "2 x 2", "4 x 2", "a zigzag"],
)
def test_outline_too_thin_encloses_nothing(points: list[Pixel]) -> None:
    assert _inside(_outline(points)) == set()
    assert len(enclosed([_outline(points)])) == 0


def test_open_outline_is_closed_by_a_straight_line() -> None:
    # A cup, 5 wide and 5 deep, without its lid.
    cup = [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    cup += [(4, 3), (4, 2), (4, 1), (4, 0)]
    assert _inside(_outline(cup)) == _block(1, 3)


def test_outline_told_by_its_corners_has_straight_sides() -> None:
    assert _inside(_outline([(0, 0), (6, 0), (6, 6), (0, 6)])) == _block(1, 5)


def test_spur_into_the_nodule_is_outline_too() -> None:
    ring = _ring_from(_square(0, 6), (0, 3))
    spur = [(0, 3), (1, 3), (2, 3), (1, 3)]
    assert _inside(_outline([*spur, *ring])) == _block(1, 5) - {(1, 3), (2, 3)}


def test_bay_that_closes_upon_itself_stays_outside() -> None:
    # From the ring along a corridor into the middle, round it the other way, and out again.
    outer, inner = _ring_from(_square(0, 8), (0, 4)), _ring_from(_square(2, 6), (2, 4))
    keyhole = [*outer, (0, 4), (1, 4), *inner[:1], *inner[:0:-1], (2, 4), (1, 4)]
    assert _inside(_outline(keyhole)) == _block(1, 7) - _block(2, 6) - {(1, 4)}


@pytest.mark.parametrize("corner", [0, 509, 32_765])
def test_outline_may_lie_anywhere_in_the_picture(corner: int) -> None:
    assert _inside(_square(corner, corner + 2)) == {(corner + 1, corner + 1)}


def test_hole_is_taken_out_and_its_own_outline_stays() -> None:
    hole = _square(2, 5, is_inclusion=False)
    expected = _block(1, 6) - _block(3, 4)
    assert _pixels(enclosed([_square(0, 7), hole])) == expected
    assert _pixels(enclosed([hole, _square(0, 7)])) == expected


def test_hole_counts_on_its_own_slice_only() -> None:
    hole = _square(2, 5, z_mm=2.5, is_inclusion=False)
    found = enclosed([_square(0, 7), hole])
    assert _pixels(found) == _block(1, 6)
    assert set(found.z_mm.tolist()) == {0.0}
    assert len(enclosed([hole])) == 0


def test_two_outlines_on_a_slice_are_one_set_of_pixels() -> None:
    found = enclosed([_square(0, 4), _square(2, 6), _square(10, 12)])
    assert _pixels(found) == _block(1, 3) | _block(3, 5) | {(11, 11)}
    assert len(found) == 9 + 9 - 1 + 1


def test_slices_stay_apart_and_pixels_are_in_order() -> None:
    found = enclosed([_square(0, 3, z_mm=5.0), _square(0, 4, z_mm=-2.5), _square(7, 9, z_mm=5.0)])
    assert found.z_mm.tolist() == [-2.5] * 9 + [5.0] * 5
    assert (np.diff(found.keys) > 0).all()


def test_reader_without_outlines_encloses_nothing() -> None:
    found = enclosed([])
    assert (len(found), found.keys.tolist()) == (0, [])


@st.composite
def closed_walks(draw: st.DrawFn) -> list[Pixel]:
    """King's moves from place to place and home again: they touch and cross themselves at will."""
    places = st.tuples(st.integers(0, 15), st.integers(0, 15))
    stops = draw(st.lists(places, min_size=2, max_size=8))
    walk = [stops[0]]
    for stop in (*stops[1:], stops[0]):
        while walk[-1] != stop:
            step = np.sign(np.subtract(stop, walk[-1]))
            walk.append((walk[-1][0] + int(step[0]), walk[-1][1] + int(step[1])))
    return walk[:-1] or walk


@QUICK
@given(closed_walks())
def test_inside_is_what_matplotlib_has_inside_and_never_the_outline(walk: list[Pixel]) -> None:
    others = sorted(
        {(column, row) for column in range(-1, 17) for row in range(-1, 17)} - set(walk)
    )
    found = _inside(_outline(walk))
    assert found.isdisjoint(walk)
    polygon = Polygon([*map(list, walk), list(walk[0])])
    expected = polygon.contains_points(others) if len(walk) > 2 else [False] * len(others)
    assert found == {place for place, is_in in zip(others, expected, strict=True) if is_in}


@QUICK
@given(closed_walks(), st.integers(0, 200), st.booleans())
def test_neither_the_start_nor_the_way_round_matters(
    walk: list[Pixel], start: int, backward: bool
) -> None:
    turned = walk[start % len(walk) :] + walk[: start % len(walk)]
    assert _inside(_outline(turned[::-1] if backward else turned)) == _inside(_outline(walk))


@QUICK
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_ring_around_any_island_holds_the_island_and_all_the_ring_shuts_off(
    seed: int, num_steps: int
) -> None:
    rng = np.random.default_rng(seed)
    steps = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])[rng.integers(4, size=num_steps)]
    island, wall = np.zeros((31, 31), dtype=bool), np.zeros((31, 31), dtype=bool)
    island[tuple(np.clip(np.cumsum(steps, axis=0) + 15, 2, 28).T)] = True
    ring = trace(island)
    wall[tuple(np.transpose(ring))] = True
    found = np.zeros_like(island)
    found[interior(_outline([(column, row) for row, column in ring]))] = True
    assert not (island & ~found).any()
    np.testing.assert_array_equal(found, ndimage.binary_fill_holes(wall) & ~wall)
