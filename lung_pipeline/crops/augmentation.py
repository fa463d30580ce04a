# SPDX-License-Identifier: Apache-2.0
"""Crops as they might have been: mirrored, shifted, scaled, turned about the head-foot axis.

Drawn first, as a value that can be logged and replayed; then applied to a whole batch on its
device, each sample by its own matrix. (In the reference design one matrix serves a batch, and its
shift never acts, because it is written into a row that is cut off.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

MAX_SHIFT = 0.1
"""Of half the crop along each axis: up to 1.6 slices and 2.4 pixels."""

MAX_SCALING = 0.15
"""Smaller or larger by up to this share."""

NOISE_HU = 15.0
"""Standard deviation of the added noise: about that of a low-dose chest CT."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to each sample of a batch."""

    matrices: npt.NDArray[np.float32]
    """Output to input coordinates in [-1, 1], order (column, row, index), shape (batch, 3, 4)."""

    noise_seed: int
    """Seed of the noise."""


def draw(batch_size: int, rng: np.random.Generator) -> Augmentation:
    """Draw an augmentation for each sample of a batch."""
    mirror = rng.choice([-1.0, 1.0], size=(batch_size, 3))
    scale = rng.uniform(1 - MAX_SCALING, 1 + MAX_SCALING, size=(batch_size, 1))
    angle = rng.uniform(0, 2 * np.pi, size=batch_size)
    matrices = np.zeros((batch_size, 3, 4), dtype=np.float32)
    matrices[:, 0, 0], matrices[:, 0, 1] = np.cos(angle), -np.sin(angle)
    matrices[:, 1, 0], matrices[:, 1, 1] = np.sin(angle), np.cos(angle)
    matrices[:, 2, 2] = 1
    matrices[:, :, :3] *= (mirror * scale)[:, None, :]
    matrices[:, :, 3] = rng.uniform(-MAX_SHIFT, MAX_SHIFT, size=(batch_size, 3))
    return Augmentation(matrices, int(rng.integers(2**31)))


def apply(crops_hu: Tensor, augmentation: Augmentation) -> Tensor:
    """One resampling of each crop, then noise.

    Args:
        crops_hu: float HU, (batch, 1, index, row, column); rows and columns equal in number.
        augmentation: drawn for as many samples.
    """
    matrices = torch.from_numpy(augmentation.matrices).to(crops_hu.device)
    grid = functional.affine_grid(matrices, list(crops_hu.shape), align_corners=False)
    resampled = functional.grid_sample(crops_hu, grid, padding_mode="border", align_corners=False)
    generator = torch.Generator(device=crops_hu.device).manual_seed(augmentation.noise_seed)
    noise = torch.randn(crops_hu.shape, generator=generator, device=crops_hu.device)
    return resampled + NOISE_HU * noise
