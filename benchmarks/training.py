# SPDX-License-Identifier: Apache-2.0
"""Training as it is, beside the same step on one resident batch, and beside a plain float32 loop.

    .venv/bin/python benchmarks/training.py [--profile laptop] [--models U-Net ...]
        [--network book] [--compiled | --no-compiled]

For each of the three models, in turn, round by round: `ours` is `learning.loop.fit` with batches
read, changed and moved to the device as in a real training; `resident` is the same loop fed with
one batch that lies on the device already, the limit of what loading can give; `plain` is the loop
of `plain_training.py` over the same files. Where there is bfloat16 in hardware, or with --compiled,
ours and resident are measured with the setting `compiled` too, as a long training is run; compiling
itself is in the first round, which is not counted. On CUDA the peak of its memory is printed.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from lung_pipeline.classification import networks as of_crops
from lung_pipeline.learning.device import has_fast_bfloat16, pick_device
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Validation
from lung_pipeline.learning.loop import Batch, Loss, fit
from lung_pipeline.learning.memory import keep_freed_memory
from lung_pipeline.learning.settings import TrainingSettings
from lung_pipeline.orchestration.profiles import PROFILES

sys.path.insert(0, str(Path(__file__).parent))
from plain_training import PLAIN, UNCHANGED, PlainLoop  # a script's neighbours, no package
from trained import MODELS, STEPS, Run, make_crops, prepared, settings_of

ROUNDS = 7
OURS, RESIDENT = "ours", "resident batch"
COMPILED, COMPILED_RESIDENT = "compiled", "resident batch, compiled"

Speeds = dict[str, list[float]]
"""Samples a second of each loop, round by round."""

Loops = dict[str, Callable[[int], float]]
"""By name what learns an epoch of a number and gives samples a second."""


def measured(model: str, folder: Path, run: Run, device: torch.device) -> Speeds:
    """Samples a second of each loop, in turn, round by round."""
    with ExitStack() as stack:
        plain = stack.enter_context(PlainLoop(model, folder, run))
        loops = ours(model, folder, replace(run, compiled=False), device, stack)
        if run.compiled:
            compiled = ours(model, folder, run, device, stack)
            loops |= {COMPILED: compiled[OURS], COMPILED_RESIDENT: compiled[RESIDENT]}
        for kind in (PLAIN, UNCHANGED):
            loops[kind] = lambda number, kind=kind: plain.speed(kind)
        epochs = range(1, ROUNDS + 2)  # the first round has caches to fill
        rounds = [{kind: loop(number) for kind, loop in loops.items()} for number in epochs]
    return {kind: [found[kind] for found in rounds[1:]] for kind in loops}


def ours(model: str, folder: Path, run: Run, device: torch.device, stack: ExitStack) -> Loops:
    """The real loop, with real batches and with a resident one."""
    settings = settings_of(model, run)
    network, loss, make_batches, close = prepared(model, folder, run, device)
    stack.callback(close)
    resident = tuple(part.clone() for part in next(iter(make_batches(1))))

    def fed(batches: Iterable[Batch]) -> float:
        return samples_a_second(network, settings, batches, loss)

    return {
        OURS: lambda number: fed(make_batches(number)),
        RESIDENT: lambda number: fed(itertools.repeat(resident, STEPS)),
    }


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


def report(model: str, folder: Path, run: Run, device: torch.device) -> None:
    """Measure one model and print its lines."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found = measured(model, folder, run, device)
    of_resident = {OURS: RESIDENT, COMPILED: COMPILED_RESIDENT}
    for kind in (kind for kind in of_resident if kind in found):
        limit = of_resident[kind]
        print(f"{model}, {kind}: {spread(found[kind], '.0f')} samples/s")
        print(f"    {limit} {spread(found[limit], '.0f')} samples/s: its share is", end=" ")
        print(spread(ratios(found, kind, limit), ".1%"))
        for plain in (PLAIN, UNCHANGED):
            print(f"    {plain} {spread(found[plain], '.0f')} samples/s:", end=" ")
            print(f"{spread(ratios(found, kind, plain), '.2f')} times as fast")
    if device.type == "cuda":
        print(f"    peak GPU memory {torch.cuda.max_memory_reserved() / 1e9:.2f} GB")


def ratios(found: Speeds, kind: str, beside: str) -> list[float]:
    """One beside another, of each round: what slows the machine down slows both."""
    return [ours / other for ours, other in zip(found[kind], found[beside], strict=True)]


def spread(values: list[float], form: str) -> str:
    """The median, and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--models", choices=MODELS, nargs="+", default=MODELS)
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction)
    parser.add_argument("--network", choices=of_crops.NETWORKS, default="", help="over crops")
    asked = parser.parse_args()
    device = pick_device("cuda" if asked.profile == "gpu" else "auto")
    has_bfloat16 = has_fast_bfloat16(device)
    is_compiled = has_bfloat16 if asked.compiled is None else asked.compiled
    run = Run(asked.profile, is_compiled, asked.network)
    keep_freed_memory()
    card = torch.cuda.get_device_name() if device.type == "cuda" else "no GPU"
    print(
        f"{device}, {card}, bfloat16 in hardware: {has_bfloat16},"
        f" {torch.get_num_threads()} threads, {run}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "subset0"
        make_crops(folder)
        for model in asked.models:
            report(model, folder, run, device)


if __name__ == "__main__":
    main()
