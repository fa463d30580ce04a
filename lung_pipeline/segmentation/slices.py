# SPDX-License-Identifier: Apache-2.0
"""Whole slices to judge a segmentation by, with and without a nodule.

Patches around nodules flatter: what a model marks elsewhere in the chest is not in them. Belongs
here: which slices of a series are looked at, and whose their voxels are. Does not belong here: a
model over them (``validation.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.segmentation.inference import windows_of_slices
from lung_pipeline.segmentation.patches import NoduleMark, mark_nodules
from lung_pipeline.segmentation.slice_counts import Labels, nodule_numbers

if TYPE_CHECKING:
    from lung_pipeline.ct.geometry import VoxelGrid
    from lung_pipeline.ct.hounsfield import VoxelsHu

MOST_WITHOUT_NODULE = 128
"""Of all series together, each rounded up to a whole slice where series are no more than these: a
slice of 512 x 512 with its context takes 3.7 MB, and time."""


@dataclass(frozen=True, slots=True)
class WholeSlices:
    """Some whole slices of one series."""

    name: str
    """Of the series."""

    indices: tuple[int, ...]
    """Which slices, from the feet."""

    windows_hu: VoxelsHu
    """Each with its context, shape (slice, 7, row, column)."""

    nodules: Labels
    """Which nodule a voxel belongs to, 0 for none; shape (slice, row, column)."""


def number_nodules(voxels_hu: VoxelsHu, grid: VoxelGrid, marks: Sequence[NoduleMark]) -> Labels:
    """Which nodule each voxel of a series belongs to: 1 for the first mark, 0 for none.

    Where two overlap, the later has the voxel.

    Raises:
        AnnotationError: a centre lies outside the volume.
    """
    nodules = np.zeros(voxels_hu.shape, dtype=np.int16)
    for number, mark in enumerate(marks, start=1):
        nodules[mark_nodules(voxels_hu, grid, [mark])] = number
    return nodules


def pick_slices(
    nodules: Labels, num_others: int, rng: np.random.Generator, per_nodule: int = 1
) -> tuple[int, ...]:
    """Slices of a series to judge by: those in which nodules are largest, and some without any.

    Args:
        nodules: which nodule a voxel belongs to, 0 for none; shape (index, row, column).
        num_others: slices without a nodule, drawn at random; all where there are fewer.
        rng: of that draw.
        per_nodule: slices of each nodule.
    """
    picked: set[int] = set()
    for number in nodule_numbers(nodules):
        areas = (nodules == number).sum(axis=(1, 2))
        largest = np.argsort(-areas, kind="stable")[:per_nodule]
        picked.update(int(index) for index in largest if areas[index])
    empty = np.flatnonzero(~(nodules > 0).any(axis=(1, 2)))
    picked.update(rng.permutation(empty)[:num_others].tolist())
    return tuple(sorted(picked))


def whole_slices(
    name: str, voxels_hu: VoxelsHu, nodules: Labels, indices: Sequence[int]
) -> WholeSlices:
    """Some slices of a series with their context, copied: the volume need not be kept."""
    chosen = list(indices)
    windows_hu = windows_of_slices(voxels_hu, chosen)
    return WholeSlices(name, tuple(chosen), windows_hu, nodules[chosen])


def num_without_nodule(wanted: int, num_series: int, number: int) -> int:
    """How many slices without a nodule to look at in one series: fewer where series are many.

    Args:
        wanted: at most so many.
        num_series: how many series there are.
        number: which of them this is, from 0; of more series than slices not each gets one.
    """
    if num_series <= MOST_WITHOUT_NODULE:
        return min(wanted, -(-MOST_WITHOUT_NODULE // max(num_series, 1)))
    before, then = (MOST_WITHOUT_NODULE * n // num_series for n in (number, number + 1))
    return min(wanted, then - before)
