# SPDX-License-Identifier: Apache-2.0
"""Batch norms that are fast on a CPU, in the place of torch's: same parameters, same results.

Belongs here: which way is taken, and the running statistics. Does not belong here: the ways
(``norm_by_lanes.py``, ``norm_by_sums.py``), and a batch norm and the first convolution in one
(``first_layer.py``).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.learning.compiled import is_for_cpu
from lung_pipeline.learning.norm_by_lanes import by_lanes, lines_of
from lung_pipeline.learning.norm_by_sums import by_sums


class BatchNorm2d(nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d``, with its parameters and results."""

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channel, row, column) to the same shape."""
        out = _normalised(self, features)
        return super().forward(features) if out is None else out


class BatchNorm3d(nn.BatchNorm3d):
    """``torch.nn.BatchNorm3d``, with its parameters and results."""

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channel, index, row, column) to the same shape."""
        out = _normalised(self, features)
        return super().forward(features) if out is None else out


@torch.no_grad()
def normal(norm: nn.BatchNorm2d | nn.BatchNorm3d, images: Tensor) -> Tensor:
    """As the norm gives them but for its scale and shift, in the type that is computed in.

    They get no gradient; in training mode the running statistics are brought on.

    Args:
        norm: of as many channels.
        images: (batch, channel, ...).
    """
    kind = images.device.type
    if norm.training and is_for_cpu(images):
        one = torch.ones_like(cast("Tensor", norm.running_mean))
        found = _by_sums(norm, images, one, torch.zeros_like(one))
    else:
        if norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        found = functional.batch_norm(
            *(images, norm.running_mean, norm.running_var, None, None),
            *(norm.training, norm.momentum or 0.0, norm.eps),
        )
    return found.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else found


def _normalised(norm: nn.BatchNorm2d | nn.BatchNorm3d, features: Tensor) -> Tensor | None:
    """Normalised in a way that is ours; None where torch's own is taken."""
    if not norm.training or features.device.type != "cpu":
        return None
    if norm.running_mean is None or norm.momentum is None:
        return None
    if torch.compiler.is_compiling():
        return _by_sums(norm, features, norm.weight, norm.bias)
    lines = lines_of(features)
    if lines is None:
        return None
    out, mean, variance = by_lanes(features, lines, norm.weight, norm.bias, norm.eps)
    _remember(norm, mean, variance, features.numel() // features.shape[1])
    return out


def _by_sums(
    norm: nn.BatchNorm2d | nn.BatchNorm3d, features: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    near = cast("Tensor", norm.running_mean).clone()
    out, mean, variance = by_sums(features, weight, bias, near, norm.eps)
    _remember(norm, mean, variance, features.numel() // features.shape[1])
    return out


@torch.no_grad()
def _remember(
    norm: nn.BatchNorm2d | nn.BatchNorm3d, mean: Tensor, variance: Tensor, pixels: int
) -> None:
    """Running statistics as torch keeps them: of the variance the unbiased estimate."""
    running_mean, running_var = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
    momentum = cast("float", norm.momentum)
    running_mean.lerp_(mean, momentum)
    running_var.lerp_(variance * (pixels / (pixels - 1)), momentum)
    cast("Tensor", norm.num_batches_tracked).add_(1)
