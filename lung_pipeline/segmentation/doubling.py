# SPDX-License-Identifier: Apache-2.0
"""A picture of twice the rows and columns, by a transposed convolution that is one product.

Belongs here: that. Does not belong here: networks.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


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
    channels_in, channels_out = weight.shape[:2]
    matrix = weight.permute(2, 3, 1, 0).reshape(4 * channels_out, channels_in)
    pixels = functional.linear(
        features.permute(0, 2, 3, 1), matrix, None if bias is None else bias.repeat(4)
    )
    return cast("Tensor", _Squares.apply(pixels))  # type: ignore[no-untyped-call]  # torch's stub


class _Squares(torch.autograd.Function):
    """(batch, row, column, 4 channel) to a picture in which each pixel is a square of four."""

    @staticmethod
    def forward(_: Any, pixels: Tensor) -> Tensor:
        batch, rows, columns, channels = pixels.shape
        squares = pixels.view(batch, rows, columns, 2, 2, channels // 4)
        picture = squares.transpose(2, 3).reshape(batch, 2 * rows, 2 * columns, channels // 4)
        return picture.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:
        batch, channels, rows, columns = gradient.shape
        picture = gradient.permute(0, 2, 3, 1)
        picture = picture.reshape(batch, rows // 2, 2, columns // 2, 2, channels)
        squares = picture.transpose(2, 3).contiguous()
        # Not by a view: of one the compiler works out each number's place by divisions.
        shape = (batch, rows // 2, columns // 2, 4 * channels)
        return squares.as_strided(shape, (*squares.stride()[:3], 1))
