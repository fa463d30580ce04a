# SPDX-License-Identifier: Apache-2.0
"""The voxels of one finding, kept small: a box around them and which of its voxels they are.

Belongs here: the value. Does not belong here: how it is found (``pipeline.py``), measured
(``measures.py``) and written (``reporting/dicom/seg.py``, ``ct/ome_zarr.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Triple


@dataclass(frozen=True, slots=True, eq=False)
class FindingMask:
    """Which voxels of a volume in canonical order belong to one finding."""

    start_irc: Triple
    """First voxel of the box."""

    voxels: npt.NDArray[np.bool_]
    """The box, shape (index, row, column); True where a voxel is the finding's."""

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where the box lies in the volume."""
        index, row, column = (
            slice(start, start + size)
            for start, size in zip(self.start_irc, self.voxels.shape, strict=True)
        )
        return index, row, column


def label_image(masks: Sequence[FindingMask], shape_irc: Triple) -> npt.NDArray[np.uint16]:
    """For each voxel the number of its finding from 1, or 0; of two in one place the later."""
    labels = np.zeros(shape_irc, dtype=np.uint16)
    for number, mask in enumerate(masks, start=1):
        labels[mask.box][mask.voxels] = number
    return labels


def masks_of(
    labels: npt.NDArray[np.int32], start_irc: Triple, wanted: Sequence[int]
) -> tuple[FindingMask, ...]:
    """The voxels of some labels, in the order wanted.

    Args:
        labels: a number for each voxel of a box, shape (index, row, column).
        start_irc: the box's first voxel in the volume.
        wanted: labels that are there.
    """
    from scipy.ndimage import find_objects

    boxes = find_objects(labels)
    masks = []
    for label in wanted:
        box = boxes[label - 1]
        index, row, column = (
            int(part.start) + first for part, first in zip(box, start_irc, strict=True)
        )
        masks.append(FindingMask((index, row, column), labels[box] == label))
    return tuple(masks)
