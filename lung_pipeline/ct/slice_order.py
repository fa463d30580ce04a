# SPDX-License-Identifier: Apache-2.0
"""Whether neighbouring slices show neighbouring parts of a body, whatever their headers say.

Belongs here: pictures held against those beside them. Does not belong here: positions, which
``slice_stack`` holds against each other: an export that mixes positions up gives an even grid.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import VoxelsHu

Pictures = npt.NDArray[np.float32]
"""Slices made coarse, shape (index, row, column): large forms without the noise."""

_BLOCK = 8
"""Pixels of a block's side, of every other pixel: the mean of 64 leaves an eighth of the noise."""


def doubled_slices(voxels_hu: VoxelsHu) -> list[int]:
    """Indices of slices that equal the one before, voxel for voxel; noise makes no two alike.

    Slices of one value are left out: an empty picture may stand at the end of a scan.
    """
    return [
        index
        for index in range(1, len(voxels_hu))
        if np.array_equal(voxels_hu[index - 1], voxels_hu[index])
        and voxels_hu[index].min() < voxels_hu[index].max()
    ]


def coarse_pictures(voxels_hu: VoxelsHu) -> Pictures:
    """The means of blocks of each slice; no row or column where a slice is too small for one."""
    return np.stack([_coarse(plane) for plane in voxels_hu])


def disorder(pictures: Pictures, step: int) -> float:
    """How much slices ``step`` apart differ, as a share of how much those twice as far apart do.

    In a body the nearer slice is the more alike: half, and with noise alone 1. More than 1 is none.
    0 where there are too few slices to tell.
    """
    if len(pictures) <= 2 * step or not pictures[0].size:
        return 0.0
    far = float(np.abs(pictures[2 * step :] - pictures[: -2 * step]).mean())
    near = float(np.abs(pictures[step:] - pictures[:-step]).mean())
    return near / far if far > 0 else 0.0


def _coarse(plane: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    sparse = plane[::2, ::2]
    rows, columns = (size // _BLOCK for size in sparse.shape)
    blocks = sparse[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return blocks.mean(axis=(1, 3), dtype=np.float32)
