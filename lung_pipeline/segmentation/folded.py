# SPDX-License-Identifier: Apache-2.0
"""A trained U-Net with its batch norms folded into the convolutions: to look, not to learn.

A batch norm that learns no more multiplies each channel and adds to it, and so does the convolution
after it: the two become one, and nothing is left between convolutions but ReLU, which oneDNN does
in the same pass. On a CPU a slice takes two thirds of the time (docs/results.md).

The network pads with zeros what the batch norm gave; folded, the zeros stand before the batch norm.
So within some twenty pixels of a picture's edge it gives other numbers than the network itself, and
whoever calls it must look at more than is asked (``inference.py``).

Belongs here: folding, and the network once folded. Does not belong here: which pictures it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.learning.convolution import relu_of_convolution
from lung_pipeline.segmentation.unet import DoubleConvolution, UNet, UpStep, padded_to


@dataclass(frozen=True, slots=True)
class Affine:
    """What a batch norm does to each channel: ``scale * x + shift``."""

    scale: Tensor
    """(channel,)."""

    shift: Tensor
    """(channel,)."""

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> Affine:
        """By the running mean and variance."""
        if norm.running_mean is None or norm.running_var is None:
            msg = "a batch norm without running statistics cannot be folded"
            raise TypeError(msg)
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return cls(scale, norm.bias - scale * norm.running_mean)

    def beside(self, other: Affine) -> Affine:
        """For the channels of both, these first."""
        return Affine(torch.cat([self.scale, other.scale]), torch.cat([self.shift, other.shift]))


class _Convolution:
    """A convolution of some input, after a batch norm that is folded into it."""

    def __init__(self, conv: nn.Conv2d, before: Affine, dtype: torch.dtype) -> None:
        weight = conv.weight
        bias = (weight * before.shift[:, None, None]).sum((1, 2, 3))
        self.bias = (bias if conv.bias is None else bias + conv.bias).to(dtype)
        folded = (weight * before.scale[:, None, None]).to(dtype)
        self.weight = folded.contiguous(memory_format=torch.channels_last)
        self.padding = weight.shape[-1] // 2

    def __call__(self, features: Tensor) -> Tensor:
        return functional.conv2d(features, self.weight, self.bias, padding=self.padding)

    def then_relu(self, features: Tensor) -> Tensor:
        """Convolution and ReLU, in one pass where oneDNN is at hand."""
        return relu_of_convolution(features, self.weight, self.bias, self.padding)


class _Twice:
    """Twice convolution and ReLU; the batch norm of the second is left to who comes after."""

    def __init__(self, step: DoubleConvolution, before: Affine, dtype: torch.dtype) -> None:
        self.first = _Convolution(step.conv1, before, dtype)
        self.second = _Convolution(step.conv2, Affine.of(step.norm1), dtype)
        self.after = Affine.of(step.norm2)

    def __call__(self, features: Tensor) -> Tensor:
        return self.second.then_relu(self.first.then_relu(features))


class _Up:
    """Double the size, join the bridge, convolve twice."""

    def __init__(self, step: UpStep, below: Affine, bridge: Affine, dtype: torch.dtype) -> None:
        weight = step.upsample.weight  # (in, out, 2, 2)
        self.channels = weight.shape[1]
        shift = torch.einsum("i,iorc->rco", below.shift, weight)
        bias = shift if step.upsample.bias is None else shift + step.upsample.bias
        matrix = (weight * below.scale[:, None, None, None]).permute(2, 3, 1, 0)
        # One matrix for each of the two rows that a row becomes: (2 columns x out, in).
        self.rows = [
            (matrix[r].flatten(0, 1).to(dtype), bias[r].flatten().to(dtype)) for r in (0, 1)
        ]
        as_it_is = Affine(weight.new_ones(self.channels), weight.new_zeros(self.channels))
        self.convs = _Twice(step.convs, as_it_is.beside(bridge), dtype)
        self.after = self.convs.after

    def __call__(self, features: Tensor, bridge: Tensor) -> Tensor:
        batch, _, rows, columns = features.shape
        pixels = features.permute(0, 2, 3, 1)
        lines = [
            functional.linear(pixels, matrix, bias).view(batch, rows, -1)
            for matrix, bias in self.rows
        ]
        picture = torch.stack(lines, dim=2).view(batch, 2 * rows, 2 * columns, self.channels)
        return self.convs(torch.cat([picture.permute(0, 3, 1, 2), bridge], dim=1))


class FoldedUNet:
    """What a trained U-Net says of pictures, sooner; made anew when its weights change."""

    @torch.inference_mode()
    def __init__(self, unet: UNet, dtype: torch.dtype) -> None:
        """Fold the batch norms of a U-Net.

        Args:
            unet: in evaluation mode; it is left as it is.
            dtype: what is computed in: bfloat16 where that is fast, or float32.
        """
        self.dtype = dtype
        self.multiple = 2 ** (len(unet.down) - 1)
        before = Affine.of(unet.input_norm)
        # bfloat16 is finest around zero: HU are first moved to where the network expects them.
        self.usual_hu = float(unet.input_norm.running_mean.mean())  # type: ignore[union-attr]
        before = Affine(before.scale, before.shift + before.scale * self.usual_hu)
        self.down: list[_Twice] = []
        for down in unet.down:
            self.down.append(_Twice(down, before, dtype))  # type: ignore[arg-type]  # nn.ModuleList
            before = self.down[-1].after
        bridges = [down.after for down in self.down[:-1]]
        self.up: list[_Up] = []
        for up in unet.up:
            self.up.append(_Up(up, before, bridges.pop(), dtype))  # type: ignore[arg-type]
            before = self.up[-1].after
        self.last = _Convolution(unet.last, before, dtype)

    @torch.inference_mode()
    def __call__(self, slices_hu: Tensor) -> Tensor:
        """Seven slices in HU, (batch, 7, row, column), to logits (batch, 1, row, column)."""
        rows, columns = slices_hu.shape[-2:]
        centred = (padded_to(slices_hu, self.multiple) - self.usual_hu).to(self.dtype)
        features = centred.contiguous(memory_format=torch.channels_last)
        bridges: list[Tensor] = []
        for down in self.down[:-1]:
            bridges.append(down(features))
            features = functional.avg_pool2d(bridges[-1], 2)
        features = self.down[-1](features)
        for up in self.up:
            features = up(features, bridges.pop())
        return self.last(features)[..., :rows, :columns].float()
