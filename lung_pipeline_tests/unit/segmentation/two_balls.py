# SPDX-License-Identifier: Apache-2.0
"""A small scan with two nodules, for the tests of whole slices."""

from __future__ import annotations

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.segmentation.patches import NoduleMark
from lung_pipeline.segmentation.slices import number_nodules

GRID = VoxelGrid((12, 48, 64), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
SMALL, LARGE = NoduleMark((10.0, 12.0, 2.0), 3.0), NoduleMark((40.0, 30.0, 7.0), 6.0)


def _scan() -> np.ndarray:
    """Lung with two balls and a vessel that is none of them."""
    voxels_hu = np.full(GRID.shape_irc, -850, dtype=np.int16)
    for mark in (SMALL, LARGE):
        center_irc = np.reshape(mark.center_xyz_mm[::-1], (3, 1, 1, 1))
        steps = np.indices(GRID.shape_irc) - center_irc
        voxels_hu[(steps**2).sum(axis=0) <= (mark.diameter_mm / 2) ** 2] = 30
    voxels_hu[:, 40:42, 5:7] = 30
    return voxels_hu


SCAN = _scan()
NODULES = number_nodules(SCAN, GRID, [SMALL, LARGE])
