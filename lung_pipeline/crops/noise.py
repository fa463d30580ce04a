# SPDX-License-Identifier: Apache-2.0
"""Noise for crops and patches: each sample's begins at its own place of one long strip.

To draw a normal number takes a processor many times as long as to add it, and on one thread; drawn
anew, the noise was half the time of an augmentation (docs/results.md). The strip is drawn once, and
a sample's seed says where in it its noise begins. Each sample's noise is white and of the named
strength; two samples have the same only where their seeds name the same of four million places. It
is the same on every device.

Belongs here: that. Does not belong here: what else is done to a sample (``augmentation.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

STRIP = 2**22
"""Numbers in the strip (16 MB); four times a sample's, where that is more."""


def with_noise(images_hu: Tensor, noise_hu: float, seeds: Sequence[int]) -> Tensor:
    """Images with normal noise added, a new tensor.

    Args:
        images_hu: float32, its first axis the sample.
        noise_hu: standard deviation.
        seeds: of each sample; what is beside it makes no difference to it.
    """
    numbers = images_hu[0].numel()
    strip = _strip(images_hu.device, max(STRIP, 4 * numbers))
    last = len(strip) - numbers
    begins = torch.tensor([seed % last for seed in seeds], device=images_hu.device)
    # Every stretch of the strip as a row, of which some are copied.
    drawn = strip.as_strided((last, numbers), (1, 1)).index_select(0, begins)
    return torch.add(images_hu, drawn.view(images_hu.shape), alpha=noise_hu)


@cache
def _strip(device: torch.device, length: int) -> Tensor:
    """Standard normal numbers, drawn on the CPU whatever the device."""
    return torch.randn(length, generator=torch.Generator().manual_seed(0)).to(device)
