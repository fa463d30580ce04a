# SPDX-License-Identifier: Apache-2.0
"""What every network over crops offers, and the book's: tail, backbone, head.

Nodule and malignancy models share a network. Belongs here: the form all have, and the network of
"Deep Learning with PyTorch", chapter 11: a batch norm that learns the scale of HU, four blocks of
two convolutions and a pooling, one linear layer. Does not belong here: other networks, and their
names (``networks.py``).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.crops.frame import Floats, Frame, close_up
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.geometry import Triple
from lung_pipeline.learning.few_slices import Conv3d
from lung_pipeline.learning.first_layer import crops_convolved

NUM_BLOCKS = 4
"""Each halves the crop: 32 x 48 x 48 becomes 2 x 3 x 3."""


class CropNetwork(nn.Module):
    """Two logits for a crop, by parts that fine-tuning can freeze and renew.

    Heirs give ``features``: crops in HU, (batch, 1, 32, 48, 48), to what the head judges by.
    """

    architecture: dict[str, Any]
    """The keyword arguments the network was built with, for its model card."""

    backbone: nn.Sequential
    """Blocks; the last one is the one that fine-tuning may let learn."""

    head: nn.Linear
    """Features to two logits: not, and yes."""

    field: int = CROP_SHAPE_IRC[1]
    """Rows and columns of the crop's middle that are looked at; a crop may come with these only."""

    close_up_irc: Triple = CROP_SHAPE_IRC
    """Voxels in which it would see a close-up (``crops/frame.py``)."""

    sees_close_ups: bool = False
    """Whether close-ups are what it is to be given, and not crops as they are stored."""

    def frame(self, spacing_irc_mm: Floats | None) -> Frame:
        """What it is to be given of crops.

        Args:
            spacing_irc_mm: of each crop's voxels, shape (batch, 3); needed for close-ups.

        Raises:
            ValueError: it sees close-ups, and the spacing is missing.
        """
        if not self.sees_close_ups:
            return Frame((CROP_SHAPE_IRC[0], self.field, self.field))
        if spacing_irc_mm is None:
            raise ValueError("this network sees millimetres and needs the voxels' spacing")
        return close_up(self.close_up_irc, spacing_irc_mm)

    def features(self, crops_hu: Tensor) -> Tensor:
        """What is seen in a crop, (batch, number of features)."""
        raise NotImplementedError

    def forward(self, crops_hu: Tensor) -> Tensor:
        """Crops in HU, (batch, 1, 32, 48, 48), to logits (batch, 2)."""
        return self.head(self.features(crops_hu))

    @property
    def last_block(self) -> nn.Module:
        """The part before the head."""
        return self.backbone[-1]

    def renew_head(self) -> None:
        """Put a head with fresh random weights in the place of the old one."""
        self.head = type(self)(**self.architecture).head


def undecided_head(features: int) -> nn.Linear:
    """A layer that gives both answers nearly the same chance until it has learned.

    Larger random weights over many features are sure of random answers, and a network spends its
    first hundred steps on unlearning them (docs/results.md).
    """
    head = nn.Linear(features, 2)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


class Block(nn.Module):
    """Two 3 x 3 x 3 convolutions with ReLU, then the crop is halved along each axis."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = Conv3d(channels_in, channels_out, kernel_size=3, padding=1)
        self.conv2 = Conv3d(channels_out, channels_out, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in, index, row, column) to (batch, out, and half of each size)."""
        return self.rest(self.conv1(features))

    def rest(self, features: Tensor) -> Tensor:
        """What comes behind the first convolution."""
        features = functional.relu(features)
        return functional.max_pool3d(functional.relu(self.conv2(features)), 2)


class CropClassifier(CropNetwork):
    """The book's network: two logits for a crop, not and yes."""

    def __init__(self, *, first_channels: int = 8) -> None:
        """Build the network; channels double with each of the four blocks."""
        super().__init__()
        self.architecture = {"first_channels": first_channels}
        channels = [first_channels * 2**block for block in range(NUM_BLOCKS)]
        self.tail = nn.BatchNorm3d(1)
        self.backbone = nn.Sequential(
            *(Block(before, after) for before, after in zip([1, *channels], channels, strict=False))
        )
        voxels = 1
        for size in CROP_SHAPE_IRC:
            voxels *= size // 2**NUM_BLOCKS
        self.apply(initialise)
        self.head = undecided_head(channels[-1] * voxels)

    def features(self, crops_hu: Tensor) -> Tensor:
        """Crops in HU, (batch, 1, 32, 48, 48), to what the last block leaves of them, flat."""
        first = cast("Block", self.backbone[0])
        begun = first.rest(crops_convolved(self.tail, first.conv1, crops_hu))
        return cast("Tensor", self.backbone[1:](begun).flatten(1))


def fast_layout(model: nn.Module) -> None:
    """Lay the weights out channels last: 2.2 times as fast a training step on a CPU with AMX."""
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's stub


def initialise(module: nn.Module) -> None:
    """He et al. 2015 (arXiv 1502.01852): keeps the variance of activations through ReLUs."""
    if isinstance(module, nn.Conv3d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
