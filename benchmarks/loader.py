# SPDX-License-Identifier: Apache-2.0
"""The crop loader beside a bare memory-mapped copy of the same crops in the same order, in one run.

    .venv/bin/python benchmarks/loader.py [SCRATCH_FOLDER]

It writes 15,000 crops of noise (2.2 GB) into a scratch folder and removes them afterwards. First
batches of 256 crops, all in the page cache, by 0, 1 and 2 workers in turn with the bare copy; then
the resident memory of this process and its workers after 100 batches and after 10,000, with batches
of 16 crops so that it ends within minutes (10,000 batches of 256 are 377 GB).

Two more figures say why it is made as it is: the same batches by torch's DataLoader with workers,
each into fresh shared memory, and a batch that is not in the page cache, by the loader's reads and
by the map.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch

from lung_pipeline.crops.loader import CropLoader
from lung_pipeline.crops.reading import CROP_BYTES
from lung_pipeline.crops.sampling import BalancedSampler, Group, Rows
from lung_pipeline.crops.store import CROPS, CropSet, open_crops, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu

NUM_CROPS, BATCH_SIZE, NUM_BATCHES = 15_000, 256, 40
REPEATS = 3
SMALL_BATCH, FIRST_LOOK, LAST_LOOK = 16, 100, 10_000
GROUPS = {
    "nodule": Group(np.arange(1_000), 0.5),
    "non-nodule": Group(np.arange(1_000, NUM_CROPS), 0.5),
}


def make_crops(folder: Path) -> CropSet:
    """Crops of noise, told apart by the series they are from."""
    rng = np.random.default_rng(0)

    def cut(rows: pd.DataFrame) -> VoxelsHu:
        return rng.integers(-1000, 400, (len(rows), *CROP_SHAPE_IRC), dtype=np.int16)

    table = pd.DataFrame({"series_uid": [str(number // 100) for number in range(NUM_CROPS)]})
    write_crops(folder, table, cut, {"stage": "benchmark"})
    return open_crops([folder])


def loader_of(crops: CropSet, num_workers: int, batch_size: int, num_batches: int) -> CropLoader:
    """The loader under test."""
    return CropLoader(
        crops,
        GROUPS,
        batch_size=batch_size,
        num_batches=num_batches,
        seed=1,
        num_workers=num_workers,
    )


def bare_seconds(array: VoxelsHu, batches: list[Rows]) -> float:
    """A batch of the bare copy, on average."""
    out = np.empty((BATCH_SIZE, *CROP_SHAPE_IRC), dtype=np.int16)
    started = time.perf_counter()
    for rows in batches:
        out[...] = array[rows]
    return (time.perf_counter() - started) / len(batches)


def loader_seconds(loader: CropLoader, number: int) -> float:
    """A batch of the loader, on average, from the asking for the epoch to its last batch."""
    started = time.perf_counter()
    num_batches = sum(1 for _ in loader.epoch(number))
    return (time.perf_counter() - started) / num_batches


class Crops(torch.utils.data.Dataset[torch.Tensor]):
    """What one would write with torch alone, reading straight into shared memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.array: VoxelsHu | None = None

    def __getitem__(self, rows: Rows) -> torch.Tensor:
        """A batch."""
        if self.array is None:
            self.array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        storage = torch.UntypedStorage._new_shared(len(rows) * CROP_BYTES)
        shape = (len(rows), *CROP_SHAPE_IRC)
        batch = torch.empty(0, dtype=torch.int16).set_(storage, 0, shape)
        np.take(self.array, rows, axis=0, out=batch.numpy(), mode="clip")
        return batch


def data_loader_seconds(path: Path, batches: list[Rows], num_workers: int) -> float:
    """A batch of torch's DataLoader, on average, without the start of its processes."""
    batches_twice = [*batches, *batches]
    loaded: Iterator[torch.Tensor] = iter(
        torch.utils.data.DataLoader(
            Crops(path),
            batch_size=None,
            sampler=batches_twice,
            num_workers=num_workers,
            multiprocessing_context="spawn",
        )
    )
    for _ in batches:
        next(loaded)
    started = time.perf_counter()
    for _ in batches:
        next(loaded)
    return (time.perf_counter() - started) / len(batches)


def resident_bytes() -> int:
    """Of this process and its workers; what they share counts for each."""
    process = psutil.Process()
    return sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))


def memory_grown(crops: CropSet, num_workers: int) -> tuple[int, int]:
    """Resident bytes after some batches and after many, over epochs of 500."""
    seen, first_look = 0, 0
    with loader_of(crops, num_workers, SMALL_BATCH, 500) as loader:
        for number in range(1, LAST_LOOK // 500 + 1):
            for _ in loader.epoch(number):
                seen += 1
                if seen == FIRST_LOOK:
                    first_look = resident_bytes()
        return first_look, resident_bytes()


def cold_seconds(path: Path, read: Callable[[Rows], object]) -> float:
    """The median of some batches, none of which is in the page cache."""
    times = []
    for number in range(5):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        rows = np.random.default_rng(number).integers(NUM_CROPS, size=BATCH_SIZE)
        started = time.perf_counter()
        read(rows)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def compare_speed(crops: CropSet) -> None:
    """Print the speed of the loader beside the bare copy's."""
    array = np.load(crops.files[0].path, mmap_mode="r", allow_pickle=False)
    sampler = BalancedSampler(GROUPS, batch_size=BATCH_SIZE, num_batches=NUM_BATCHES, seed=1)
    bare_seconds(array, sampler.epoch(1))
    for num_workers in (0, 1, 2):
        with loader_of(crops, num_workers, BATCH_SIZE, NUM_BATCHES) as loader:
            loader_seconds(loader, 1)
            pairs = [
                (loader_seconds(loader, number), bare_seconds(array, sampler.epoch(number)))
                for number in range(2, 2 + REPEATS)
            ]
        ours, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
        told(f"{num_workers} workers", ours, bare)
    for num_workers in (1, 2):
        theirs = data_loader_seconds(crops.files[0].path, sampler.epoch(2), num_workers)
        told(f"torch's DataLoader, {num_workers} workers", theirs, bare)


def told(what: str, ours: float, bare: float) -> None:
    """One line: both times of a batch and their ratio."""
    print(
        f"{what:<32} {ours * 1e3:6.1f} ms a batch   bare copy {bare * 1e3:6.1f} ms"
        f"   {bare / ours:5.2f} of its speed"
    )


def main() -> None:
    """Measure and print."""
    scratch = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        crops = make_crops(Path(folder) / "subset")
        path = Path(folder) / "subset" / CROPS
        print(f"{NUM_CROPS} crops, {path.stat().st_size / 1e9:.2f} GB, batches of {BATCH_SIZE}")
        compare_speed(crops)
        for num_workers in (0, 2):
            first, last = memory_grown(crops, num_workers)
            print(
                f"resident memory, {num_workers} workers, batches of {SMALL_BATCH}:"
                f" {first / 1e6:.0f} MB after {FIRST_LOOK},"
                f" {last / 1e6:.0f} MB after {LAST_LOOK} ({last / first - 1:+.1%})"
            )
        if hasattr(os, "posix_fadvise"):
            mapped = cold_seconds(
                path, lambda rows: np.load(path, mmap_mode="r", allow_pickle=False)[rows]
            )
            told("not in the page cache, 0 workers", cold_seconds(path, crops.read), mapped)


if __name__ == "__main__":
    main()
