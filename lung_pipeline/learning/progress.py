# SPDX-License-Identifier: Apache-2.0
"""One line that says how a training goes, while it goes.

Belongs here: the line, and the meter that is told steps and knows when a line is due. Does not
belong here: where a line is shown; that is a function that comes in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BYTES_OF_A_GB = 1e9


@dataclass(frozen=True, slots=True)
class Memory:
    """What a training takes."""

    resident_bytes: int
    """Memory of this process that lies in RAM; its workers' is not in it."""

    gpu_peak_bytes: int | None = None
    """The most that was held on the card so far; None without a card."""

    def as_metrics(self) -> dict[str, float]:
        """Named numbers for a tracker, in GB of 10^9 bytes."""
        figures = {"memory/resident_gb": self.resident_bytes / _BYTES_OF_A_GB}
        if self.gpu_peak_bytes is not None:
            figures["memory/gpu_peak_gb"] = self.gpu_peak_bytes / _BYTES_OF_A_GB
        return figures


def memory_in_use(device: torch.device) -> Memory:
    """The memory of this process now, and its peak on a CUDA device."""
    import psutil
    import torch

    resident_bytes = int(psutil.Process().memory_info().rss)
    if device.type != "cuda":
        return Memory(resident_bytes)
    # Reserved, not allocated: what the allocator keeps is what the card must have.
    return Memory(resident_bytes, torch.cuda.max_memory_reserved(device))


def memory_from_here(device: torch.device) -> Callable[[], Memory]:
    """Asks for the memory of what begins now: what a card held before is no part of its peak."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    return lambda: memory_in_use(device)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands after a step."""

    epoch: int
    """From 1."""

    epochs: int
    """How many there will be at most."""

    step: int
    """Steps done of this epoch."""

    steps: int
    """Steps of an epoch."""

    samples_per_second: float
    """In this epoch so far."""

    waiting_share: float
    """Share of this epoch's time so far that was spent waiting for samples, 0 to 1."""

    memory: Memory
    """What it takes."""

    left_s: float
    """Time left to the last epoch's end; less where the training stops early."""

    def line(self) -> str:
        """The same, for a person."""
        num_digits = len(str(self.steps))
        parts = [
            f"epoch {self.epoch:>{len(str(self.epochs))}}/{self.epochs}",
            f"step {self.step:>{num_digits}}/{self.steps}",
            f"{_rate(self.samples_per_second)} samples/s",
            f"{self.waiting_share:.0%} waiting for data",
            f"{self.memory.resident_bytes / _BYTES_OF_A_GB:.1f} GB of memory",
        ]
        if self.memory.gpu_peak_bytes is not None:
            parts.append(f"{self.memory.gpu_peak_bytes / _BYTES_OF_A_GB:.1f} GB of GPU at most")
        return "  ".join([*parts, f"{duration(self.left_s)} left"])


@dataclass(slots=True)
class ProgressMeter:
    """Told each step; shows a line every few seconds and at the end of each epoch.

    The time left counts this epoch's time a step for all steps to come, and what lay between the
    epochs so far (validation, checkpoint, pictures) for each end of an epoch to come.
    """

    epochs: int
    """How many there will be at most."""

    steps: int
    """Steps of an epoch."""

    show: Callable[[str], None]
    """Where a line goes."""

    memory: Callable[[], Memory]
    """Asked whenever a line is shown."""

    every_s: float = 10.0
    """The least time between two lines of an epoch."""

    clock: Callable[[], float] = time.monotonic
    """Seconds, from any start."""

    _epoch: int = 0
    _step: int = 0
    _began_s: float = 0.0
    _stepped_s: float = 0.0
    _shown_s: float = 0.0
    _between_s: list[float] = field(default_factory=list)

    def begin(self, epoch: int) -> None:
        """An epoch begins, before its first samples are asked for."""
        now_s = self.clock()
        if self._step:
            self._between_s.append(now_s - self._stepped_s)
        self._epoch, self._step = epoch, 0
        self._began_s = self._shown_s = now_s

    def step(self, num_samples: int, waiting_s: float) -> None:
        """A step is done.

        Args:
            num_samples: learned from in this epoch so far.
            waiting_s: time spent waiting for them in this epoch so far.
        """
        self._step += 1
        self._stepped_s = self.clock()
        if self._step == self.steps or self._stepped_s - self._shown_s >= self.every_s:
            self._shown_s = self._stepped_s
            self.show(self._progress(num_samples, waiting_s).line())

    def _progress(self, num_samples: int, waiting_s: float) -> Progress:
        learning_s = max(self._stepped_s - self._began_s, 1e-9)
        return Progress(
            self._epoch,
            self.epochs,
            self._step,
            self.steps,
            num_samples / learning_s,
            min(waiting_s / learning_s, 1.0),
            self.memory(),
            self._left_s(learning_s / self._step),
        )

    def _left_s(self, step_s: float) -> float:
        epochs_to_come = self.epochs - self._epoch
        steps_to_come = epochs_to_come * self.steps + self.steps - self._step
        between_s = sum(self._between_s) / max(len(self._between_s), 1)
        return steps_to_come * step_s + (epochs_to_come + 1) * between_s


def duration(seconds: float) -> str:
    """A time in two units at most, as fine as a person needs it.

    >>> [duration(seconds) for seconds in (0.4, 59.6, 61, 3600 * 2 + 300)]
    ['0 s', '1 min', '1 min', '2 h 05 min']
    """
    if round(seconds) < 60:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _rate(samples_per_second: float) -> str:
    digits = 0 if samples_per_second >= 10 else 1
    return f"{samples_per_second:,.{digits}f}"
