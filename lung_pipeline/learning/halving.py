# SPDX-License-Identifier: Apache-2.0
"""A convolution that halves rows and columns, and a gradient of its input that is fast on a CPU.

Of few channels a pixel fills a part of a vector only, and oneDNN's gradient of the input of a
convolution with a stride is slow there. Of the input's pixels, those of even and those of odd rows
each come of the gradient by a convolution without a stride, two neighbouring columns as one pixel
of twice the channels. The result is the same but for rounding; what it brought is in
docs/results.md.

Belongs here: that. Does not belong here: networks.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lung_pipeline.learning.few_slices import Conv3d

HALVING = (1, 2, 2)
"""Its stride, along slices, rows and columns."""

PADDING, ONCE = (1, 1, 1), (1, 1, 1)

_NAME = "lung_pipeline::gradient_of_halved"


class HalvingConv3d(Conv3d):
    """``torch.nn.Conv3d`` of 3 x 3 x 3, padded by 1, that takes every second row and column."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Build it, without a bias."""
        super().__init__(channels_in, channels_out, 3, stride=HALVING, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in, index, row, column) to (batch, out, index, row / 2, column / 2)."""
        if not self._is_fast(features):
            return super().forward(features)
        is_mixed = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if is_mixed else self.weight.dtype
        given = features.to(dtype), self.weight.to(dtype)
        with torch.autocast("cpu", enabled=False):
            out = _Halved.apply(*given)  # type: ignore[no-untyped-call]  # torch's stub
        return cast("Tensor", out)

    def _is_fast(self, features: Tensor) -> bool:
        """Whether the gradient is found our way: while the layer before learns too, on a CPU."""
        is_learning = self.training and features.requires_grad and features.device.type == "cpu"
        slices, rows, columns = features.shape[2:]
        return is_learning and slices > 2 and rows % 2 == columns % 2 == 0


class _Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(features, weight)
        return functional.conv3d(features, weight, None, HALVING, PADDING)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        features, weight = ctx.saved_tensors
        _, of_weight, _ = torch.ops.aten.convolution_backward(
            *(gradient, features, weight, None, HALVING, PADDING, ONCE, False, [0, 0, 0], 1),
            [False, True, False],
        )
        return torch.ops.lung_pipeline.gradient_of_halved(gradient, weight), of_weight


def gradient_of_halved(gradient: Tensor, weight: Tensor) -> Tensor:
    """The gradient of what was convolved.

    Args:
        gradient: of the result, (batch, out, index, row, column).
        weight: (out, in, 3, 3, 3), of the same type.

    Returns:
        (batch, in, index, 2 row, 2 column), channels last in memory.
    """
    batch, channels, slices, rows, columns = gradient.shape
    padded = gradient.new_zeros(batch, slices, rows + 1, columns + 1, channels)
    padded[:, :, :rows, :columns] = gradient.movedim(1, -1)
    padded = padded.movedim(-1, 1)
    kernel = _turned(_turned(weight.transpose(0, 1).flip(2), 4).flatten(0, 1), 3)
    # An even row comes of one row of the gradient, an odd one of that and the row behind it.
    even = functional.conv3d(padded[:, :, :, :rows], kernel[0, :, :, :, :1], padding=(1, 0, 0))
    odd = functional.conv3d(padded, kernel[1], padding=(1, 0, 0))
    both = torch.stack([even.movedim(1, -1), odd.movedim(1, -1)], dim=3)
    return both.reshape(batch, slices, 2 * rows, 2 * columns, -1).movedim(-1, 1)


def _turned(kernel: Tensor, dim: int) -> Tensor:
    """Three taps along a dimension as two of the gradient's: for even pixels, and for odd ones."""
    before, here, behind = kernel.unbind(dim)
    even = torch.stack([here, torch.zeros_like(here)], dim)
    return torch.stack([even, torch.stack([behind, before], dim)])


def _like(gradient: Tensor, weight: Tensor) -> Tensor:
    batch, _, slices, rows, columns = gradient.shape
    return gradient.new_empty(batch, slices, 2 * rows, 2 * columns, weight.shape[1]).movedim(-1, 1)


# Whole, not in the compiler's words: what it would make of the last two lines is slow.
torch.library.define(_NAME, "(Tensor gradient, Tensor weight) -> Tensor")
torch.library.impl(_NAME, "CompositeExplicitAutograd")(gradient_of_halved)
torch.library.register_fake(_NAME)(_like)
