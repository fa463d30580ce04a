# SPDX-License-Identifier: Apache-2.0
"""The U-Net: seven neighbouring slices in, one logit for each pixel of the middle slice out.

Belongs here: the network only. Architecture after Ronneberger et al. 2015 (arXiv 1505.04597) in
the form of "Deep Learning with PyTorch", chapter 13: padded convolutions, average pooling,
transposed convolutions upward, batch norm after each ReLU and on the input, whose learned scale
replaces any hand-made normalisation of HU.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.learning.batch_norm import BatchNorm2d
from lung_pipeline.learning.compiled import is_for_cpu
from lung_pipeline.learning.convolution import convolved_relu
from lung_pipeline.learning.first_pictures import is_one_with_its_norm, pictures_convolved
from lung_pipeline.segmentation.doubling import doubled
from lung_pipeline.segmentation.joining import joined

CONTEXT_SLICES = 3
"""Slices on each side of the one that is marked."""


RARITY = 0.01
"""Share of nodule voxels in a patch, about; a fresh network starts from it (Lin et al. 2017,
arXiv 1708.02002), instead of unlearning first that half of all is nodule."""


class DoubleConvolution(nn.Module):
    """Twice: 3 x 3 convolution, ReLU, batch norm; the picture keeps its size."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)
        self.norm1 = BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1)
        self.norm2 = BatchNorm2d(channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in, row, column) to (batch, out, row, column)."""
        return self.ended(convolved_relu(self.conv1, features))

    def begun(self, norm: BatchNorm2d, pictures: Tensor) -> Tensor:
        """The same of pictures behind a batch norm."""
        if is_one_with_its_norm(self.conv1, pictures):
            return self.ended(functional.relu(pictures_convolved(norm, self.conv1, pictures)))
        return self(norm(pictures).contiguous(memory_format=torch.channels_last))

    def ended(self, features: Tensor) -> Tensor:
        """All that follows the first convolution and its ReLU."""
        return cast("Tensor", self.norm2(convolved_relu(self.conv2, self.norm1(features))))


class UpStep(nn.Module):
    """Double the picture's size and join what the way down saw at that size."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels_in, channels_out, kernel_size=2, stride=2)
        self.convs = DoubleConvolution(2 * channels_out, channels_out)

    def forward(self, features: Tensor, bridge: Tensor) -> Tensor:
        """(batch, in, row, column) to (batch, out, 2 row, 2 column)."""
        if self.training and is_for_cpu(features):
            both = joined(features, bridge, self.upsample, self.convs.conv1)
            return self.convs.ended(functional.relu(both))
        upward = doubled(features, self.upsample.weight, self.upsample.bias)
        return cast("Tensor", self.convs(torch.cat([upward, bridge], dim=1)))


class UNet(nn.Module):
    """Marks nodule tissue in the middle one of ``2 * CONTEXT_SLICES + 1`` slices."""

    def __init__(self, *, depth: int = 3, first_filters: int = 16) -> None:
        """Build the network.

        Args:
            depth: sizes the picture is seen at, each half the one before.
            first_filters: channels at full size; they double with each halving.
        """
        super().__init__()
        self.architecture: dict[str, Any] = {"depth": depth, "first_filters": first_filters}
        slices = 2 * CONTEXT_SLICES + 1
        filters = [first_filters * 2**level for level in range(depth)]
        self.input_norm = BatchNorm2d(slices)
        self.down = nn.ModuleList(
            DoubleConvolution(before, after)
            for before, after in zip([slices, *filters], filters, strict=False)
        )
        self.up = nn.ModuleList(
            UpStep(below, above)
            for below, above in zip(filters[:0:-1], filters[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(first_filters, 1, kernel_size=1)
        self.apply(_initialise)
        if self.last.bias is not None:
            nn.init.constant_(self.last.bias, math.log(RARITY))

    def forward(self, slices_hu: Tensor) -> Tensor:
        """Seven slices in HU, (batch, 7, row, column), to logits (batch, 1, row, column)."""
        rows, columns = slices_hu.shape[-2:]
        # Seven channels are normalised faster one after the other, and convolved side by side.
        pictures = padded_to(slices_hu, 2 ** (len(self.down) - 1)).contiguous()
        features = cast("DoubleConvolution", self.down[0]).begun(self.input_norm, pictures)
        bridges: list[Tensor] = []
        for step in self.down[1:]:
            bridges.append(features)
            features = step(functional.avg_pool2d(features, 2))
        for step in self.up:
            features = step(features, bridges.pop())
        return _of_each_pixel(self.last, features)[..., :rows, :columns]


def _of_each_pixel(conv: nn.Conv2d, features: Tensor) -> Tensor:
    """A 1 x 1 convolution to one channel; compiled, a sum that takes in the batch norm before it.

    The normalised features are then never written, nor is their gradient.
    """
    if not (conv.training and is_for_cpu(features)) or conv.bias is None:
        return cast("Tensor", conv(features))
    return (features * conv.weight[0]).sum(1, keepdim=True) + conv.bias


def padded_to(slices_hu: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both numbers are multiples: every halving is even."""
    rows, columns = slices_hu.shape[-2:]
    missing = (0, -columns % multiple, 0, -rows % multiple)
    return functional.pad(slices_hu, missing, mode="replicate") if any(missing) else slices_hu


def _initialise(module: nn.Module) -> None:
    """He et al. 2015 (arXiv 1502.01852): keeps the variance of activations through ReLUs."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
