# SPDX-License-Identifier: Apache-2.0
"""Reads batches before they are asked for: in a thread, or in processes of their own.

Processes share with the caller the paths of the files and a few buffers that are filled again and
again: a batch crosses over without being copied, memory does not grow, and nothing is left behind
when a process is killed. (torch's DataLoader makes fresh shared memory for each batch, whose page
faults cost several times what the reading does; see ``benchmarks/loader.py``.)

Belongs here: who reads, and where to. Does not belong here: what is read (``loader.py``), and torch
(see ``reading.py``).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from lung_pipeline.crops.reading import CROP_VOXELS, CropReader
from lung_pipeline.crops.sampling import Rows
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu

Job = tuple[Rows, VoxelsHu, Future[None]]
"""Rows, and the array in which their crops stand once the future is done."""

IN_HANDS = 2
"""Batches outside the read-ahead: the one being handed over and the one the caller still holds."""

DEPTH = 2
"""Batches that are read ahead by a thread, or by each process."""


class ReadAhead(Protocol):
    """Somebody who reads."""

    depth: int
    """How many batches are worth asking for beforehand."""

    def submit(self, rows: Rows) -> Job:
        """Begin to read."""

    def close(self) -> None:
        """End all threads, processes and files of it."""


class Buffers:
    """Memory that is lent, and comes back by itself when nothing looks at it any more."""

    def __init__(self, memory: Sequence[Any]) -> None:
        """Take objects that give out their memory, all of one size."""
        self._memory = list(memory)
        self._free = list(range(len(self._memory)))

    def lend(self, num_crops: int) -> tuple[int, VoxelsHu] | None:
        """The number of a buffer and room for so many crops in it; None where none is free."""
        if not self._free or memoryview(self._memory[0]).nbytes < 2 * num_crops * CROP_VOXELS:
            return None
        number = self._free.pop()
        room = crops_in(self._memory[number], num_crops)
        # A tensor and its views hold on to the array they were made from, so its end is theirs.
        weakref.finalize(room, self._free.append, number).atexit = False
        return number, room


def crops_in(memory: Any, num_crops: int) -> VoxelsHu:
    """The first crops of some memory, as an array that is nobody's view: its life is its own."""
    flat = np.frombuffer(memory, dtype=np.int16, count=num_crops * CROP_VOXELS)
    flat.shape = (num_crops, *CROP_SHAPE_IRC)
    return flat


class ReadingThread:
    """Reads in the background of this process: a read lets other threads run."""

    depth = DEPTH

    def __init__(
        self,
        reader: CropReader,
        batch_size: int,
        allocate: Callable[[int], VoxelsHu] | None = None,
    ) -> None:
        """Take over a reader; ``allocate`` gives room for crops where it must be special."""
        self._reader = reader
        self._allocate = allocate
        num_buffers = 0 if allocate else self.depth + IN_HANDS
        room = batch_size * CROP_VOXELS
        self._buffers = Buffers([np.empty(room, dtype=np.int16) for _ in range(num_buffers)])
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="crops")

    def submit(self, rows: Rows) -> Job:
        """Begin to read."""
        if self._allocate:
            crops_hu = self._allocate(len(rows))
        elif lent := self._buffers.lend(len(rows)):
            crops_hu = lent[1]
        else:
            crops_hu = np.empty((len(rows), *CROP_SHAPE_IRC), dtype=np.int16)
        return rows, crops_hu, self._pool.submit(self._reader.read_into, rows, crops_hu)

    def close(self) -> None:
        """End the thread and close the files."""
        self._pool.shutdown(cancel_futures=True)
        self._reader.close()


class ReadingProcesses:
    """Reads in processes that live as long as this object; started by ``spawn`` everywhere."""

    def __init__(self, reader: CropReader, batch_size: int, num_workers: int) -> None:
        """Take over a reader; the processes start with the first batches."""
        self.depth = DEPTH * num_workers
        self._reader = reader
        context = multiprocessing.get_context("spawn")
        memory = [
            context.RawArray("h", batch_size * CROP_VOXELS) for _ in range(self.depth + IN_HANDS)
        ]
        self._buffers = Buffers(memory)
        self._pool = ProcessPoolExecutor(
            num_workers, mp_context=context, initializer=_begin_worker, initargs=(reader, memory)
        )

    def submit(self, rows: Rows) -> Job:
        """Begin to read; at once and here where the caller holds on to all buffers."""
        lent = self._buffers.lend(len(rows))
        if lent:
            number, crops_hu = lent
            return rows, crops_hu, self._pool.submit(_read_in_worker, rows, number)
        done: Future[None] = Future()
        crops_hu = self._reader.read(rows)
        done.set_result(None)
        return rows, crops_hu, done

    def close(self) -> None:
        """End the processes and close the files."""
        self._pool.shutdown(cancel_futures=True)
        self._reader.close()


_worker: tuple[CropReader, Sequence[Any]]
"""The reader and the buffers of a worker process; not there in any other process."""


def _begin_worker(reader: CropReader, memory: Sequence[Any]) -> None:
    global _worker
    _worker = reader, memory
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller hears it too and ends this process
    threading.Thread(target=_end_with_caller, daemon=True).start()


def _end_with_caller() -> None:
    """A caller that was killed cannot end its workers: they see to it themselves."""
    caller = multiprocessing.parent_process()
    if caller is not None:
        caller.join()
        os._exit(1)


def _read_in_worker(rows: Rows, number: int) -> None:
    reader, memory = _worker
    reader.read_into(rows, crops_in(memory[number], len(rows)))
