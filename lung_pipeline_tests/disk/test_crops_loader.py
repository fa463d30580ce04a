# SPDX-License-Identifier: Apache-2.0
"""Batches of crops: the same in the same order from a thread and from processes, which all end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from lung_pipeline.crops.loader import CropLoader
from lung_pipeline.crops.read_ahead import DEPTH, IN_HANDS, Buffers
from lung_pipeline.crops.sampling import BalancedSampler, Group
from lung_pipeline.crops.store import CropSet, open_crops, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import AnnotationError, SettingError, StoreError

NUM_CROPS = 12
GROUPS = {"nodule": Group(np.arange(3), 0.5), "non-nodule": Group(np.arange(3, NUM_CROPS), 0.5)}
with_any_workers = pytest.mark.parametrize(
    "num_workers", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 2))]
)


def _numbered(rows: pd.DataFrame) -> VoxelsHu:
    numbers = rows["number"].to_numpy().astype(np.int16)
    return np.broadcast_to(numbers[:, None, None, None], (len(rows), *CROP_SHAPE_IRC))


@pytest.fixture
def crops(tmp_path: Path) -> CropSet:
    """Two subsets; each crop is filled with its number."""
    table = pd.DataFrame({"series_uid": ["a"] * NUM_CROPS, "number": range(NUM_CROPS)})
    folders = [tmp_path / "subset0", tmp_path / "subset1"]
    write_crops(folders[0], table[:5], _numbered, {})
    write_crops(folders[1], table[5:], _numbered, {})
    return open_crops(folders)


def _loader(crops: CropSet, num_workers: int = 0, num_batches: int = 9) -> CropLoader:
    return CropLoader(
        crops, GROUPS, batch_size=4, num_batches=num_batches, seed=1, num_workers=num_workers
    )


def _rows_of(loader: CropLoader, number: int) -> list[list[int]]:
    """The rows of an epoch, each crop held against its number."""
    read = []
    for rows, crops_hu in loader.epoch(number):
        assert (crops_hu.dtype, tuple(crops_hu.shape)) == (torch.int16, (4, *CROP_SHAPE_IRC))
        numbers = crops_hu[:, 0, 0, 0].tolist()
        assert numbers == rows.tolist()
        assert (crops_hu == crops_hu[:, :1, :1, :1]).all()
        read.append(numbers)
    return read


def _expected(number: int) -> list[list[int]]:
    sampler = BalancedSampler(GROUPS, batch_size=4, num_batches=9, seed=1)
    return [rows.tolist() for rows in sampler.epoch(number)]


@with_any_workers
def test_epochs_are_the_samplers_whatever_the_number_of_workers(
    crops: CropSet, num_workers: int
) -> None:
    with _loader(crops, num_workers) as loader:
        assert [_rows_of(loader, number) for number in (1, 2, 5)] == [
            _expected(number) for number in (1, 2, 5)
        ]


@with_any_workers
def test_batches_that_are_kept_keep_their_crops(crops: CropSet, num_workers: int) -> None:
    with _loader(crops, num_workers) as loader:
        kept = list(loader.epoch(1))
        views = [crops_hu[1:, None] for _, crops_hu in loader.epoch(2)]
        rows = [rows for rows, _ in kept]
        _rows_of(loader, 3)
    assert [crops_hu[:, 5, 5, 5].tolist() for _, crops_hu in kept] == _expected(1)
    assert [view[:, 0, 5, 5, 5].tolist() for view in views] == [rows[1:] for rows in _expected(2)]
    assert [of_batch.tolist() for of_batch in rows] == _expected(1)


@with_any_workers
def test_the_same_memory_is_filled_again_and_again(crops: CropSet, num_workers: int) -> None:
    with _loader(crops, num_workers, num_batches=40) as loader:
        places = {crops_hu.data_ptr() for _, crops_hu in loader.epoch(1)}
    assert len(places) <= DEPTH * max(num_workers, 1) + IN_HANDS


@with_any_workers
def test_an_epoch_left_early_ends_and_another_begins_whole(
    crops: CropSet, num_workers: int
) -> None:
    with _loader(crops, num_workers) as loader:
        begun = loader.epoch(1)
        next(begun)
        assert _rows_of(loader, 2) == _expected(2)
        assert list(begun) == []


@with_any_workers
def test_closing_ends_all_threads_and_processes(crops: CropSet, num_workers: int) -> None:
    threads_before = set(threading.enumerate())
    with _loader(crops, num_workers) as loader:
        next(iter(loader.epoch(1)))
        assert len(multiprocessing.active_children()) == num_workers
    assert multiprocessing.active_children() == []
    assert not [t for t in set(threading.enumerate()) - threads_before if "crops" in t.name]


@with_any_workers
def test_an_error_while_reading_reaches_the_caller_as_it_is(
    crops: CropSet, num_workers: int
) -> None:
    crops.files[1].path.unlink()
    with (
        _loader(crops, num_workers) as loader,
        pytest.raises(StoreError, match=r"subset1.*No such file") as told,
    ):
        _rows_of(loader, 1)
    assert told.value.place == str(crops.files[1].path)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_process_that_dies_is_told_in_words(crops: CropSet) -> None:
    with _loader(crops, 1) as loader:
        _rows_of(loader, 1)
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        with pytest.raises(SettingError, match="num_workers: 0"):
            _rows_of(loader, 2)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_processes_end_with_a_caller_that_was_killed(crops: CropSet, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys, time
        import multiprocessing, pathlib, numpy as np
        from lung_pipeline.crops.loader import CropLoader
        from lung_pipeline.crops.sampling import Group
        from lung_pipeline.crops.store import open_crops

        if __name__ == "__main__":
            crops = open_crops([pathlib.Path({str(crops.files[0].path.parent)!r})])
            groups = {{"all": Group(np.arange(5), 1.0)}}
            loader = CropLoader(
                crops, groups, batch_size=4, num_batches=9, seed=1, num_workers=2
            )
            next(iter(loader.epoch(1)))
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            time.sleep(600)
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        workers = [int(pid) for pid in caller.stdout.readline().split()]
        assert workers
        assert all(psutil.pid_exists(pid) for pid in workers)
        caller.kill()
    ends = time.monotonic() + 20
    while any(_lives(pid) for pid in workers):
        assert time.monotonic() < ends
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    """Whether a process still runs; one that nobody has buried yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_batches_of_ones_own_are_read_in_their_order(crops: CropSet) -> None:
    # Also one larger than the buffers, and one of nothing.
    batches = [np.array([11, 0]), np.arange(NUM_CROPS), np.array([], dtype=np.int64)]
    with _loader(crops) as loader:
        read = [crops_hu[:, 0, 0, 0].tolist() for _, crops_hu in loader.read(batches)]
    assert read == [rows.tolist() for rows in batches]


def test_loading_leaves_the_global_random_states_alone(crops: CropSet) -> None:
    before = torch.get_rng_state()
    with _loader(crops) as loader:
        _rows_of(loader, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_empty_group_is_refused_before_anything_starts(crops: CropSet) -> None:
    groups = {**GROUPS, "benign": Group(np.array([], dtype=np.int64), 0.25)}
    with pytest.raises(AnnotationError, match="'benign'"):
        CropLoader(crops, groups, batch_size=4, num_batches=1, seed=1, num_workers=2)


def test_a_buffer_comes_back_when_the_last_view_of_it_is_gone() -> None:
    buffers = Buffers([bytearray(2 * int(np.prod((3, *CROP_SHAPE_IRC))))])
    lent = buffers.lend(2)
    assert lent is not None
    tensor = torch.from_numpy(lent[1])
    views = [tensor[0], lent[1][1:], tensor.view(-1).numpy()]
    del lent, tensor
    while views:
        gc.collect()
        assert buffers.lend(1) is None
        views.pop()
    assert buffers.lend(4) is None
    assert buffers.lend(3) is not None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@with_any_workers
def test_batches_are_pinned_where_cuda_is(crops: CropSet, num_workers: int) -> None:
    with _loader(crops, num_workers) as loader:
        on_device = []
        for _, crops_hu in loader.epoch(1):
            assert crops_hu.is_pinned()
            on_device.append(crops_hu.to("cuda", non_blocking=True))
    assert [crops_hu[:, 0, 0, 0].tolist() for crops_hu in on_device] == _expected(1)
