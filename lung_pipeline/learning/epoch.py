# SPDX-License-Identifier: Apache-2.0
"""What one epoch gave: figures to choose by, and how fast it was.

Belongs here: the record. Does not belong here: how it is made (``loop.py``) and shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lung_pipeline.learning.examples import Example

TRAINING_LOSS, VALIDATION_LOSS = "train/loss", "validation/loss"
"""The metrics every epoch has; the best epoch is the one with the lowest validation loss."""

MICRO_BATCH = "train/micro_batch"
"""The metric that says in portions of how many samples batches went through the model, if so."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What a look at the validation part gave."""

    figures: Mapping[str, float]
    """By name, ``validation/loss`` among them."""

    examples: tuple[Example, ...] = ()
    """What the model got most wrong, to be looked at."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the samples."""

    number: int
    """From 1."""

    metrics: Mapping[str, float]
    """``train/loss`` and the figures of the validation."""

    seconds: float
    """How long it took, validation included."""

    num_samples: int = 0
    """Samples that were learned from."""

    learning_s: float = 0.0
    """How long that took, without the validation."""

    waiting_s: float = 0.0
    """How long of it was spent waiting for samples."""

    @property
    def speed(self) -> dict[str, float]:
        """Samples a second and the share of time spent waiting for them, for a tracker."""
        seconds = max(self.learning_s, 1e-9)
        return {
            "speed/samples_per_second": self.num_samples / seconds,
            "speed/waiting_share": self.waiting_s / seconds,
            "speed/epoch_seconds": self.seconds,
        }


def best_epoch(history: Iterable[Epoch]) -> Epoch:
    """The epoch whose weights were kept: the first with the lowest validation loss."""
    return min(history, key=lambda epoch: epoch.metrics[VALIDATION_LOSS])
