# SPDX-License-Identifier: Apache-2.0
"""Judge a segmentation on whole slices, with and without a nodule.

Belongs here: a model over slices, and which of them are worst. Does not belong here: which slices
are looked at (``slices.py``), figures of masks (``slice_counts.py``), the loss and regions
(``training.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.learning.epoch import Validation
from lung_pipeline.learning.examples import SliceExample
from lung_pipeline.segmentation.probability_box import Probabilities
from lung_pipeline.segmentation.slice_counts import Mask, SliceCounts
from lung_pipeline.segmentation.slices import WholeSlices
from lung_pipeline.segmentation.unet import CONTEXT_SLICES

if TYPE_CHECKING:
    from torch import nn

    from lung_pipeline.ct.hounsfield import VoxelsHu

NUM_EXAMPLES = 4
"""Slices that are shown of an epoch."""


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
            logits = model(slices_hu)
        found[place] = torch.sigmoid(logits.float()[0, 0]).half().cpu().numpy()
    return found


def validate_slices(
    model: nn.Module,
    series: Iterable[WholeSlices],
    threshold: float = 0.5,
    prefix: str = "validation/slice",
) -> Validation:
    """The figures of a model over whole slices of some series, and the worst of the slices.

    A slice is worse than another with more nodules missed and marks in vain, and among equals with
    more voxels wrong: by voxels alone, the rim of a large nodule would hide a small one that is
    missed. Slices without a fault are not shown.
    """
    counts = SliceCounts()
    worst: list[_Fault] = []
    for slices in series:
        predicted = slice_probabilities(model, slices.windows_hu) > threshold
        counts += SliceCounts.of(predicted, slices.nodules > 0, slices.nodules)
        worst = sorted([*worst, *_faults(slices, predicted)], key=lambda fault: fault.rank)
        worst = worst[:NUM_EXAMPLES]
    if counts.num_slices == 0:
        return Validation({})
    examples = (
        replace(fault.example, name=f"worst-slice-{place}")
        for place, fault in enumerate(worst, start=1)
    )
    return Validation(counts.as_metrics(prefix), tuple(examples))


@dataclass(frozen=True, slots=True)
class _Fault:
    """A slice with something wrong in it."""

    rank: tuple[int, int]
    """The worse, the smaller."""

    example: SliceExample


def _faults(slices: WholeSlices, predicted: Mask) -> Iterator[_Fault]:
    """The slices of a series in which a voxel is wrong."""
    for place, index in enumerate(slices.indices):
        nodules = slices.nodules[place]
        counts = SliceCounts.of(predicted[place, None], nodules[None] > 0, nodules[None])
        num_wrong = counts.voxels.false_positive + counts.voxels.false_negative
        if not num_wrong:
            continue
        num_missed, num_in_vain = counts.nodule_dices.count(0), counts.num_false_marks
        title = (
            f"{slices.name}, slice {index}: {num_missed} of {len(counts.nodule_dices)} nodules "
            f"missed, {num_in_vain} of {counts.num_marks} marks in vain"
        )
        # Copied, or a view of it would keep all slices of the series in memory.
        seen_hu, marked = slices.windows_hu[place, CONTEXT_SLICES], predicted[place].copy()
        example = SliceExample("", title, seen_hu, marked, nodules > 0)
        yield _Fault((-num_missed - num_in_vain, -num_wrong), example)
