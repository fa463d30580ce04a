# SPDX-License-Identifier: Apache-2.0
"""Chests of which everything is known, and which the gate lets pass: a wall, air, balls.

The wall (-200 HU) is tissue to whoever looks for lungs, and fainter than every ball (-50 HU and
denser), so that a network which sees density alone can tell the balls from it (``MARKS_FROM_HU``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.phantom.folder import make_header

WALL_HU, WALL_VOXELS = -200, 7
"""How dense the wall is, and how thick to each side."""

MARKS_FROM_HU = -120.0
"""Between the wall and the faintest ball."""

BALL_RADIUS_MM = 6.0
"""Half as wide as they are annotated."""

GRID = VoxelGrid((64, 64, 64), (2.5, 1.5, 1.5), (-30.0, -30.0, -40.0))
"""The grid of the unflipped scans: voxel (20, 20, 20) lies at (0, 0, 10)."""

FLIPPED_GRID = VoxelGrid(
    (64, 64, 64),
    (2.5, 1.5, 1.5),
    (64.5, 64.5, -40.0),
    ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0)),
)
"""The same place in the patient, rows and columns told from the other end."""

Balls = list[tuple[tuple[int, int, int], int]]
"""Of each ball the voxel of its centre and its HU."""


def write_balls(folder: Path, series_uid: str, balls: Balls, *, flipped: bool = False) -> None:
    """Write one scan as a MetaIO file."""
    grid = FLIPPED_GRID if flipped else GRID
    folder.mkdir(parents=True, exist_ok=True)
    ball_chest(grid, balls).tofile(folder / f"{series_uid}.raw")
    (folder / f"{series_uid}.mhd").write_text(make_header(grid, f"{series_uid}.raw"))


def ball_chest(grid: VoxelGrid, balls: Balls) -> np.ndarray:
    """The voxels of one scan, HU."""
    index, row, column = np.indices(grid.shape_irc)
    # From -950 to -651 HU: as many values as a CT has, lung's mean, neighbouring slices alike.
    voxels_hu = (-950 + (3 * index + 11 * row + 5 * column) % 300).astype("<i2")
    inside = np.s_[:, WALL_VOXELS:-WALL_VOXELS, WALL_VOXELS:-WALL_VOXELS]
    wall = np.ones(grid.shape_irc, dtype=np.bool_)
    wall[inside] = False
    voxels_hu[wall] = WALL_HU
    for center, hu in balls:
        steps = np.stack([index, row, column], axis=-1) - center
        distance_mm2 = ((steps * grid.spacing_irc_mm) ** 2).sum(axis=-1)
        voxels_hu[distance_mm2 <= BALL_RADIUS_MM**2] = hu
    return voxels_hu
