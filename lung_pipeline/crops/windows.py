# SPDX-License-Identifier: Apache-2.0
"""A window around a voxel; what leaves the volume is air, and the candidate stays in the centre.

Belongs here: cutting. Does not belong here: which windows, and where they are kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Triple
from lung_pipeline.ct.hounsfield import AIR_HU, VoxelsHu

CROP_SHAPE_IRC = (32, 48, 48)
"""Slices, rows and columns of a crop ("Deep Learning with PyTorch", chapter 11)."""


def cut_window(
    voxels_hu: VoxelsHu, center_irc: npt.ArrayLike, shape_irc: Triple = CROP_SHAPE_IRC
) -> VoxelsHu:
    """Cut a window whose voxel ``shape // 2`` is the volume's voxel ``center_irc``.

    Args:
        voxels_hu: a volume, shape (index, row, column).
        center_irc: a voxel, whole numbers; it may lie outside the volume.
        shape_irc: the window's shape.
    """

    def read(start: Triple, stop: Triple) -> VoxelsHu:
        return voxels_hu[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]

    return read_window(read, _triple(voxels_hu.shape), center_irc, shape_irc)


def read_window(
    read: Callable[[Triple, Triple], VoxelsHu],
    volume_shape_irc: Triple,
    center_irc: npt.ArrayLike,
    shape_irc: Triple = CROP_SHAPE_IRC,
) -> VoxelsHu:
    """As ``cut_window``, from anything that reads ``[start_irc, stop_irc)`` inside a volume."""
    start = np.asarray(center_irc, dtype=np.int64) - np.asarray(shape_irc) // 2
    inside_start = np.clip(start, 0, volume_shape_irc)
    inside_stop = np.clip(start + shape_irc, 0, volume_shape_irc)
    window = np.full(shape_irc, AIR_HU, dtype=np.int16)
    if (inside_stop > inside_start).all():
        place = tuple(
            slice(first, last)
            for first, last in zip(inside_start - start, inside_stop - start, strict=True)
        )
        window[place] = read(_triple(inside_start), _triple(inside_stop))
    return window


def _triple(values: npt.ArrayLike) -> Triple:
    index, row, column = (int(value) for value in np.asarray(values))
    return (index, row, column)
