# SPDX-License-Identifier: Apache-2.0
"""How long, how fast and in what portions a model learns.

Belongs here: the plan, and the rate of every step, which is a function of the step alone; so a
training that was interrupted goes on at the rate it would have had. Does not belong here: steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plan of one training."""

    epochs: int
    """Passes over the samples, at most."""

    steps_per_epoch: int
    """Batches in a pass."""

    learning_rate: float
    """The highest rate: after the warm-up, before a cosine down to nothing."""

    weight_decay: float = 1e-4
    """Of AdamW (Loshchilov and Hutter, 1711.05101)."""

    warmup_share: float = 0.1
    """Share of all steps in which the rate rises, in a line (Goyal et al., 1706.02677)."""

    patience: int = 0
    """Epochs without a better validation loss after which to stop; 0: never."""

    average_decay: float = 0.0
    """Share of the running average of the weights that a step keeps, such as 0.999; the average is
    what is validated and kept (Izmailov et al., 1803.05407). 0: the weights themselves."""

    micro_batch: int = 0
    """Samples that go through the model at once; the gradient is the whole batch's, but batch norms
    see a portion alone. 0: all of them, and fewer where the device's memory ends."""

    compiled: bool = False
    """Whether torch.compile translates the model first: minutes once, then faster steps."""

    def rate_of(self, step: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs."""
        total = self.epochs * self.steps_per_epoch
        warmup = round(self.warmup_share * total)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        share = (step - warmup) / max(total - warmup, 1)
        return self.learning_rate * (1 + math.cos(math.pi * share)) / 2
