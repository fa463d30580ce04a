# SPDX-License-Identifier: Apache-2.0
"""Segmentation truth where only a centre and a diameter are known: grow while tissue is dense.

Where the readers' outlines are there, their consensus is the truth (``annotations/consensus.py``).

As in "Deep Learning with PyTorch", chapter 13, without its two flaws: there a growing box stops on
both sides when one side meets lung, and a border can wrap round to the other end of the array.
Here each of the six directions grows on its own and ends at the border. And it ends at the
annotated size: a nodule at the wall would otherwise grow through the chest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import DENSE_HU, VoxelsHu

SIZE_MARGIN = 1.25
"""How far beyond the annotated radius a direction may grow: readers' diameters are means over
axes, and nodules are not balls."""


def grow_mask(
    voxels_hu: VoxelsHu,
    center_irc: tuple[int, int, int],
    diameter_mm: float,
    spacing_irc_mm: tuple[float, float, float],
) -> npt.NDArray[np.bool_]:
    """The dense voxels of the box grown from a centre, shape as ``voxels_hu``.

    Args:
        voxels_hu: a volume or a window of one, shape (index, row, column).
        center_irc: the voxel that holds the annotated centre; it must lie inside.
        diameter_mm: the annotated diameter.
        spacing_irc_mm: distance between voxel centres along each axis.
    """
    box = tuple(
        _dense_run(_line(voxels_hu, center_irc, axis), center_irc[axis], reach)
        for axis, reach in enumerate(_reaches(diameter_mm, spacing_irc_mm))
    )
    mask = np.zeros(voxels_hu.shape, dtype=np.bool_)
    mask[box] = voxels_hu[box] > DENSE_HU
    # A ground glass centre may be thinner than the threshold; it is marked all the same.
    mask[center_irc] = True
    return mask


def _reaches(diameter_mm: float, spacing_irc_mm: tuple[float, float, float]) -> list[int]:
    radius_mm = SIZE_MARGIN * diameter_mm / 2
    return [max(1, int(np.ceil(radius_mm / spacing_mm))) for spacing_mm in spacing_irc_mm]


def _line(voxels_hu: VoxelsHu, center_irc: tuple[int, int, int], axis: int) -> VoxelsHu:
    """The voxels along one axis through the centre."""
    return np.moveaxis(voxels_hu, axis, -1)[tuple(np.delete(center_irc, axis))]


def _dense_run(line_hu: VoxelsHu, center: int, reach: int) -> slice:
    """The unbroken dense voxels around ``center``, at most ``reach`` to each side."""
    above = _num_dense(line_hu[center + 1 : center + 1 + reach])
    below = _num_dense(line_hu[max(0, center - reach) : center][::-1])
    return slice(center - below, center + above + 1)


def _num_dense(outward_hu: VoxelsHu) -> int:
    """How many voxels are dense before the first that is not."""
    thin = np.flatnonzero(outward_hu <= DENSE_HU)
    return int(thin[0]) if len(thin) else len(outward_hu)
