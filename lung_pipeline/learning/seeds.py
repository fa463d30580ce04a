# SPDX-License-Identifier: Apache-2.0
"""One seed for a training: the same seed gives the same weights on the same processor."""

from __future__ import annotations

import numpy as np
import torch


def seeded(seed: int) -> np.random.Generator:
    """Seed torch's weights and give the generator that draws samples and augmentation."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # It would also fill every fresh tensor, which finds bugs in kernels and costs a tenth.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return np.random.default_rng(seed)
