# SPDX-License-Identifier: Apache-2.0
"""The grid against ITK's own mapping between voxels and patient space."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.ct.geometry import VoxelGrid, canonical_axes

QUICK = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def random_grid(rng: np.random.Generator) -> VoxelGrid:
    """Any orthonormal direction: the Q of a random matrix, half of them mirrored."""
    orthonormal, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    direction: Any = tuple(tuple(row) for row in orthonormal.tolist())
    spacing: Any = tuple(rng.uniform(0.3, 5.0, 3).tolist())
    origin: Any = tuple(rng.uniform(-400, 400, 3).tolist())
    shape: Any = tuple(rng.integers(2, 9, 3).tolist())
    return VoxelGrid(shape, spacing, origin, direction)


def as_itk(grid: VoxelGrid) -> Any:
    image = SimpleITK.Image(list(grid.shape_irc[::-1]), SimpleITK.sitkInt16)
    image.SetSpacing(grid.spacing_irc_mm[::-1])
    image.SetOrigin(grid.origin_xyz_mm)
    image.SetDirection(np.ravel(grid.direction).tolist())
    return image


@QUICK
@given(seeds)
def test_voxel_to_space_is_itk_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = random_grid(rng)
    point_irc = rng.uniform(-50, 50, 3)
    theirs_xyz_mm = as_itk(grid).TransformContinuousIndexToPhysicalPoint(point_irc[::-1].tolist())
    np.testing.assert_allclose(grid.irc_to_xyz_mm([point_irc])[0], theirs_xyz_mm, atol=1e-8)


@QUICK
@given(seeds)
def test_space_to_voxel_is_itk_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = random_grid(rng)
    point_xyz_mm = rng.uniform(-400, 400, 3)
    theirs_xyz = as_itk(grid).TransformPhysicalPointToContinuousIndex(point_xyz_mm.tolist())
    np.testing.assert_allclose(grid.xyz_mm_to_irc([point_xyz_mm])[0], theirs_xyz[::-1], atol=1e-8)


@QUICK
@given(seeds)
def test_turned_image_is_itk_s_permuted_and_flipped_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = random_grid(rng)
    values = rng.integers(-1000, 1000, grid.shape_irc).astype(np.int16)
    change = canonical_axes(grid)
    image = SimpleITK.GetImageFromArray(values)
    image.CopyInformation(as_itk(grid))
    # ITK names axes x, y, z: the last of ours first.
    order_xyz = [2 - old for old in change.order[::-1]]
    turned = SimpleITK.PermuteAxes(image, order_xyz)
    turned = SimpleITK.Flip(turned, list(change.flipped[::-1]))
    mine = change.turn_grid(grid)
    np.testing.assert_array_equal(change.turn_voxels(values), SimpleITK.GetArrayFromImage(turned))
    np.testing.assert_allclose(mine.origin_xyz_mm, turned.GetOrigin(), atol=1e-8)
    np.testing.assert_allclose(mine.spacing_irc_mm, turned.GetSpacing()[::-1])
    np.testing.assert_allclose(np.ravel(mine.direction), turned.GetDirection(), atol=1e-12)
