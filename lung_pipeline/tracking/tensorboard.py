# SPDX-License-Identifier: Apache-2.0
"""Event files that TensorBoard reads, beside what MLflow keeps of the same training.

Belongs here: figures and pictures by epoch, in one folder a training. Does not belong here: how a
picture is made (``reporting.examples``).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Picture = npt.NDArray[np.uint8]
"""Grey, shape (height, width), or RGB, shape (height, width, 3)."""

_NO_PICTURES: Mapping[str, Picture] = {}


@dataclass(slots=True)
class EventFiles:
    """The event files of one training."""

    folder: Path
    """Where they lie; ``tensorboard --logdir`` takes it or any folder above."""

    _writer: SummaryWriter | None = None

    def log(
        self,
        epoch: int,
        figures: Mapping[str, float],
        pictures: Mapping[str, Picture] = _NO_PICTURES,
    ) -> None:
        """Write what one epoch gave; it can be looked at when this returns.

        Epochs come in rising order. The first that is told takes the place of all the folder has
        from there on, so that an interrupted training which goes on leaves no epoch twice.
        """
        if self._writer is None:
            self._writer = self._open(epoch)
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        for name, picture in pictures.items():
            form = "HW" if picture.ndim == 2 else "HWC"
            self._writer.add_image(name, picture, epoch, dataformats=form)
        self._writer.flush()

    def close(self) -> None:
        """Nothing more will be written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, first_epoch: int) -> SummaryWriter:
        # PyTorch's writer and not TensorBoard's own: that one cannot take back steps.
        from torch.utils.tensorboard import SummaryWriter

        _wait_for_a_later_name(self.folder)
        return SummaryWriter(str(self.folder), purge_step=first_epoch)


@contextlib.contextmanager
def event_files(folder: Path) -> Iterator[EventFiles]:
    """Lend the event files of a training; nothing is made before the first epoch is told."""
    files = EventFiles(folder)
    try:
        yield files
    finally:
        files.close()


def _wait_for_a_later_name(folder: Path) -> None:
    """Let the second pass in which an event file was made here.

    A reader takes the files in the order of their names, and these begin with the second: a file
    made in the same one may be read before what it takes back.
    """
    made_s = [_second_of(file) for file in folder.glob("events.out.tfevents.*")]
    now_s = int(time.time())
    if made_s and max(made_s) == now_s:
        time.sleep(max(now_s + 1 - time.time(), 0))


def _second_of(file: Path) -> int:
    second = file.name.split(".")[3]
    return int(second) if second.isdigit() else 0
