# SPDX-License-Identifier: Apache-2.0
"""What a stored volume must be like, for the check that runs after every ingest.

Belongs here: sentences on what is wrong with voxels and grid. Does not belong here: files.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import VoxelGrid, canonical_axes
from lung_pipeline.ct.hounsfield import HIGHEST_HU, LOWEST_HU, SURELY_AIR_HU

FEWEST_SLICES = 7
"""What the segmentation looks at to judge one slice: itself and three on each side."""

LARGEST_SPACING_MM = 10.0
"""No CT of a chest is coarser; a larger number is a header in another unit."""


def problems(voxels_hu: npt.NDArray[np.generic], grid: VoxelGrid) -> list[str]:
    """Say in sentences what breaks the contract of a stored volume; empty where all is well.

    Args:
        voxels_hu: shape (index, row, column), of any type: that it is int16 is looked at too.
        grid: the grid they are said to lie on.
    """
    return [*_of_voxels(voxels_hu), *_of_grid(voxels_hu.shape, grid)]


def _of_voxels(voxels_hu: npt.NDArray[np.generic]) -> list[str]:
    if voxels_hu.size == 0:
        return ["There are no voxels."]
    if voxels_hu.dtype != np.int16:
        return [f"Voxels are {voxels_hu.dtype}, not int16."]
    lowest, highest = int(np.min(voxels_hu)), int(np.max(voxels_hu))
    found = []
    if lowest < LOWEST_HU or highest > HIGHEST_HU:
        found.append(f"HU reach from {lowest} to {highest}, beyond [{LOWEST_HU}, {HIGHEST_HU}].")
    if lowest > SURELY_AIR_HU:
        found.append(f"No air: the lowest value is {lowest} HU, above {SURELY_AIR_HU}.")
    if lowest == highest:
        found.append(f"Every voxel is {lowest} HU.")
    return found


def _of_grid(shape: tuple[int, ...], grid: VoxelGrid) -> list[str]:
    found = []
    if shape != grid.shape_irc:
        found.append(f"Voxels have the shape {shape}, their grid {grid.shape_irc}.")
    if grid.shape_irc[0] < FEWEST_SLICES:
        found.append(f"{grid.shape_irc[0]} slices, fewer than {FEWEST_SLICES}.")
    if max(grid.spacing_irc_mm) > LARGEST_SPACING_MM:
        found.append(f"A spacing of {grid.spacing_irc_mm} mm, above {LARGEST_SPACING_MM:g} mm.")
    if not canonical_axes(grid).is_identity:
        found.append(f"The axes are not in canonical order: direction {grid.direction}.")
    return found
