# SPDX-License-Identifier: Apache-2.0
"""Train the network that marks voxels on regions; validate on regions of patients it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lung_pipeline.learning.device import mixed_precision, pick_device
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Epoch, Validation
from lung_pipeline.learning.loop import fit
from lung_pipeline.learning.metrics import Confusion
from lung_pipeline.learning.seeds import seeded
from lung_pipeline.learning.watching import SILENT, Watcher
from lung_pipeline.segmentation.losses import LossWeights, segmentation_loss
from lung_pipeline.segmentation.networks import network_named
from lung_pipeline.segmentation.patches import Region
from lung_pipeline.segmentation.regions import Regions, refuse_without_nodules
from lung_pipeline.segmentation.samples import PatchBatch, patch_samples
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.segmentation.unet import CONTEXT_SLICES
from lung_pipeline.segmentation.validation import validate_slices


def train_segmentation_model(
    train: Regions,
    validation: Regions,
    settings: SegmentationSettings,
    watcher: Watcher = SILENT,
    checkpoint: Path | None = None,
) -> tuple[nn.Module, list[Epoch]]:
    """Train from random weights; returns the best epoch's model and the history.

    With a ``checkpoint`` folder the state is kept there, and an interrupted training goes on.

    Raises:
        AnnotationError: a part of the patients without a nodule.
        SettingError: the network needs a library that is not installed.
    """
    refuse_without_nodules("training", train)
    refuse_without_nodules("validation", validation)
    seeded(settings.seed)
    device = pick_device(settings.device)
    # Channels last: a step on a CPU with bfloat16 takes four fifths of the time.
    model = network_named(settings.network)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = LossWeights(
        recall=settings.recall_weight, cross_entropy=settings.cross_entropy_weight
    )

    def loss(trained: nn.Module, batch: PatchBatch) -> Tensor:
        slices_hu, mask = batch
        return segmentation_loss(trained(slices_hu), mask, weights)

    def validate(trained: nn.Module) -> Validation:
        figures = validate_regions(trained, validation, weights)
        slices = validate_slices(trained, validation.slices)
        return Validation({**figures, **slices.figures}, slices.examples)

    history = fit(
        model,
        settings.schedule(),
        batches=lambda epoch: patch_samples(train, settings, device, epoch),
        loss=loss,
        validate=validate,
        watcher=watcher,
        checkpoint=checkpoint,
    )
    return model.eval(), history


def validate_regions(model: nn.Module, regions: Regions, weights: LossWeights) -> dict[str, float]:
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
        VALIDATION_LOSS: segmentation_loss(all_logits, all_masks, weights).item(),
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
