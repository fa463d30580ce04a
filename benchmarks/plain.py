# SPDX-License-Identifier: Apache-2.0
"""The baselines: the same networks and the same learning as anybody would write them first.

float32, the layout torch gives, one batch after the other: read, change, learn.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.classification.residual import MeanShortcut, ResidualClassifier, middle_of
from lung_pipeline.crops.augmentation_draw import Augmentation
from lung_pipeline.crops.frame import Frame
from lung_pipeline.learning.batch_norm import BatchNorm2d, BatchNorm3d
from lung_pipeline.learning.few_slices import Conv3d
from lung_pipeline.learning.halving import HalvingConv3d
from lung_pipeline.segmentation.unet import DoubleConvolution, UNet, UpStep


class PlainUNet(UNet):
    """The U-Net's layers, called one after the other as torch has them."""

    def forward(self, slices_hu: Tensor) -> Tensor:
        """Seven slices in HU, (batch, 7, row, column), to logits (batch, 1, row, column)."""
        features = self.input_norm(slices_hu)
        bridges: list[Tensor] = []
        for step in self.down[:-1]:
            bridges.append(twice(step, features))
            features = functional.avg_pool2d(bridges[-1], 2)
        features = twice(self.down[-1], features)
        for step in self.up:
            features = upward(step, features, bridges.pop())
        return self.last(features)


def twice(step: DoubleConvolution, features: Tensor) -> Tensor:
    """Twice: convolution, ReLU, batch norm."""
    features = step.norm1(functional.relu(step.conv1(features)))
    return step.norm2(functional.relu(step.conv2(features)))


def upward(step: UpStep, features: Tensor, bridge: Tensor) -> Tensor:
    """Double the size and join what the way down saw."""
    return twice(step.convs, torch.cat([step.upsample(features), bridge], dim=1))


class PlainBook(CropClassifier):
    """The book's network, its layers called one after the other as torch has them."""

    def features(self, crops_hu: Tensor) -> Tensor:
        """Crops in HU to what the last block leaves of them."""
        return self.backbone(self.tail(crops_hu)).flatten(1)


class PlainResidual(ResidualClassifier):
    """The residual network, in the same way."""

    def features(self, crops_hu: Tensor) -> Tensor:
        """Crops in HU to mean, maximum and middle of each channel."""
        edge = max(crops_hu.shape[-1] - self.field, 0) // 2
        middle = slice(edge, edge + self.field)
        seen = self.backbone(self.stem(self.tail(crops_hu[..., middle, middle])))
        return torch.cat((seen.mean((2, 3, 4)), seen.amax((2, 3, 4)), middle_of(seen)), dim=1)


PLAIN = {
    CropClassifier: PlainBook,
    ResidualClassifier: PlainResidual,
    MeanShortcut: nn.Sequential,
    BatchNorm2d: nn.BatchNorm2d,
    BatchNorm3d: nn.BatchNorm3d,
    Conv3d: nn.Conv3d,
    HalvingConv3d: nn.Conv3d,
}
"""What stands for which part of ours: the same parameters, and torch's own way."""


def made_plain(network: nn.Module) -> nn.Module:
    """The network itself, each of its parts of a plain class now."""
    for part in network.modules():
        part.__class__ = PLAIN.get(type(part), type(part))
    return network


def changed(
    images: Tensor, drawn: Augmentation, *, mode: str = "bilinear", frame: Frame | None = None
) -> Tensor:
    """The textbook's way: one matrix a sample, one resampling of all its axes together.

    Args:
        images: crops (batch, 1, index, row, column), or slices (batch, slice, row, column).
        drawn: what to do to each sample.
        mode: of the interpolation.
        frame: what is wanted of crops; None: all.
    """
    axes, shape = images.ndim - 2, images.shape[2:]
    wanted = shape if frame is None else torch.Size(frame.shape_irc)
    theta = np.stack([_matrix(drawn, sample, wanted) for sample in range(len(drawn))])
    if frame is not None and frame.step_irc is not None:
        theta[:, :axes] *= (frame.step_irc * wanted / np.asarray(shape))[:, ::-1, None]
    size = [*images.shape[:2], *wanted]
    grid = functional.affine_grid(
        torch.from_numpy(theta).float()[:, :axes], size, align_corners=False
    )
    moved = functional.grid_sample(
        images, grid, mode=mode, padding_mode="border", align_corners=False
    )
    return moved if mode == "nearest" else moved + torch.randn_like(moved) * drawn.noise_hu


def _matrix(drawn: Augmentation, sample: int, shape: torch.Size) -> np.ndarray:
    """From a place of the result to that of the sample, in the axes' order x, y, z."""
    axes = len(shape)
    turn = np.eye(axes + 1)
    angle = math.radians(float(drawn.angle_deg[sample]))
    turn[:2, :2] = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    turn[:axes, :axes] /= drawn.scale[sample]
    turn[range(axes), -1] = -drawn.shift_irc[sample][::-1][:axes] * 2 / np.asarray(shape)[::-1]
    mirror = np.diag([*drawn.mirror_irc[sample][::-1][:axes], 1.0])
    return mirror @ turn
