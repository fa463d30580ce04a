# SPDX-License-Identifier: Apache-2.0
"""One seed for a training: the same seed gives the same weights on the same processor."""

from __future__ import annotations

import numpy as np
import torch


def seeded(seed: int) -> None:
    """Seed torch: weights, and whatever a network draws while it learns."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # It would also fill every fresh tensor, which finds bugs in kernels and costs a tenth.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def seeded_for(seed: int, epoch: int) -> np.random.Generator:
    """The generator of one epoch's samples: it follows from the number, not from those before."""
    return np.random.default_rng((seed, epoch))
