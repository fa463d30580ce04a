# SPDX-License-Identifier: Apache-2.0
"""The classifier of crops: tail, backbone, head; nodule and malignancy models share it.

Belongs here: the network only, in the form of "Deep Learning with PyTorch", chapter 11: a batch
norm that learns the scale of HU, four blocks of two convolutions and a pooling, one linear layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.crops.windows import CROP_SHAPE_IRC

NUM_BLOCKS = 4
"""Each halves the crop: 32 x 48 x 48 becomes 2 x 3 x 3."""


class Block(nn.Module):
    """Two 3 x 3 x 3 convolutions with ReLU, then the crop is halved along each axis."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels_out, kernel_size=3, padding=1)
        self.conv2 = nn.Conv3d(channels_out, channels_out, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in, index, row, column) to (batch, out, and half of each size)."""
        features = functional.relu(self.conv1(features))
        return functional.max_pool3d(functional.relu(self.conv2(features)), 2)


class CropClassifier(nn.Module):
    """Two logits for a crop: not, and yes."""

    def __init__(self, *, first_channels: int = 8) -> None:
        """Build the network; channels double with each of the four blocks."""
        super().__init__()
        self.architecture: dict[str, Any] = {"first_channels": first_channels}
        channels = [first_channels * 2**block for block in range(NUM_BLOCKS)]
        self.tail = nn.BatchNorm3d(1)
        self.backbone = nn.Sequential(
            *(Block(before, after) for before, after in zip([1, *channels], channels, strict=False))
        )
        voxels = 1
        for size in CROP_SHAPE_IRC:
            voxels *= size // 2**NUM_BLOCKS
        self.head = nn.Linear(channels[-1] * voxels, 2)
        self.apply(_initialise)

    def forward(self, crops_hu: Tensor) -> Tensor:
        """Crops in HU, (batch, 1, 32, 48, 48), to logits (batch, 2)."""
        return self.head(self.backbone(self.tail(crops_hu)).flatten(1))


def fast_layout(model: nn.Module) -> None:
    """Lay the weights out channels last: 2.2 times as fast a training step on a CPU with AMX."""
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's stub


def _initialise(module: nn.Module) -> None:
    """He et al. 2015 (arXiv 1502.01852): keeps the variance of activations through ReLUs."""
    if isinstance(module, nn.Conv3d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
