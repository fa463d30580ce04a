# SPDX-License-Identifier: Apache-2.0
"""Batches of patches on their device, each patch changed in its own way.

Belongs here: patches with their truth, epoch by epoch. Does not belong here: how a patch is drawn
(``patches.py``) and what is learned from it (``training.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lung_pipeline.crops import augmentation
from lung_pipeline.learning.ahead import ahead
from lung_pipeline.learning.seeds import seeded_for
from lung_pipeline.segmentation.patches import patch_batches
from lung_pipeline.segmentation.regions import Regions
from lung_pipeline.segmentation.settings import SegmentationSettings

PatchBatch = tuple[Tensor, ...]
"""Slices in HU (batch, 7, row, column) and truth (batch, 1, row, column)."""


def patch_samples(
    train: Regions, settings: SegmentationSettings, device: torch.device, epoch: int
) -> Iterator[PatchBatch]:
    """The batches of an epoch, counted from 1; the same at every call.

    Patches lie in memory, so one thread cuts them many times faster than a network learns from
    them, and worker processes would only copy them.
    """
    rng = seeded_for(settings.seed, epoch)
    share = settings.background_share if train.background else 0.0
    cut = patch_batches(
        train.nodule,
        train.background,
        batch_size=settings.batch_size,
        num_batches=settings.steps_per_epoch,
        background_share=share,
        rng=rng,
    )
    drawn = ((*batch, augmentation.draw(len(batch[0]), rng, settings)) for batch in cut)
    for slices_hu, mask, change in ahead(drawn):
        yield augmentation.apply(
            torch.from_numpy(slices_hu).to(device), change, torch.from_numpy(mask).to(device)
        )
