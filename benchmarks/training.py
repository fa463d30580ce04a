# SPDX-License-Identifier: Apache-2.0
"""Training as it is, beside the same step on one resident batch, and beside a plain float32 loop.

    .venv/bin/python benchmarks/training.py [--profile laptop] [--models U-Net ...]
        [--network book] [--compiled]

For each of the three models, in turn, round by round: `ours` is `learning.loop.fit` with batches
read, changed and moved to the device as in a real training; `resident` is the same loop fed with
one batch that lies on the device already, the limit of what loading can give; `plain` is the loop
of `plain.py` over the same files: float32, torch's own layout, one batch after the other, in a
process of its own, because ours tells the process to keep freed memory. Crops are noise on disk,
regions noise in memory: time depends on shapes alone. On CUDA the peak of its memory is printed.
With --compiled ours has the setting `compiled`; compiling itself is in the first round, which is
not counted.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
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
from lung_pipeline.classification.described import DescribingClassifier, describing_loss
from lung_pipeline.classification.malignancy import prepare_for_fine_tuning, taught_words
from lung_pipeline.classification.network import CropNetwork, fast_layout
from lung_pipeline.classification.samples import CropSamples
from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.classification.tasks import Task, malignancy_task, nodule_task
from lung_pipeline.classification.training import crop_loss
from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.sampling import BalancedSampler
from lung_pipeline.crops.store import CROPS, open_crops, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.learning.device import has_fast_bfloat16, pick_device
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Validation
from lung_pipeline.learning.loop import Batch, Loss, fit
from lung_pipeline.learning.memory import keep_freed_memory
from lung_pipeline.learning.seeds import seeded
from lung_pipeline.learning.settings import TrainingSettings
from lung_pipeline.orchestration.profiles import PROFILES
from lung_pipeline.segmentation import networks as of_slices
from lung_pipeline.segmentation.losses import LossWeights, segmentation_loss
from lung_pipeline.segmentation.patches import REGION_SIZE, Region, patch_batches
from lung_pipeline.segmentation.regions import Regions
from lung_pipeline.segmentation.samples import patch_samples
from lung_pipeline.segmentation.settings import SegmentationSettings

sys.path.insert(0, str(Path(__file__).parent))
from plain import PlainUNet, changed, made_plain  # a script's neighbour, not a package

NUM_CROPS, NUM_REGIONS = 2_000, 200
SPACING_IRC_MM = (1.25, 0.7, 0.7)
ROUNDS, STEPS = 7, 30
MODELS = ("U-Net", "nodule", "malignancy")
OURS, RESIDENT = "ours", "resident batch"
PLAIN, UNCHANGED = "plain", "plain, unchanged samples"

Speeds = dict[str, list[float]]
"""Samples a second of each loop, round by round."""


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


def samples_a_second(
    network: nn.Module, settings: TrainingSettings, batches: Iterable[Batch], loss: Loss
) -> float:
    """What one epoch of the real loop gives."""
    (epoch,) = fit(
        network,
        settings.schedule(),
        batches=lambda number: batches,
        loss=loss,
        validate=lambda trained: nothing_to_validate(),
    )
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return epoch.num_samples / epoch.learning_s


def nothing_to_validate() -> Validation:
    """A validation that takes no time."""
    return Validation({VALIDATION_LOSS: 1.0}, ())


def measured(model: str, folder: Path, run: Run, device: torch.device, plain: PlainLoop) -> Speeds:
    """Samples a second of each loop, in turn, round by round."""
    settings = settings_of(model, run)
    network, loss, make_batches, close = prepared(model, folder, run, device)
    resident = tuple(part.clone() for part in next(iter(make_batches(1))))
    speeds: Speeds = {kind: [] for kind in (OURS, RESIDENT, PLAIN, UNCHANGED)}
    for number in range(ROUNDS + 1):
        epoch = make_batches(number + 1)
        found = {
            OURS: samples_a_second(network, settings, epoch, loss),
            RESIDENT: samples_a_second(network, settings, itertools.repeat(resident, STEPS), loss),
            PLAIN: plain.speed(PLAIN),
            UNCHANGED: plain.speed(UNCHANGED),
        }
        if number:  # the first has caches to fill
            for kind, speed in found.items():
                speeds[kind].append(speed)
    close()
    return speeds


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
    weights = LossWeights(settings.recall_weight, settings.cross_entropy_weight)

    def loss(network: nn.Module, batch: Batch) -> torch.Tensor:
        return segmentation_loss(network(batch[0]), batch[1], weights)

    return loss


def answer_for_plain(model: str, folder: Path, run: Run, device: torch.device) -> None:
    """For each line of the input, an epoch of the plain loop; says samples a second of it."""
    settings = settings_of(model, run)
    if model == "U-Net":
        network, task, loss = PlainUNet(), None, unet_loss(settings)
    else:
        network, task, loss = on_crops(model, folder, settings, run)
    made_plain(network).to(device).train()
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(wanted, lr=1e-4)
    for line in sys.stdin:
        started, seen = time.perf_counter(), 0
        is_changed = line.strip() == PLAIN
        for batch in plain_batches(network, task, folder, settings, is_changed=is_changed):
            optimizer.zero_grad()
            loss(network, tuple(part.to(device) for part in batch)).backward()
            optimizer.step()
            seen += len(batch[0])
        print(seen / (time.perf_counter() - started), flush=True)


class PlainLoop:
    """The plain loop in a process of its own, which waits until it is asked."""

    def __init__(self, model: str, folder: Path, run: Run) -> None:
        command = [sys.executable, __file__, "--profile", run.profile, "--network", run.of_crops]
        command += ["--plain", model, str(folder)]
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


def plain_batches(
    network: nn.Module, task: Task | None, folder: Path, settings: Any, *, is_changed: bool
) -> Iterable[tuple[torch.Tensor, ...]]:
    """Batches on the CPU, each made when it is asked for."""
    rng = np.random.default_rng(0)
    if task is None:
        regions = make_regions()
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
        return
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


def report(model: str, folder: Path, run: Run, device: torch.device) -> None:
    """Measure one model and print its lines."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with PlainLoop(model, folder, run) as plain:
        found = measured(model, folder, run, device, plain)
    print(f"{model}: ours {spread(found[OURS], '.0f')} samples/s")
    print(f"    resident batch {spread(found[RESIDENT], '.0f')} samples/s: ours is", end=" ")
    print(spread(ratios(found, RESIDENT), ".1%"))
    for kind in (PLAIN, UNCHANGED):
        print(f"    {kind} {spread(found[kind], '.0f')} samples/s: ours is", end=" ")
        print(f"{spread(ratios(found, kind), '.2f')} times as fast")
    if device.type == "cuda":
        print(f"    peak GPU memory {torch.cuda.max_memory_reserved() / 1e9:.2f} GB")


def ratios(found: Speeds, beside: str) -> list[float]:
    """Ours beside another, of each round: what slows the machine down slows both."""
    return [ours / other for ours, other in zip(found[OURS], found[beside], strict=True)]


def spread(values: list[float], form: str) -> str:
    """The median, and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--models", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--network", choices=of_crops.NETWORKS, default="", help="over crops")
    parser.add_argument("--plain", nargs=2, metavar=("MODEL", "CROPS"))
    asked = parser.parse_args()
    run = Run(asked.profile, asked.compiled, asked.network)
    device = pick_device("cuda" if asked.profile == "gpu" else "auto")
    if asked.plain:
        model, folder = asked.plain
        answer_for_plain(model, Path(folder), run, device)
        return
    keep_freed_memory()
    card = torch.cuda.get_device_name() if device.type == "cuda" else "no GPU"
    print(
        f"{device}, {card}, bfloat16 in hardware: {has_fast_bfloat16(device)},"
        f" {torch.get_num_threads()} threads, {run}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "subset0"
        make_crops(folder)
        for model in asked.models:
            report(model, folder, run, device)


if __name__ == "__main__":
    main()
