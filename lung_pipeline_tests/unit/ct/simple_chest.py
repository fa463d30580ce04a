# SPDX-License-Identifier: Apache-2.0
"""A chest of a few ellipsoids, whose lungs are known: for the tests of the lung mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu

GRID = VoxelGrid((110, 112, 152), (3.0, 2.75, 2.75), (0.0, 0.0, 0.0))
"""330 mm high, 308 mm deep, 418 mm wide."""

LEFT_MM, RIGHT_MM = (165.0, 140.0, 285.0), (165.0, 140.0, 133.0)
"""Middles of the lungs from the volume's corner: to the head, to the back, to the left."""

LUNG_RADII_MM = (110.0, 85.0, 60.0)
"""Half axes of a lung."""

TRUNK_RADII_MM = (120.0, 180.0)
"""Half axes of the trunk, to the back and to the left."""

Mask = npt.NDArray[np.bool_]


def axes_mm(grid: VoxelGrid = GRID) -> list[npt.NDArray[np.float64]]:
    """The voxel centres' distance from the volume's corner, one array an axis."""
    lines = [
        (np.arange(n) + 0.5) * s for n, s in zip(grid.shape_irc, grid.spacing_irc_mm, strict=True)
    ]
    return list(np.meshgrid(*lines, indexing="ij", sparse=True))


def ellipsoid(
    middle_mm: tuple[float, ...], radii_mm: tuple[float, ...], grid: VoxelGrid = GRID
) -> Mask:
    """The voxels of an ellipsoid."""
    parts = zip(axes_mm(grid), middle_mm, radii_mm, strict=True)
    return np.asarray(sum(((line - m) / r) ** 2 for line, m, r in parts) <= 1)


def lung(middle_mm: tuple[float, float, float], grid: VoxelGrid = GRID) -> Mask:
    """The voxels of one lung."""
    return ellipsoid(middle_mm, LUNG_RADII_MM, grid)


def chest(grid: VoxelGrid = GRID) -> VoxelsHu:
    """Trunk on a table of foam in a shell, two lungs on a windpipe, gas in two loops of bowel."""
    voxels_hu = np.full(grid.shape_irc, -1000, dtype=np.int16)
    head, back, left = axes_mm(grid)
    table = (np.abs(back - 275) < 16) & (np.abs(left - 209) < 190) & (head > -1)
    voxels_hu[table] = 0
    voxels_hu[(np.abs(back - 275) < 12) & (np.abs(left - 209) < 186) & (head > -1)] = -900
    trunk = ((back - 140) / TRUNK_RADII_MM[0]) ** 2 + ((left - 209) / TRUNK_RADII_MM[1]) ** 2 <= 1
    voxels_hu[trunk & (head > -1)] = 40
    voxels_hu[lung(LEFT_MM, grid) | lung(RIGHT_MM, grid)] = -850
    voxels_hu[((back - 120) ** 2 + (left - 209) ** 2 <= 9.0**2) & (head > 180)] = -990
    voxels_hu[ellipsoid((185.0, 120.0, 209.0), (5.0, 5.0, 40.0), grid)] = -990
    voxels_hu[ellipsoid((25.0, 80.0, 285.0), (20.0, 30.0, 35.0), grid)] = -985
    # A narrow loop is mostly border, where gas and wall blend.
    voxels_hu[ellipsoid((25.0, 140.0, 150.0), (14.0, 14.0, 80.0), grid)] = -700
    voxels_hu[ellipsoid((25.0, 140.0, 150.0), (10.0, 10.0, 76.0), grid)] = -985
    noise = np.random.default_rng(0).normal(0, 20, grid.shape_irc)
    return np.clip(voxels_hu + noise, -1000, 1000).astype(np.int16)
