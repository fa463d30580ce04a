# SPDX-License-Identifier: Apache-2.0
"""The plain loop beside which `training.py` sets ours: float32, torch's own layout and layers.

One batch after the other is read, changed and learned from. It runs in a process of its own,
because ours tells its process to keep freed memory; for each line of its input it learns an epoch
and answers with samples a second.

    .venv/bin/python benchmarks/plain_training.py MODEL CROPS-FOLDER
        [--profile laptop] [--network book]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lung_pipeline.classification import networks as of_crops
from lung_pipeline.classification.described import DescribingClassifier
from lung_pipeline.classification.settings import CropSettings
from lung_pipeline.classification.tasks import Task
from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.sampling import BalancedSampler
from lung_pipeline.crops.store import CROPS
from lung_pipeline.learning.device import pick_device
from lung_pipeline.learning.loop import Batch
from lung_pipeline.orchestration.profiles import PROFILES
from lung_pipeline.segmentation.patches import patch_batches
from lung_pipeline.segmentation.regions import Regions
from lung_pipeline.segmentation.settings import SegmentationSettings

sys.path.insert(0, str(Path(__file__).parent))
from plain import PlainUNet, changed, made_plain  # a script's neighbours, no package
from trained import MODELS, STEPS, Run, make_regions, on_crops, settings_of, unet_loss

PLAIN, UNCHANGED = "plain", "plain, unchanged samples"


class PlainLoop:
    """The plain loop in a process of its own, which waits until it is asked."""

    def __init__(self, model: str, folder: Path, run: Run) -> None:
        command = [sys.executable, __file__, model, str(folder)]
        command += ["--profile", run.profile, "--network", run.of_crops]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> PlainLoop:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def speed(self, kind: str) -> float:
        """Samples a second of an epoch, with or without the textbook's augmentation."""
        print(kind, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())


def answer(model: str, folder: Path, run: Run, device: torch.device) -> None:
    """For each line of the input, an epoch; says samples a second of it."""
    settings = settings_of(model, run)
    if model == "U-Net":
        network, loss = PlainUNet(), unet_loss(settings)
        batches = partial(patches, make_regions(), settings)
    else:
        network, task, loss = on_crops(model, folder, settings, run)
        batches = partial(crops, network, task, folder, settings)
    made_plain(network).to(device).train()
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(wanted, lr=1e-4)
    for line in sys.stdin:
        started, seen = time.perf_counter(), 0
        for batch in batches(is_changed=line.strip() == PLAIN):
            optimizer.zero_grad()
            loss(network, tuple(part.to(device) for part in batch)).backward()
            optimizer.step()
            seen += len(batch[0])
        print(seen / (time.perf_counter() - started), flush=True)


def patches(
    regions: Regions, settings: SegmentationSettings, *, is_changed: bool
) -> Iterator[Batch]:
    """Batches for the U-Net, on the CPU, each made when it is asked for."""
    rng = np.random.default_rng(0)
    drawn = patch_batches(
        regions.nodule,
        regions.background,
        batch_size=settings.batch_size,
        num_batches=STEPS,
        background_share=settings.background_share,
        rng=rng,
    )
    for slices_hu, mask in drawn:
        images, masks = torch.from_numpy(slices_hu).float(), torch.from_numpy(mask).float()
        if is_changed:
            change = augmentation.draw(len(images), rng, settings)
            images, masks = changed(images, change), changed(masks, change, mode="nearest")
        yield images, masks


def crops(
    network: nn.Module, task: Task, folder: Path, settings: CropSettings, *, is_changed: bool
) -> Iterator[Batch]:
    """Batches for a network over crops, in the same way."""
    rng = np.random.default_rng(0)
    array = np.load(folder / CROPS, mmap_mode="r", allow_pickle=False)
    sampler = BalancedSampler(
        task.train, batch_size=settings.batch_size, num_batches=STEPS, seed=settings.seed
    )
    for rows in sampler.epoch(1):
        crops_hu = torch.from_numpy(array[rows]).float()[:, None]
        drawn = augmentation.draw(len(rows), rng, settings if is_changed else OFF)
        truths = [torch.from_numpy(task.labels[rows])]
        if isinstance(network, DescribingClassifier):
            words = torch.from_numpy(task.said[rows]).float()
            truths += [words, torch.from_numpy(drawn.scale).float()]
            frame = network.frame(task.spacing_irc_mm[rows])
            crops_hu = changed(crops_hu, drawn, frame=frame)  # close-ups are always made
        elif is_changed:
            crops_hu = changed(crops_hu, drawn)
        yield crops_hu, *truths


def main() -> None:
    """Answer until nothing is asked any more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--network", choices=of_crops.NETWORKS, default="", help="over crops")
    asked = parser.parse_args()
    device = pick_device("cuda" if asked.profile == "gpu" else "auto")
    answer(asked.model, asked.crops, Run(asked.profile, network=asked.network), device)


if __name__ == "__main__":
    main()
