# SPDX-License-Identifier: Apache-2.0
"""A volume on a coarser grid: each cell is the mean of a block of its voxels.

Belongs here: blocks and their means. Does not belong here: what is looked for on them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Triple
from lung_pipeline.ct.hounsfield import VoxelsHu

CellsHu = npt.NDArray[np.int16]
"""Mean HU of each cell, shape (index, row, column) of the cells."""


def step_for(spacing_irc_mm: tuple[float, float, float], cell_mm: float) -> Triple:
    """How many voxels along each axis come nearest to a cell's edge; at least one."""
    index, row, column = (max(1, round(cell_mm / spacing)) for spacing in spacing_irc_mm)
    return index, row, column


def cell_means(voxels_hu: VoxelsHu, step_irc: Triple) -> CellsHu:
    """The mean of each block of voxels, rounded down; cells at the end may be of fewer voxels.

    One block of slices is summed at a time, so that nothing as large as the volume is made.

    Args:
        voxels_hu: shape (index, row, column).
        step_irc: voxels to a cell along each axis.
    """
    shape = tuple(-(-size // step) for size, step in zip(voxels_hu.shape, step_irc, strict=True))
    means = np.empty(shape, dtype=np.int16)
    num_rows, num_columns = (
        np.minimum(step, size - np.arange(0, size, step))
        for size, step in zip(voxels_hu.shape[1:], step_irc[1:], strict=True)
    )
    for number, plane in enumerate(means):
        block = voxels_hu[number * step_irc[0] : (number + 1) * step_irc[0]]
        sums = _sums(block, step_irc)
        plane[...] = sums // (len(block) * num_rows[:, None] * num_columns)
    return means


def block_shares(mask: npt.NDArray[np.bool_], step_irc: Triple) -> npt.NDArray[np.float64]:
    """The share of each block of cells that is marked; the mask goes on as it ends."""
    missing = [-size % step for size, step in zip(mask.shape, step_irc, strict=True)]
    whole = np.pad(mask, [(0, more) for more in missing], mode="edge")
    parts = [part for n, k in zip(whole.shape, step_irc, strict=True) for part in (n // k, k)]
    return whole.reshape(parts).mean(axis=(1, 3, 5))


def spread(coarse: npt.NDArray[np.bool_], step_irc: Triple, shape: Triple) -> npt.NDArray[np.bool_]:
    """Each cell of a coarser mask over its block, cut to a shape: ``block_shares`` backwards."""
    for axis, step in enumerate(step_irc):
        coarse = coarse.repeat(step, axis=axis)
    return coarse[: shape[0], : shape[1], : shape[2]]


def _sums(block: VoxelsHu, step_irc: Triple) -> npt.NDArray[np.int32]:
    """The sums of the blocks in one layer of slices."""
    over_slices = block.sum(axis=0, dtype=np.int32)
    _, step_row, step_column = step_irc
    first_rows = np.arange(0, len(over_slices), step_row)
    over_rows = np.add.reduceat(over_slices, first_rows, axis=0)
    # Columns lie side by side in memory: adding strided views is faster than reduceat here.
    sums = over_rows[:, ::step_column].copy()
    for offset in range(1, min(step_column, over_rows.shape[1])):
        part = over_rows[:, offset::step_column]
        sums[:, : part.shape[1]] += part
    return sums
