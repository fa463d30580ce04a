# SPDX-License-Identifier: Apache-2.0
"""Batches of crops for a training, epoch by epoch, read while the model learns from the last ones.

Belongs here: the order of batches and their tensors. Does not belong here: which rows stand in a
batch (``sampling.py``), who reads them (``read_ahead.py``), labels, and floats on a device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool

import torch
from torch import Tensor

from lung_pipeline.crops.read_ahead import Job, ReadAhead, ReadingProcesses, ReadingThread
from lung_pipeline.crops.sampling import BalancedSampler, Group, Rows
from lung_pipeline.crops.store import CropSet
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import SettingError

CropBatch = tuple[Rows, Tensor]
"""Row numbers (n,) and crops in HU, int16 (n, 32, 48, 48), in the same order."""


class CropLoader:
    """Batches with fixed shares of each group; to be closed, or used in a ``with`` statement.

    The batches and their order follow from seed and epoch alone, whatever the number of workers. A
    tensor may be kept as long as wanted; its memory is used again once it is gone.
    """

    def __init__(
        self,
        crops: CropSet,
        groups: Mapping[str, Group],
        *,
        batch_size: int,
        num_batches: int,
        seed: int,
        num_workers: int = 0,
        pin_memory: bool | None = None,
    ) -> None:
        """Nothing is read or started yet.

        Args:
            crops: what to read from.
            groups: their rows, with their shares of a batch.
            batch_size: crops in a batch.
            num_batches: batches in an epoch.
            seed: of the order.
            num_workers: processes that read; 0: a thread of this one, which is enough for a local
                disk. A script that asks for processes needs ``if __name__ == "__main__":``.
            pin_memory: whether tensors lie where a CUDA device can fetch them by itself; None:
                where there is one. With workers this costs a copy.

        Raises:
            AnnotationError: a group with a share has no rows.
            SettingError: a share so small that nothing of it would ever be drawn.
        """
        self._sampler = BalancedSampler(
            groups, batch_size=batch_size, num_batches=num_batches, seed=seed
        )
        self._is_pinned = torch.cuda.is_available() if pin_memory is None else pin_memory
        self._read_ahead: ReadAhead
        if num_workers:
            self._read_ahead = ReadingProcesses(crops.reader(), batch_size, num_workers)
        else:
            pinned = _pinned_room if self._is_pinned else None
            self._read_ahead = ReadingThread(crops.reader(), batch_size, pinned)
        self._running: Generator[CropBatch, None, None] | None = None

    def __enter__(self) -> CropLoader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def epoch(self, number: int) -> Iterator[CropBatch]:
        """The batches of an epoch, counted from 1; ends an epoch that still runs.

        Raises:
            StoreError: crops that cannot be read, or are others by now.
            SettingError: a reading process died.
        """
        return self.read(self._sampler.epoch(number))

    def read(self, batches: Iterable[Rows]) -> Iterator[CropBatch]:
        """These batches in this order, such as those of a validation; errors as in ``epoch``."""
        if self._running is not None:
            self._running.close()
        self._running = self._read(batches)
        return self._running

    def close(self) -> None:
        """End the running epoch and all threads and processes."""
        if self._running is not None:
            self._running.close()
        self._read_ahead.close()

    def _read(self, batches: Iterable[Rows]) -> Generator[CropBatch, None, None]:
        waiting: deque[Job] = deque()
        try:
            for rows in batches:
                waiting.append(self._read_ahead.submit(rows))
                if len(waiting) > self._read_ahead.depth:
                    yield self._finished(waiting.popleft())
            while waiting:
                yield self._finished(waiting.popleft())
        except BrokenProcessPool as error:
            raise _dead_worker() from error
        finally:
            # Until a job is done somebody writes to its buffer, which must not be lent meanwhile.
            wait([future for _, _, future in waiting if not future.cancel()])

    def _finished(self, job: Job) -> CropBatch:
        rows, crops_hu, future = job
        future.result()
        tensor = torch.from_numpy(crops_hu)
        if self._is_pinned and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return rows, tensor


def _pinned_room(num_crops: int) -> VoxelsHu:
    """From torch's own store of pinned memory, which waits for copies under way before reuse."""
    return torch.empty((num_crops, *CROP_SHAPE_IRC), dtype=torch.int16, pin_memory=True).numpy()


def _dead_worker() -> SettingError:
    return SettingError(
        value="a process that died",
        place="setting 'num_workers'",
        rule="the processes that read crops must live as long as the training",
        cure="Give the machine more memory or say num_workers: 0; a script of your own needs "
        '`if __name__ == "__main__":` around what it runs.',
    )
