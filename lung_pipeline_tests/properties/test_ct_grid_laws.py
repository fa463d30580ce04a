# SPDX-License-Identifier: Apache-2.0
"""Laws that hold on every grid: rotated, mirrored, with any order of axes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.ct.geometry import AxesChange, VoxelGrid, canonical_axes

QUICK = settings(max_examples=60, deadline=None)

coordinates = st.floats(-500, 500, allow_nan=False)
spacings = st.floats(0.3, 5.0)
triples = st.tuples(coordinates, coordinates, coordinates)


@st.composite
def grids(draw: st.DrawFn) -> VoxelGrid:
    """Any rotation (from a quaternion), mirrored or not, on a small grid."""
    part = st.floats(-1, 1)
    quaternion = draw(
        st.tuples(part, part, part, part).filter(lambda four: np.linalg.norm(four) > 0.1)
    )
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    mirrored = rotation * draw(st.sampled_from([1.0, -1.0]))
    direction: Any = tuple(tuple(row) for row in mirrored.tolist())
    sizes = st.integers(1, 5)
    return VoxelGrid(
        shape_irc=draw(st.tuples(sizes, sizes, sizes)),
        spacing_irc_mm=draw(st.tuples(spacings, spacings, spacings)),
        origin_xyz_mm=draw(triples),
        direction=direction,
    )


def changes() -> st.SearchStrategy[AxesChange]:
    orders = st.sampled_from(list(itertools.permutations(range(3))))
    flips = st.tuples(st.booleans(), st.booleans(), st.booleans())
    return st.builds(AxesChange, order=orders, flipped=flips)


def all_voxels_irc(grid: VoxelGrid) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.argwhere(np.ones(grid.shape_irc, dtype=bool))


@QUICK
@given(grids(), st.lists(triples, min_size=1, max_size=5))
def test_to_space_and_back_is_the_identity(
    grid: VoxelGrid, points_irc: list[tuple[float, float, float]]
) -> None:
    back_irc = grid.xyz_mm_to_irc(grid.irc_to_xyz_mm(points_irc))
    np.testing.assert_allclose(back_irc, points_irc, atol=1e-6)


@QUICK
@given(grids())
def test_each_voxel_holds_its_own_centre(grid: VoxelGrid) -> None:
    voxels_irc = all_voxels_irc(grid)
    assert (grid.voxel_of(grid.irc_to_xyz_mm(voxels_irc)) == voxels_irc).all()


@QUICK
@given(grids(), changes())
def test_turning_axes_keeps_every_voxel_at_its_place(grid: VoxelGrid, change: AxesChange) -> None:
    values = np.arange(np.prod(grid.shape_irc)).reshape(grid.shape_irc)
    turned_grid, turned = change.turn_grid(grid), change.turn_voxels(values)
    assert turned.shape == turned_grid.shape_irc
    for voxel_irc in all_voxels_irc(turned_grid):
        place_xyz_mm = turned_grid.irc_to_xyz_mm([voxel_irc])
        before_irc = grid.voxel_of(place_xyz_mm)[0]
        assert turned[tuple(voxel_irc)] == values[tuple(before_irc)]
        np.testing.assert_allclose(place_xyz_mm, grid.irc_to_xyz_mm([before_irc]), atol=1e-8)


@QUICK
@given(grids(), changes(), st.lists(triples, min_size=1, max_size=5))
def test_turning_points_back_keeps_them_in_place(
    grid: VoxelGrid, change: AxesChange, points_irc: list[tuple[float, float, float]]
) -> None:
    turned = change.turn_grid(grid)
    before_irc = change.turn_back_points(points_irc, turned.shape_irc)
    place_xyz_mm = turned.irc_to_xyz_mm(points_irc)
    np.testing.assert_allclose(grid.irc_to_xyz_mm(before_irc), place_xyz_mm, atol=1e-6)


@QUICK
@given(grids())
def test_canonical_order_is_right_handed(grid: VoxelGrid) -> None:
    turned = canonical_axes(grid).turn_grid(grid)
    assert np.linalg.det(np.asarray(turned.direction)) > 0


@QUICK
@given(grids())
def test_a_turned_grid_is_canonical_and_stays_so(grid: VoxelGrid) -> None:
    turned = canonical_axes(grid).turn_grid(grid)
    # The diagonal says how far each axis runs along its own patient axis.
    assert (np.diag(np.asarray(turned.direction)) >= 0).all()
    again = canonical_axes(turned).turn_grid(turned)
    assert np.trace(np.asarray(again.direction)) <= np.trace(np.asarray(turned.direction)) + 1e-9


@QUICK
@given(grids(), changes())
def test_the_order_of_axes_a_file_happens_to_have_does_not_matter(
    grid: VoxelGrid, change: AxesChange
) -> None:
    turned = canonical_axes(grid).turn_grid(grid)
    other = change.turn_grid(grid)
    other_turned = canonical_axes(other).turn_grid(other)
    if np.diag(np.asarray(turned.direction)).min() > 0.75:  # elsewhere two orders may be as near
        assert other_turned.shape_irc == turned.shape_irc
        np.testing.assert_allclose(other_turned.origin_xyz_mm, turned.origin_xyz_mm, atol=1e-8)
        np.testing.assert_allclose(other_turned.direction, turned.direction, atol=1e-9)
