# SPDX-License-Identifier: Apache-2.0
"""Who looks on while a model learns: what the loop tells, and nothing of what is done with it.

Belongs here: the narrow interface between the loop and whoever shows or keeps what it tells. Does
not belong here: a tracker, a log, a picture. Knows no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lung_pipeline.learning.epoch import Epoch
from lung_pipeline.learning.examples import Example


class Watcher(Protocol):
    """Told how a training goes; it must be quick, for the training waits for it."""

    def begin(self, epoch: int) -> None:
        """An epoch begins, counted from 1, before its first samples are asked for."""

    def step(self, num_samples: int, waiting_s: float) -> None:
        """A step is done; on a card it may still be computed.

        Args:
            num_samples: learned from in this epoch so far.
            waiting_s: time spent waiting for them in this epoch so far.
        """

    def end(self, epoch: Epoch, examples: Sequence[Example]) -> None:
        """An epoch is over, and its checkpoint is written.

        Where a training goes on after an interruption, the epochs before it are told again, in
        their order and before anything else, without ``begin`` and without examples.
        """


class _Silent:
    """Does nothing."""

    def begin(self, epoch: int) -> None:
        """Nothing."""

    def step(self, num_samples: int, waiting_s: float) -> None:
        """Nothing."""

    def end(self, epoch: Epoch, examples: Sequence[Example]) -> None:
        """Nothing."""


SILENT: Watcher = _Silent()
"""Nobody looks on."""
