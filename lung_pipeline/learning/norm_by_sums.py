# SPDX-License-Identifier: Apache-2.0
"""A batch norm in words of which torch's compiler makes fast code on a CPU.

Of torch's own it makes mean and variance by Welford's steps, with a division for each pixel, works
every channel's root and quotient out again for each pixel, and rounds what it keeps for the
gradient to bfloat16. Here mean and variance come from two sums in one pass, and what belongs to a
channel is worked out once. Figures are in docs/results.md; batch norm: Ioffe and Szegedy 2015
(arXiv 1502.03167).

Belongs here: that. Does not belong here: which way a batch norm takes (``batch_norm.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lung_pipeline.learning.held import held


def by_sums(
    features: Tensor, weight: Tensor, bias: Tensor, near: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Features normalised as in training, and the mean and (biased) variance of each channel.

    Args:
        features: (batch, channel, ...).
        weight: (channel,), the scale.
        bias: (channel,), the shift.
        near: (channel,), about the mean, as the running one is: a variance told by sums of squares
            is as exact as its mean is near 0.
        eps: added to the variance.
    """
    out, mean, variance = _BySums.apply(  # type: ignore[no-untyped-call]  # torch's stub
        features, weight, bias, near, eps
    )
    return out, mean, variance


class _BySums(torch.autograd.Function):
    """All that is of a channel lies in float32, whatever the type of the features."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, near: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        precise = features.to(weight.dtype)
        apart = precise - _beside(near, features)
        pixels = features.numel() // len(weight)
        off = _of_channels(apart) / pixels
        variance = (_of_channels(apart.square()) / pixels - off.square()).clamp(min=0)
        mean, inverse = near + off, torch.rsqrt(variance + eps)
        scale = weight * inverse
        of_channels = held(torch.stack([scale, bias - scale * mean, mean, inverse, variance]))
        scale, shift, mean, inverse, variance = of_channels.unbind()
        out = precise * _beside(scale, features) + _beside(shift, features)
        ctx.save_for_backward(features, scale, mean, inverse)
        ctx.mark_non_differentiable(mean, variance)
        return out.to(features.dtype), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        features, scale, mean, inverse = ctx.saved_tensors
        pixels = features.numel() // len(scale)
        precise, steep = features.to(scale.dtype), gradient.to(scale.dtype)
        of_bias = _of_channels(steep)
        of_weight = _of_channels(steep * (precise - _beside(mean, features))) * inverse
        slope = -scale * inverse * of_weight / pixels
        shift = -scale * of_bias / pixels - slope * mean
        slope, shift = held(torch.stack([slope, shift])).unbind()
        found = steep * _beside(scale, features) + precise * _beside(slope, features)
        found = found + _beside(shift, features)
        return found.to(features.dtype), of_weight, of_bias, None, None


def _of_channels(features: Tensor) -> Tensor:
    """The sum of each channel, of each sample first: samples are shared among threads."""
    return features.flatten(2).sum(2).sum(0)


def _beside(of_channels: Tensor, features: Tensor) -> Tensor:
    """(channel,) in a shape that goes with the features."""
    return of_channels.view(-1, *[1] * (features.ndim - 2))
