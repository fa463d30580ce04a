# SPDX-License-Identifier: Apache-2.0
"""Train the U-Net on regions; validate on regions of patients it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lung_pipeline.errors import AnnotationError
from lung_pipeline.learning.device import mixed_precision, pick_device
from lung_pipeline.learning.loop import VALIDATION_LOSS, Epoch, Schedule, fit
from lung_pipeline.learning.metrics import Confusion
from lung_pipeline.learning.seeds import seeded
from lung_pipeline.segmentation.losses import segmentation_loss
from lung_pipeline.segmentation.patches import Region, patch_batches
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, UNet

PatchBatch = tuple[Tensor, Tensor]
"""Slices in HU (batch, 7, row, column) and truth (batch, 1, row, column)."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one part of the patients."""

    nodule: Sequence[Region]
    """Around annotated nodules."""

    background: Sequence[Region]
    """Around candidates that are no nodules."""


def train_unet(
    train: Regions,
    validation: Regions,
    settings: SegmentationSettings,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[UNet, list[Epoch]]:
    """Train from random weights; returns the best epoch's model and the history.

    Raises:
        AnnotationError: a part of the patients without a nodule.
    """
    _refuse_without_nodules("training", train)
    _refuse_without_nodules("validation", validation)
    rng = seeded(settings.seed)
    device = pick_device(settings.device)
    model = UNet().to(device)

    def batches() -> Iterator[PatchBatch]:
        drawn = patch_batches(
            train.nodule,
            train.background,
            batch_size=settings.batch_size,
            num_batches=settings.steps_per_epoch,
            background_share=settings.background_share if train.background else 0.0,
            rng=rng,
        )
        for slices_hu, mask in drawn:
            yield torch.from_numpy(slices_hu).to(device), torch.from_numpy(mask).to(device)

    history = fit(
        model,
        Schedule(settings.epochs, settings.steps_per_epoch, settings.learning_rate),
        batches=batches,
        loss=patch_loss,
        validate=lambda trained: validate_unet(trained, validation),
        on_epoch=on_epoch,
    )
    return model.eval(), history


def patch_loss(model: nn.Module, batch: PatchBatch) -> Tensor:
    """The mean loss over a batch of patches."""
    slices_hu, mask = batch
    return segmentation_loss(model(slices_hu.float()), mask)


def validate_unet(model: nn.Module, regions: Regions) -> dict[str, float]:
    """Loss and voxel figures over all slices of all regions, at a threshold of 0.5."""
    device = next(model.parameters()).device
    losses, voxels, nodules_hit = [], Confusion(), []
    for region in (*regions.nodule, *regions.background):
        slices_hu, mask = (part.to(device) for part in _whole_region(region))
        with mixed_precision(device):
            logits = model(slices_hu.float())
        losses.append(segmentation_loss(logits, mask).item())
        marked = (logits > 0).cpu().numpy()
        voxels += Confusion.of(mask.cpu().numpy(), marked)
        if mask.any():
            nodules_hit.append(bool((marked & mask.cpu().numpy()).any()))
    return {
        VALIDATION_LOSS: float(np.mean(losses)),
        "validation/nodule_recall": float(np.mean(nodules_hit)) if nodules_hit else 0.0,
        **voxels.as_metrics("validation/voxel"),
    }


def _refuse_without_nodules(part: str, regions: Regions) -> None:
    if not regions.nodule:
        raise AnnotationError(
            value="no nodule",
            place=f"{part} regions of the segmentation",
            rule="training and the choice of the epoch must each have at least one nodule",
            cure="Add subsets that have nodules, or check the split.",
        )


def _whole_region(region: Region) -> PatchBatch:
    """All slices of a region that have their context, as one batch."""
    depth = len(region.mask)
    windows = np.stack(
        [region.slices_hu[index : index + 2 * CONTEXT_SLICES + 1] for index in range(depth)]
    )
    return torch.from_numpy(windows), torch.from_numpy(region.mask[:, None])
