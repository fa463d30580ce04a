# SPDX-License-Identifier: Apache-2.0
"""A crop network's first batch norm and its first convolution, as one convolution.

The networks learn the scale of HU by a batch norm on the input. Learned like any other, it asks the
convolution behind it for a gradient of every voxel, which training does not need: its scale and
shift can be moved into the convolution, and their gradients are then some sums of that of the
weights. The shift counts where there are voxels and not in the padding around them, so it becomes
the weight of a second picture, which is 1 where there are voxels. The result is the same but for
rounding.

Slices of a crop are taken as channels of pictures, since oneDNN has no good way for a convolution
in three dimensions that begins with one channel. What each brought is in docs/results.md.

Belongs here: that. Does not belong here: other layers.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.learning.batch_norm import normal


def crops_convolved(norm: nn.BatchNorm3d, conv: nn.Conv3d, crops: Tensor) -> Tensor:
    """``conv(norm(crops))``, fast in training where crops want no gradient.

    A network in evaluation mode always goes the plain way: whoever looks, with gradients or
    without, gets the same to the bit.

    Args:
        norm: on one channel; in training mode its running statistics are brought on.
        conv: 3 x 3 x 3, of one channel, padded by 1; a stride only along the slices.
        crops: (batch, 1, index, row, column).

    Returns:
        (batch, out, index / stride, row, column), channels last in memory.
    """
    if not conv.training or crops.requires_grad:
        return cast("Tensor", conv(norm(crops)))
    slices = normal(norm, crops)[:, 0]
    batch, depth, rows, columns = slices.shape
    stride = conv.stride[0]
    # With the slice beyond each end, which is padding; each output sees three neighbours.
    padded = functional.pad(slices, (0, 0, 0, 0, 1, 1))
    here = functional.pad(slices.new_ones(1, depth, rows, columns), (0, 0, 0, 0, 1, 1))
    both = [padded, here.expand_as(padded)]
    seen = [one[:, tap : tap + depth : stride] for one in both for tap in range(3)]
    pictures = torch.stack(seen, dim=-1).flatten(0, 1).movedim(-1, 1)
    of_slices = conv.weight[:, 0]  # (out, 3 slices, 3, 3)
    weight = torch.cat([of_slices * norm.weight, of_slices * norm.bias], dim=1)
    out = _convolved(pictures, weight, conv)
    return out.movedim(1, -1).reshape(batch, -1, rows, columns, len(weight)).movedim(-1, 1)


def _convolved(pictures: Tensor, weight: Tensor, conv: nn.Conv3d) -> Tensor:
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    return functional.conv2d(pictures, weight, conv.bias, padding=1)
