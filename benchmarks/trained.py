# SPDX-License-Identifier: Apache-2.0
"""What `training.py` trains: networks, losses and batches of the three models, as a profile says.

Crops are noise on disk, regions noise in memory: time depends on shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from lung_pipeline.annotations.characteristics import LEARNED
from lung_pipeline.classification import networks as of_crops
from lung_pipeline.classification.described import describing_loss
from lung_pipeline.classification.malignancy import prepare_for_fine_tuning, taught_words
from lung_pipeline.classification.network import CropNetwork, fast_layout
from lung_pipeline.classification.samples import CropSamples
from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.classification.tasks import Task, malignancy_task, nodule_task
from lung_pipeline.classification.training import crop_loss
from lung_pipeline.crops.store import open_crops, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.learning.loop import Batch, Loss
from lung_pipeline.learning.seeds import seeded
from lung_pipeline.orchestration.profiles import PROFILES
from lung_pipeline.segmentation import networks as of_slices
from lung_pipeline.segmentation.losses import LossWeights, segmentation_loss
from lung_pipeline.segmentation.patches import REGION_SIZE, Region
from lung_pipeline.segmentation.regions import Regions
from lung_pipeline.segmentation.samples import patch_samples
from lung_pipeline.segmentation.settings import SegmentationSettings

NUM_CROPS, NUM_REGIONS = 2_000, 200
SPACING_IRC_MM = (1.25, 0.7, 0.7)
STEPS = 30
MODELS = ("U-Net", "nodule", "malignancy")


@dataclass(frozen=True)
class Run:
    """What is measured."""

    profile: str
    compiled: bool = False
    network: str = ""

    @property
    def of_crops(self) -> str:
        """The network over crops, by name: the profile's, or the one that was asked for."""
        return self.network or settings_of("nodule", self).network


def settings_of(model: str, run: Run) -> Any:
    """The settings of a profile, with few steps."""
    kinds = {
        "U-Net": ("segmentation_model", SegmentationSettings),
        "nodule": ("nodule_model", ClassifierSettings),
        "malignancy": ("malignancy_model", MalignancySettings),
    }
    asset, kind = kinds[model]
    few = {"epochs": 1, "steps_per_epoch": STEPS, "warmup_share": 0, "compiled": run.compiled}
    return kind(**{**PROFILES[run.profile][asset], **few})


def make_crops(folder: Path) -> None:
    """Crops of noise with every kind of row that a task asks for."""
    rng = np.random.default_rng(0)
    number = np.arange(NUM_CROPS)
    table = pd.DataFrame(
        {
            "series_uid": (number // 100).astype(str),
            "is_nodule": number % 4 == 0,
            "is_malignant": pd.array(number % 8 == 0, dtype="boolean"),
            "diameter_mm": 3.0 + number % 20,
            "part": np.where(number < NUM_CROPS - 100, "train", "validation"),
        }
    )

    def cut(rows: pd.DataFrame) -> np.ndarray:
        return rng.integers(-1000, 400, (len(rows), *CROP_SHAPE_IRC), dtype=np.int16)

    write_crops(folder, table, cut, {"stage": "benchmark"})


def make_regions() -> Regions:
    """Regions of noise, a twentieth of each marked."""
    rng = np.random.default_rng(0)

    def region() -> Region:
        slices_hu = rng.integers(-1000, 400, (15, REGION_SIZE, REGION_SIZE), dtype=np.int16)
        return Region(slices_hu, rng.random((9, REGION_SIZE, REGION_SIZE)) < 0.05)

    return Regions([region() for _ in range(NUM_REGIONS)], [region() for _ in range(NUM_REGIONS)])


def task_of(model: str, folder: Path, settings: Any) -> Task:
    """What a model on crops tells apart."""
    crops = open_crops([folder])
    return nodule_task(crops, settings) if model == "nodule" else malignancy_task(crops, settings)


def on_crops(model: str, folder: Path, settings: Any, run: Run) -> tuple[nn.Module, Task, Loss]:
    """A fresh network, what it learns, and by which loss."""
    seeded(1)
    task = task_of(model, folder, settings)
    network = of_crops.network_named(run.of_crops)
    if model == "nodule":
        return network, task, crop_loss
    eyes = prepare_for_fine_tuning(network, settings.depth)
    if settings.judged_by == "picture":
        return eyes, task, crop_loss
    words = np.random.default_rng(1).normal(size=(len(task.labels), len(LEARNED)))
    said = pd.DataFrame(words, columns=list(LEARNED))
    spacing = np.tile(SPACING_IRC_MM, (len(words), 1))
    describing, task = taught_words(eyes, task, said, spacing)
    return describing, task, partial(describing_loss, weight=settings.characteristics_weight)


def on_slices(settings: SegmentationSettings) -> nn.Module:
    """A fresh network as the profile names it."""
    seeded(1)
    return of_slices.network_named(settings.network)


def laid_out(network: nn.Module, device: torch.device) -> nn.Module:
    """On its device, in memory as its training lays it out."""
    if isinstance(network, CropNetwork):
        fast_layout(network.to(device))
        return network
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def prepared(
    model: str, folder: Path, run: Run, device: torch.device
) -> tuple[nn.Module, Loss, Callable[[int], Iterable[Batch]], Callable[[], None]]:
    """Network, loss, the batches of an epoch as a training gets them, and how to end them."""
    settings = settings_of(model, run)
    if model == "U-Net":
        regions = make_regions()
        network = laid_out(on_slices(settings), device)
        batches = partial(patch_samples, regions, settings, device)
        return network, unet_loss(settings), batches, lambda: None
    network, task, loss = on_crops(model, folder, settings, run)
    samples = CropSamples(task, settings, device, network)
    return laid_out(network, device), loss, samples.epoch, lambda: samples.__exit__()


def unet_loss(settings: SegmentationSettings) -> Loss:
    """As in the training of the U-Net."""
    weights = LossWeights(
        recall=settings.recall_weight, cross_entropy=settings.cross_entropy_weight
    )

    def loss(network: nn.Module, batch: Batch) -> torch.Tensor:
        return segmentation_loss(network(batch[0]), batch[1], weights)

    return loss
