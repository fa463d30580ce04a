# SPDX-License-Identifier: Apache-2.0
"""A picture of twice the rows and columns, by a transposed convolution that is one product.

Belongs here: that. Does not belong here: networks.
"""

from __future__ import annotations

from torch import Tensor
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
    batch, rows, columns, _ = pixels.shape
    squares = pixels.view(batch, rows, columns, 2, 2, channels_out).transpose(2, 3)
    return squares.reshape(batch, 2 * rows, 2 * columns, channels_out).permute(0, 3, 1, 2)
