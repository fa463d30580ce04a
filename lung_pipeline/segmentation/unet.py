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
from lung_pipeline.learning.convolution import convolved_relu

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
        features = self.norm1(convolved_relu(self.conv1, features))
        return cast("Tensor", self.norm2(convolved_relu(self.conv2, features)))


class UpStep(nn.Module):
    """Double the picture's size and join what the way down saw at that size."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels_in, channels_out, kernel_size=2, stride=2)
        self.convs = DoubleConvolution(2 * channels_out, channels_out)

    def forward(self, features: Tensor, bridge: Tensor) -> Tensor:
        """(batch, in, row, column) to (batch, out, 2 row, 2 column)."""
        upward = doubled(features, self.upsample.weight, self.upsample.bias)
        return self.convs(torch.cat([upward, bridge], dim=1))


def doubled(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A transposed convolution of kernel 2 and stride 2, as one matrix product a pixel.

    Its squares do not overlap: each pixel gives four, each by a matrix of its own. Learning is a
    twentieth faster so, because the gradient of the weights is one product too (docs/results.md).

    Args:
        features: (batch, in, row, column).
        weight: (in, out, 2, 2), as ``nn.ConvTranspose2d`` keeps it.
        bias: (out,), or None.

    Returns:
        (batch, out, 2 row, 2 column), channels last in memory.
    """
    batch, channels_in, rows, columns = features.shape
    channels_out = weight.shape[1]
    matrix = weight.permute(2, 3, 1, 0).reshape(4 * channels_out, channels_in)
    pixels = functional.linear(
        features.permute(0, 2, 3, 1), matrix, None if bias is None else bias.repeat(4)
    )
    squares = pixels.view(batch, rows, columns, 2, 2, channels_out)
    picture = squares.transpose(2, 3).reshape(batch, 2 * rows, 2 * columns, channels_out)
    return picture.permute(0, 3, 1, 2)


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
        features = self.input_norm(padded_to(slices_hu, 2 ** (len(self.down) - 1)).contiguous())
        features = features.contiguous(memory_format=torch.channels_last)
        bridges: list[Tensor] = []
        for step in self.down[:-1]:
            bridges.append(step(features))
            features = functional.avg_pool2d(bridges[-1], 2)
        features = self.down[-1](features)
        for step in self.up:
            features = step(features, bridges.pop())
        return self.last(features)[..., :rows, :columns]


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
