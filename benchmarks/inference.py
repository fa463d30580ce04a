# SPDX-License-Identifier: Apache-2.0
"""Ours beside a plain float32 baseline, in one run: the classifier and the U-Net on this machine.

    .venv/bin/python benchmarks/inference.py

Random weights and noise: what is measured is time, which depends on shapes alone. The baseline is
the same network as anybody would call it: float32, the layout torch gives it. The classifier's
crops are all hopeless, as most candidates of a scan are: float32 does not follow bfloat16.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from lung_pipeline.classification import inference
from lung_pipeline.classification.network import CropClassifier, fast_layout
from lung_pipeline.learning.device import has_fast_bfloat16, mixed_precision
from lung_pipeline.segmentation.inference import segment, windows_of_slices
from lung_pipeline.segmentation.unet import UNet

sys.path.insert(0, str(Path(__file__).parent))
from plain import PlainUNet  # a script's neighbour, not a package

REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """The median of some runs, after one that is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def told(what: str, ours: float, plain: float) -> None:
    """One line: both times and their ratio."""
    print(
        f"{what:<44} ours {ours:7.3f} s   plain {plain:7.3f} s   {plain / ours:4.1f} times as fast"
    )


def training_step(model: CropClassifier, crops_hu: torch.Tensor, labels: torch.Tensor) -> None:
    """Forward, loss, backward."""
    functional.cross_entropy(model(crops_hu).float(), labels).backward()


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    cpu = torch.device("cpu")
    print(f"bfloat16 in hardware: {has_fast_bfloat16(cpu)}, {torch.get_num_threads()} threads")

    slices_hu = rng.integers(-1000, 400, (8, 512, 512)).astype(np.int16)
    unet, plain_one = UNet().eval(), PlainUNet().eval()

    def plain_unet() -> None:
        with torch.inference_mode():
            plain_one(torch.from_numpy(windows_of_slices(slices_hu, range(8))).float())

    told(
        "U-Net, 8 slices of 512 x 512",
        seconds(lambda: segment(unet, slices_hu)),
        seconds(plain_unet),
    )

    crops_hu = rng.integers(-1000, 400, (64, 32, 48, 48)).astype(np.int16)
    plain, ours = CropClassifier().eval(), CropClassifier().eval()
    for model in (plain, ours):
        torch.nn.init.constant_(model.head.bias, 0)
        model.head.bias.data[0] = 1e4  # every crop hopeless

    def plain_classifier() -> None:
        with torch.inference_mode():
            plain(torch.from_numpy(crops_hu).float()[:, None])

    told(
        "classifier, 64 hopeless crops",
        seconds(lambda: inference.classify(ours, crops_hu)),
        seconds(plain_classifier),
    )

    batch, labels = torch.from_numpy(crops_hu[:24]).float()[:, None], torch.arange(24) % 2
    fast_layout(ours)

    def our_step() -> None:
        with mixed_precision(cpu):
            training_step(ours, batch, labels)

    told(
        "classifier, a training step of 24 crops",
        seconds(our_step),
        seconds(lambda: training_step(plain, batch, labels)),
    )


if __name__ == "__main__":
    main()
