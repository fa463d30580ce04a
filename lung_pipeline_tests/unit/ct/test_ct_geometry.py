# SPDX-License-Identifier: Apache-2.0
"""Grids a person can work out by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from lung_pipeline.ct.geometry import (
    IDENTITY,
    AxesChange,
    Matrix3,
    VoxelGrid,
    canonical_axes,
    grid_in,
)
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import GeometryError, HounsfieldError

COS5, SIN5 = math.cos(math.radians(5)), math.sin(math.radians(5))


@dataclass(frozen=True)
class Case:
    """Spacing 2.5 x 0.8 x 0.5 mm, origin (10, 20, 30): voxel (2, 10, 4) and where it lies."""

    name: str
    direction: Matrix3
    xyz_mm: tuple[float, float, float]


CASES = [
    # x = 10 + 4 * 0.5, y = 20 + 10 * 0.8, z = 30 + 2 * 2.5
    Case("identity", IDENTITY, (12.0, 28.0, 35.0)),
    # As in some LUNA16 series: columns grow to the right, rows to the front.
    Case("x and y flipped", ((-1, 0, 0), (0, -1, 0), (0, 0, 1)), (8.0, 12.0, 35.0)),
    # Tilted about x: rows lean to the head, slices to the front.
    Case(
        "5 degree tilt about x",
        ((1, 0, 0), (0, COS5, -SIN5), (0, SIN5, COS5)),
        (12.0, 20 + 8 * COS5 - 5 * SIN5, 30 + 8 * SIN5 + 5 * COS5),
    ),
    # Sagittal: columns grow to the back, rows to the feet, slices to the left.
    Case("sagittal", ((0, 0, 1), (1, 0, 0), (0, -1, 0)), (15.0, 22.0, 22.0)),
]


def grid_with(direction: Matrix3) -> VoxelGrid:
    return VoxelGrid((12, 30, 20), (2.5, 0.8, 0.5), (10.0, 20.0, 30.0), direction)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_voxel_lies_where_it_is_worked_out_by_hand(case: Case) -> None:
    grid = grid_with(case.direction)
    np.testing.assert_allclose(grid.irc_to_xyz_mm([[2, 10, 4]]), [case.xyz_mm], atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_place_lies_in_the_voxel_worked_out_by_hand(case: Case) -> None:
    grid = grid_with(case.direction)
    np.testing.assert_allclose(grid.xyz_mm_to_irc([case.xyz_mm]), [[2, 10, 4]], atol=1e-12)
    assert grid.voxel_of([case.xyz_mm]).tolist() == [[2, 10, 4]]


def test_multiplying_the_direction_from_the_wrong_side_would_be_off_by_voxels() -> None:
    grid = VoxelGrid((100, 512, 512), (2.5, 0.8, 0.8), (0.0, 0.0, 0.0), CASES[2].direction)
    xyz_mm = grid.irc_to_xyz_mm([[50, 250, 250]])
    wrong = (xyz_mm @ np.linalg.inv(np.asarray(grid.direction)) / [0.8, 0.8, 2.5])[:, ::-1]
    assert np.abs(wrong - [[50, 250, 250]]).max() > 10
    np.testing.assert_allclose(grid.xyz_mm_to_irc(xyz_mm), [[50, 250, 250]], atol=1e-9)


def test_voxel_of_takes_the_upper_voxel_at_a_face() -> None:
    grid = VoxelGrid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    faces_xyz_mm = [[0.5, 1.5, 2.5], [-0.5, 0.49, 0.51], [-0.51, -1.5, 4.0]]
    assert grid.voxel_of(faces_xyz_mm).tolist() == [[3, 2, 1], [1, 0, 0], [4, -1, -1]]


def test_grid_contains_up_to_its_outer_faces_and_no_further() -> None:
    grid = VoxelGrid((2, 3, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    points_irc = [[-0.5, 0, 0], [-0.51, 0, 0], [1.49, 2.49, 3.49], [1.5, 0, 0], [0, 0, 3.5]]
    assert grid.contains_irc(points_irc).tolist() == [True, False, True, False, False]


def test_voxel_volume_is_the_product_of_the_spacings() -> None:
    assert grid_with(IDENTITY).voxel_volume_mm3 == pytest.approx(1.0)


NAN = float("nan")
BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("no slices", {"shape_irc": (0, 4, 4)}, "at least one voxel"),
    ("zero spacing", {"spacing_irc_mm": (0.0, 1.0, 1.0)}, "spacing must be positive"),
    ("negative spacing", {"spacing_irc_mm": (1.0, -1.0, 1.0)}, "spacing must be positive"),
    ("spacing not a number", {"spacing_irc_mm": (1.0, 1.0, NAN)}, "spacing must be positive"),
    ("infinite spacing", {"spacing_irc_mm": (math.inf, 1.0, 1.0)}, "spacing must be positive"),
    ("origin not a number", {"origin_xyz_mm": (0.0, NAN, 0.0)}, "origin must be finite"),
    ("skewed", {"direction": ((1, 0, 0), (0, 1, 0.1), (0, 0, 1))}, "orthonormal"),
    ("stretched", {"direction": ((2, 0, 0), (0, 1, 0), (0, 0, 1))}, "orthonormal"),
    ("flat", {"direction": ((1, 0, 0), (0, 1, 0), (0, 0, 0))}, "orthonormal"),
    ("direction not a number", {"direction": ((NAN, 0, 0), (0, 1, 0), (0, 0, 1))}, "orthonormal"),
]


@pytest.mark.parametrize(("changes", "rule"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_grid_is_refused(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(GeometryError, match=rule):
        replace(grid_with(IDENTITY), **changes)


def test_direction_rounded_as_headers_round_is_taken() -> None:
    rounded: Any = tuple(tuple(round(v, 4) for v in row) for row in CASES[2].direction)
    assert grid_with(rounded).direction == rounded


def test_error_of_a_grid_in_a_file_names_the_file() -> None:
    with pytest.raises(GeometryError, match=r"scan\.mhd \(spacing_irc_mm\): spacing must be"):
        grid_in(
            "scan.mhd",
            shape_irc=(1, 1, 1),
            spacing_irc_mm=(0.0, 1.0, 1.0),
            origin_xyz_mm=(0.0, 0.0, 0.0),
            direction=IDENTITY,
        )


def test_flipped_axes_are_turned_and_start_at_what_was_the_last_voxel() -> None:
    grid = grid_with(((-1, 0, 0), (0, -1, 0), (0, 0, 1)))
    change = canonical_axes(grid)
    assert change == AxesChange(order=(0, 1, 2), flipped=(False, True, True))
    # x: 10 - 19 * 0.5, y: 20 - 29 * 0.8
    turned = change.turn_grid(grid)
    assert turned.direction == IDENTITY
    np.testing.assert_allclose(turned.origin_xyz_mm, (0.5, -3.2, 30.0))
    assert canonical_axes(turned).is_identity


def test_sagittal_axes_are_brought_to_the_order_head_back_left() -> None:
    grid = grid_with(((0, 0, 1), (1, 0, 0), (0, -1, 0)))
    change = canonical_axes(grid)
    assert change == AxesChange(order=(1, 2, 0), flipped=(True, False, False))
    turned = change.turn_grid(grid)
    assert turned.shape_irc == (30, 20, 12)
    assert turned.spacing_irc_mm == (0.8, 0.5, 2.5)
    assert turned.direction == IDENTITY


def test_turned_voxels_lie_contiguous_in_memory() -> None:
    voxels = np.arange(24).reshape(2, 3, 4)
    turned = AxesChange(order=(2, 0, 1), flipped=(True, False, False)).turn_voxels(voxels)
    assert turned.flags.c_contiguous
    assert turned[0].tolist() == voxels[:, :, 3].tolist()


def test_points_are_turned_back_to_where_they_lay() -> None:
    # New axes (index, row, column) come from old (1, 2, 0); the index, of 4, was flipped.
    change = AxesChange(order=(1, 2, 0), flipped=(True, False, False))
    before_irc = change.turn_back_points([[0, 10, 20], [3, 11, 21]], (4, 30, 40))
    np.testing.assert_array_equal(before_irc, [[20, 3, 10], [21, 0, 11]])
    assert before_irc.dtype.kind == "i"


def signed_permutations() -> list[Matrix3]:
    """All 48 directions along the patient's axes."""
    found: list[Matrix3] = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix: Any = (np.eye(3)[list(order)] * signs).tolist()
            found.append(tuple(tuple(row) for row in matrix))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("direction", signed_permutations(), ids=str)
def test_each_of_the_48_orders_of_axes_comes_to_the_canonical_one(direction: Matrix3) -> None:
    grid = grid_with(direction)
    turned = canonical_axes(grid).turn_grid(grid)
    assert turned.direction == IDENTITY
    # The lowest corner of the grid in space is its first voxel.
    corners = np.array(list(itertools.product(*((0, size - 1) for size in grid.shape_irc))))
    lowest_xyz_mm = grid.irc_to_xyz_mm(corners).min(axis=0)
    np.testing.assert_allclose(turned.origin_xyz_mm, lowest_xyz_mm, atol=1e-9)


def test_there_are_48_different_orders_of_axes() -> None:
    assert len(set(signed_permutations())) == 48


def test_canonical_grid_is_left_as_it_is() -> None:
    grid = grid_with(CASES[2].direction)
    assert canonical_axes(grid).is_identity
    assert canonical_axes(grid).turn_grid(grid) == grid


def test_volume_of_another_shape_than_its_grid_is_refused() -> None:
    grid = VoxelGrid((2, 3, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match=r"must have the grid's shape \(2, 3, 4\)"):
        CtVolume("uid", np.zeros((2, 4, 3), np.int16), grid, grid, "0")


def test_volume_that_is_not_int16_is_refused() -> None:
    grid = VoxelGrid((2, 3, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    voxels: Any = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(HounsfieldError, match="voxels must be int16, got float32"):
        CtVolume("uid", voxels, grid, grid, "0")
