# SPDX-License-Identifier: Apache-2.0
"""Train the U-Net on regions; validate on regions of patients it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lung_pipeline.crops import augmentation
from lung_pipeline.errors import AnnotationError
from lung_pipeline.learning.device import mixed_precision, pick_device
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Epoch
from lung_pipeline.learning.loop import fit
from lung_pipeline.learning.metrics import Confusion
from lung_pipeline.learning.seeds import seeded, seeded_for
from lung_pipeline.segmentation.losses import segmentation_loss
from lung_pipeline.segmentation.patches import Region, patch_batches
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, UNet

PatchBatch = tuple[Tensor, ...]
"""Slices in HU (batch, 7, row, column) and truth (batch, 1, row, column)."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one part of the patients."""

    nodule: Sequence[Region]
    """Around annotated nodules."""

    background: Sequence[Region]
    """Around candidates that are no nodules."""

    masks_from_contours: int = 0
    """Nodules whose mask is the readers' consensus."""

    masks_grown: int = 0
    """Nodules whose mask is grown from the centre."""


def count_masks(*parts: Regions) -> dict[str, int]:
    """Whose the truth is: nodules of all parts by how their mask came about."""
    return {
        "masks_from_contours": sum(part.masks_from_contours for part in parts),
        "masks_grown": sum(part.masks_grown for part in parts),
    }


def train_unet(
    train: Regions,
    validation: Regions,
    settings: SegmentationSettings,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
) -> tuple[UNet, list[Epoch]]:
    """Train from random weights; returns the best epoch's model and the history.

    With a ``checkpoint`` folder the state is kept there, and an interrupted training goes on.

    Raises:
        AnnotationError: a part of the patients without a nodule.
    """
    _refuse_without_nodules("training", train)
    _refuse_without_nodules("validation", validation)
    seeded(settings.seed)
    device = pick_device(settings.device)
    # Channels last: a step on a CPU with bfloat16 takes four fifths of the time.
    model = UNet().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batches(epoch: int) -> Iterator[PatchBatch]:
        rng = seeded_for(settings.seed, epoch)
        drawn = patch_batches(
            train.nodule,
            train.background,
            batch_size=settings.batch_size,
            num_batches=settings.steps_per_epoch,
            background_share=settings.background_share if train.background else 0.0,
            rng=rng,
        )
        for slices_hu, mask in drawn:
            yield augmentation.apply(
                torch.from_numpy(slices_hu).to(device),
                augmentation.draw(len(slices_hu), rng, settings),
                torch.from_numpy(mask).to(device),
            )

    def loss(trained: nn.Module, batch: PatchBatch) -> Tensor:
        slices_hu, mask = batch
        return segmentation_loss(trained(slices_hu), mask, settings.recall_weight)

    history = fit(
        model,
        settings.schedule(),
        batches=batches,
        loss=loss,
        validate=lambda trained: validate_unet(trained, validation, settings.recall_weight),
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return model.eval(), history


def _refuse_without_nodules(name: str, regions: Regions) -> None:
    """Without nodules there is nothing to learn, and nothing to choose the best epoch by."""
    if not any(region.mask.any() for region in regions.nodule):
        raise AnnotationError(
            value="no nodule",
            place=f"segmentation's {name} part",
            rule=f"the {name} part must have at least one nodule",
            cure="Add subsets, or check the annotations and the split.",
        )


def validate_unet(model: nn.Module, regions: Regions, recall_weight: float) -> dict[str, float]:
    """Loss over all slices of all regions together, and voxel figures at a threshold of 0.5."""
    logits, masks = [], []
    for region in (*regions.nodule, *regions.background):
        slices_hu, mask = _whole_region(region)
        device = next(model.parameters()).device
        with mixed_precision(device):
            logits.append(model(slices_hu.to(device).float()).float().cpu())
        masks.append(mask)
    hit = [
        bool((marks > 0)[mask].any())
        for marks, mask in zip(logits, masks, strict=True)
        if mask.any()
    ]
    all_logits, all_masks = torch.cat(logits), torch.cat(masks)
    voxels = Confusion.of(all_masks.numpy(), (all_logits > 0).numpy())
    return {
        VALIDATION_LOSS: segmentation_loss(all_logits, all_masks, recall_weight).item(),
        "validation/nodule_recall": sum(hit) / max(len(hit), 1),
        **voxels.as_metrics("validation/voxel"),
    }


def _whole_region(region: Region) -> PatchBatch:
    """All slices of a region that have their context, as one batch."""
    depth = len(region.mask)
    windows = np.stack(
        [region.slices_hu[index : index + 2 * CONTEXT_SLICES + 1] for index in range(depth)]
    )
    return torch.from_numpy(windows), torch.from_numpy(region.mask[:, None])
