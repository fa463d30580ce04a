# SPDX-License-Identifier: Apache-2.0
"""A residual network with squeeze-and-excitation over crops, small enough for two CPU cores.

Residual blocks after He et al. 2015 (arXiv 1512.03385), squeeze-and-excitation after Hu et al.
2017 (arXiv 1709.01507), both in 3D. The first convolution halves the crop along the body only:
within a slice it keeps every pixel, because the spikes of a nodule are no wider than one
(docs/results.md). From the first block on all is small, so that a step takes less time than one
of the book's network.

Belongs here: the network only.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.classification.network import CropNetwork, initialise, undecided_head
from lung_pipeline.ct.geometry import Triple
from lung_pipeline.learning.batch_norm import BatchNorm3d
from lung_pipeline.learning.compiled import is_for_cpu
from lung_pipeline.learning.few_slices import Conv3d
from lung_pipeline.learning.first_layer import crops_convolved
from lung_pipeline.learning.halving import HALVING, HalvingConv3d
from lung_pipeline.learning.held import held

FIELD = 32
"""Rows and columns of the crop's middle that are looked at, and all its slices: 11 mm to each side
of a candidate where pixels are fine."""

STEM_STRIDE, FIRST_STRIDE, STRIDE = (2, 1, 1), (1, 2, 2), (2, 2, 2)
"""Slices, rows and columns: of the first convolution, the first block, and each stage after it."""

ONCE = (1, 1, 1)

REDUCTION = 4
"""Channels are squeezed to this part of them; the paper's 16 would leave one or two of ours."""


class SqueezeExcitation(nn.Module):
    """Weigh each channel, from 0 to 1, by what all channels hold on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // REDUCTION)
        self.squeeze = nn.Linear(channels, squeezed)
        self.excite = nn.Linear(squeezed, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channel, index, row, column) to the same shape."""
        hidden = functional.relu(self.squeeze(features.mean((2, 3, 4))))
        return features * torch.sigmoid(self.excite(hidden))[:, :, None, None, None]


class ResidualBlock(nn.Module):
    """Two convolutions that learn what to add to their input."""

    def __init__(self, channels_in: int, channels_out: int, stride: Triple = ONCE) -> None:
        super().__init__()
        self.conv1 = _convolution(channels_in, channels_out, stride)
        self.norm1 = BatchNorm3d(channels_out)
        self.conv2 = _convolution(channels_out, channels_out)
        self.norm2 = BatchNorm3d(channels_out)
        self.excitation = SqueezeExcitation(channels_out)
        self.shortcut = _shortcut(channels_in, channels_out, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in, index, row, column) to (batch, out, and each size divided by the stride)."""
        added = functional.relu(self.norm1(self.conv1(features)), inplace=True)
        added = self.excitation(self.norm2(self.conv2(added)))
        return functional.relu(self.shortcut(features) + added, inplace=True)


class ResidualClassifier(CropNetwork):
    """Two logits for a crop, from what stands in its middle and around it."""

    close_up_irc = (16, 32, 32)
    """Voxels of 0.7 mm within a slice, about a chest CT's, and twice that along the body."""

    def __init__(
        self,
        *,
        stem: int = 8,
        channels: tuple[int, ...] = (16, 32, 64),
        blocks: int = 2,
        field: int = FIELD,
    ) -> None:
        """Build the network.

        Args:
            stem: channels of the first convolution, which sees every pixel.
            channels: of each stage; each halves the crop. At most four: the crop's 32 slices must
                not become fewer than two.
            blocks: residual blocks of each stage but the first, which has one.
            field: rows and columns that are looked at; a multiple of 16 up to the crop's 48.
        """
        super().__init__()
        self.field = field
        self.architecture: dict[str, Any] = {
            "stem": stem,
            "channels": list(channels),
            "blocks": blocks,
            "field": field,
        }
        self.tail = nn.BatchNorm3d(1)
        self.stem = nn.Sequential(_convolution(1, stem, STEM_STRIDE), BatchNorm3d(stem), nn.ReLU())
        stages = [ResidualBlock(stem, channels[0], FIRST_STRIDE)]
        for before, after in pairwise(channels):
            stages.append(ResidualBlock(before, after, STRIDE))
            stages += [ResidualBlock(after, after) for _ in range(blocks - 1)]
        self.backbone = nn.Sequential(*stages)
        self.apply(initialise)
        self.head = undecided_head(3 * channels[-1])

    def features(self, crops_hu: Tensor) -> Tensor:
        """Crops in HU to mean, maximum and middle of each channel.

        Args:
            crops_hu: (batch, 1, 32, 48, 48), or a part of their middle, or close-ups.
        """
        edges = (max(size - self.field, 0) // 2 for size in crops_hu.shape[3:])
        rows, columns = (
            slice(edge, size - edge) for edge, size in zip(edges, crops_hu.shape[3:], strict=True)
        )
        first = cast("nn.Conv3d", self.stem[0])
        begun = crops_convolved(self.tail, first, crops_hu[..., rows, columns])
        seen = held(self.backbone(self.stem[1:](begun)))  # for the gradient of the maximum
        # With three stages: (batch, 64, 4, 4, 4).
        return torch.cat((seen.mean((2, 3, 4)), seen.amax((2, 3, 4)), middle_of(seen)), dim=1)


def middle_of(features: Tensor) -> Tensor:
    """The mean of the two middle cells along each axis: what stands there is what is asked.

    A nodule at the crop's edge must not make a nodule of the vessel in its middle; mean and maximum
    over the crop cannot tell the two apart.

    Args:
        features: (batch, channel, index, row, column), each size even.

    Returns:
        (batch, channel).
    """
    places = [slice(size // 2 - 1, size // 2 + 1) for size in features.shape[2:]]
    return features[:, :, *places].mean((2, 3, 4))


def _convolution(channels_in: int, channels_out: int, stride: Triple = ONCE) -> Conv3d:
    """3 x 3 x 3, without a bias: the batch norm behind it has one."""
    if stride == HALVING:
        return HalvingConv3d(channels_in, channels_out)
    return Conv3d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


class MeanShortcut(nn.Sequential):
    """The mean over what a stride passes over, a 1 x 1 x 1 convolution, a batch norm.

    Averaging first loses nothing, unlike a 1 x 1 x 1 convolution with a stride (He et al. 2018,
    arXiv 1812.01187, ResNet-D). Where nothing is compiled for a CPU, mean and convolution are one
    convolution with equal weights.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: Triple) -> None:
        conv = nn.Conv3d(channels_in, channels_out, 1, bias=False)
        super().__init__(nn.AvgPool3d(stride), conv, BatchNorm3d(channels_out))
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in, index, row, column) to (batch, out, and each size divided by the stride)."""
        weight = cast("nn.Conv3d", self[1]).weight
        if is_for_cpu(features):
            mean = means(features, self.stride)
            out = functional.linear(mean, weight[:, :, 0, 0, 0]).movedim(-1, 1)
        else:
            shares = (weight / math.prod(self.stride)).expand(-1, -1, *self.stride)
            out = functional.conv3d(features, shares, stride=self.stride)
        return cast("Tensor", self[2](out))


def means(features: Tensor, stride: Triple) -> Tensor:
    """The mean over what a stride passes over, without what is left at the ends.

    In words of which torch's compiler makes fast code; its gradient is a tenth of a step faster
    than that of a convolution with a stride (docs/results.md).

    Args:
        features: (batch, channel, index, row, column).
        stride: along the last three.

    Returns:
        (batch, index, row, column, channel), each size divided by the stride.
    """
    cells = features.movedim(1, -1)
    for axis, step in enumerate(stride):
        dim = 2 * axis + 1
        size = cells.shape[dim] // step
        cells = cells.narrow(dim, 0, size * step).unflatten(dim, (size, step))
    return cells.mean((2, 4, 6))


def _shortcut(channels_in: int, channels_out: int, stride: Triple) -> nn.Module:
    """The input itself, or where shapes differ what is nearest to it."""
    if stride == ONCE and channels_in == channels_out:
        return nn.Identity()
    return MeanShortcut(channels_in, channels_out, stride)
