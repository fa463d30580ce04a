# SPDX-License-Identifier: Apache-2.0
"""Judge a segmentation on whole slices, with and without a nodule.

Patches around nodules flatter: what a model marks elsewhere in the chest is not in them. Belongs
here: which slices are looked at, and a model over them. Does not belong here: figures of masks
(``slice_counts.py``), the loss and regions (``training.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.segmentation.inference import Probabilities, windows_of_slices
from lung_pipeline.segmentation.patches import NoduleMark, mark_nodules
from lung_pipeline.segmentation.slice_counts import Labels, SliceCounts, nodule_numbers

if TYPE_CHECKING:
    from torch import nn

    from lung_pipeline.ct.geometry import VoxelGrid
    from lung_pipeline.ct.hounsfield import VoxelsHu


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


def slice_probabilities(model: nn.Module, windows_hu: VoxelsHu) -> Probabilities:
    """The probability of nodule tissue on slices with their context, one slice at a time.

    Args:
        model: a U-Net in evaluation mode.
        windows_hu: shape (slice, 7, row, column).

    Returns:
        Shape (slice, row, column).
    """
    import torch

    from lung_pipeline.learning.device import mixed_precision

    device = next(model.parameters()).device
    found = np.empty((len(windows_hu), *windows_hu.shape[2:]), dtype=np.float16)
    for place, window_hu in enumerate(windows_hu):
        slices_hu = torch.from_numpy(window_hu[None]).to(device).float()
        with torch.inference_mode(), mixed_precision(device):
            logits = model(slices_hu.contiguous(memory_format=torch.channels_last))
        found[place] = torch.sigmoid(logits.float()[0, 0]).half().cpu().numpy()
    return found


def validate_slices(
    model: nn.Module,
    series: Iterable[WholeSlices],
    threshold: float = 0.5,
    prefix: str = "validation/slice",
) -> dict[str, float]:
    """The figures of a model over whole slices of some series."""
    counts = SliceCounts()
    for slices in series:
        predicted = slice_probabilities(model, slices.windows_hu) > threshold
        counts += SliceCounts.of(predicted, slices.nodules > 0, slices.nodules)
    return counts.as_metrics(prefix)
