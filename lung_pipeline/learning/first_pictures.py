# SPDX-License-Identifier: Apache-2.0
"""A batch norm on pictures and the convolution behind it as one convolution, in a compiled model.

As over crops (``first_layer.py``) the norm's scale and shift are moved into the convolution, so
that training needs no gradient of pixels. What the shift gives is the same number wherever a kernel
lies within the picture, so it is a part of the bias; at the border, where the kernel reaches into
padding, it is less, and is set right there. The result is the same but for rounding. What it
brought is in docs/results.md; of layers that are not compiled it is no faster.

Belongs here: that. Does not belong here: crops, and the border's arithmetic (``border.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.learning.batch_norm import normal
from lung_pipeline.learning.border import with_border
from lung_pipeline.learning.compiled import is_for_cpu


def is_one_with_its_norm(conv: nn.Conv2d, pictures: Tensor) -> bool:
    """Whether the two are taken as one: in a compiled model on a CPU that learns from pictures."""
    is_learning = conv.training and not pictures.requires_grad
    is_there_a_border = min(pictures.shape[2:]) > 1
    return is_for_cpu(pictures) and is_learning and is_there_a_border


def pictures_convolved(norm: nn.BatchNorm2d, conv: nn.Conv2d, pictures: Tensor) -> Tensor:
    """``conv(norm(pictures))``.

    Args:
        norm: of as many channels; in training mode its running statistics are brought on.
        conv: 3 x 3, padded by 1, with a bias.
        pictures: (batch, channel, row, column), at least 2 x 2; they get no gradient.

    Returns:
        (batch, out, row, column), channels last in memory.
    """
    seen = normal(norm, pictures).contiguous(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, enabled=False):
        # Of three by three pixels: what the shift gives at corners, along edges, and within.
        shift = norm.bias[:, None, None].expand(1, -1, 3, 3)
        given = functional.conv2d(shift, conv.weight, conv.bias, padding=1)
        weight = conv.weight * norm.weight[:, None, None]
    out = functional.conv2d(seen, weight, given[0, :, 1, 1], padding=1)
    return with_border(out, given - given[:, :, 1:2, 1:2])
