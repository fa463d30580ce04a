# SPDX-License-Identifier: Apache-2.0
"""A batch norm that is fast on a CPU where channels are few.

torch works through the channels of one pixel at a time, and eight of them are too few to keep the
processor busy: it takes three to five times as long as it need (docs/results.md).
Pixels that lie side by side are therefore taken as more channels, ``LANES`` in all, and what is
found of the same channel is put together. The result is the same but for rounding (batch norm:
Ioffe and Szegedy 2015, arXiv 1502.03167).

Belongs here: that. Does not belong here: which way a batch norm takes (``batch_norm.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LANES = 256
"""Channels of as many pixels as make this number, together."""

FEW = 8
"""Channels at most; from twice as many on torch's own way is as fast, or faster."""


def lines_of(features: Tensor) -> Tensor | None:
    """The same memory as (1, LANES, number of lines, 1); None where channels are not few.

    Args:
        features: (batch, channel, ...).
    """
    channels, last = features.shape[1], features.movedim(1, -1)
    if channels > FEW or LANES % channels:
        return None
    if features.numel() % LANES or not last.is_contiguous():
        return None
    return last.reshape(1, -1, 1, LANES).permute(0, 3, 1, 2)


def by_lanes(
    features: Tensor, lines: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Features normalised as in training, and the mean and (biased) variance of each channel.

    Args:
        features: (batch, channel, ...).
        lines: as ``lines_of`` gives them.
        weight: (channel,), the scale.
        bias: (channel,), the shift.
        eps: added to the variance.
    """
    out, mean, variance = _OnLines.apply(  # type: ignore[no-untyped-call]  # torch's stub
        lines, weight, bias, eps
    )
    last = features.movedim(1, -1)
    return out.permute(0, 2, 3, 1).reshape(last.shape).movedim(-1, 1), mean, variance


class _OnLines(torch.autograd.Function):
    """A batch norm in training mode, over (1, LANES, lines, 1), channels last in memory."""

    @staticmethod
    def forward(
        ctx: Any, lines: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        channels = len(weight)
        # Running statistics of full precision make the found ones such; with 0 they stay as is.
        running = (weight.new_zeros(LANES), weight.new_zeros(LANES))
        found = torch.batch_norm_update_stats(lines, running[0], running[1], 0.0)
        means, variances = (of_lanes.view(-1, channels) for of_lanes in found)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(lines, weight, mean, inverse)
        scale = weight * inverse
        out = _scaled(lines, scale, bias - scale * mean)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        lines, weight, mean, inverse = ctx.saved_tensors
        channels, pixels = len(weight), lines.numel() // len(weight)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            *(gradient, lines, _spread(weight), None, None, _spread(mean), _spread(inverse)),
            *(True, 0.0, [False, True, True]),
        )
        of_weight, of_bias = (found.view(-1, channels).sum(0) for found in (of_weight, of_bias))
        scale = weight * inverse
        of_lines = -scale * inverse * of_weight / pixels
        shift = -scale * of_bias / pixels - of_lines * mean
        rest = _scaled(lines, of_lines, shift)
        found = rest.addcmul_(gradient, _column(scale, gradient))
        return found, of_weight, of_bias, None


def _scaled(lines: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Each channel times its scale, plus its shift: a batch norm that has learned."""
    still, one = scale.new_zeros(LANES), scale.new_ones(LANES)
    return torch.native_batch_norm(
        lines, _spread(scale), _spread(shift), still, one, False, 0.0, 0.0
    )[0]


def _spread(of_channels: Tensor) -> Tensor:
    """A number a channel, for each lane."""
    return of_channels.repeat(LANES // len(of_channels))


def _column(of_channels: Tensor, like: Tensor) -> Tensor:
    return _spread(of_channels).to(like.dtype)[:, None, None]
