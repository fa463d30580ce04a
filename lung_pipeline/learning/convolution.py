# SPDX-License-Identifier: Apache-2.0
"""A convolution and the ReLU behind it in one pass, on a CPU.

oneDNN can cut off what is negative while it writes what a convolution gives; torch's own layers
write it, read it again and write it once more. The results are equal to the bit. What it brought is
in docs/results.md.

Belongs here: that, for those who look and for those who learn. Does not belong here: networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

ONCE = [1, 1]


def relu_of_convolution(features: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
    """``relu(conv2d(...))`` without a stride, in one pass where oneDNN is at hand; to look with.

    Args:
        features: (batch, in, row, column).
        weight: (out, in, kernel, kernel), of the same type.
        bias: (out,).
        padding: zeros around the picture.
    """
    if features.device.type != "cpu" or _FUSED is None:
        return functional.relu_(functional.conv2d(features, weight, bias, padding=padding))
    around = [padding, padding]
    return _FUSED(features, weight, bias, around, ONCE, ONCE, 1, "relu", [], "")


def convolved_relu(conv: nn.Conv2d, features: Tensor) -> Tensor:
    """``relu(conv(features))``, in one pass while it learns on a CPU.

    Args:
        conv: padded to keep the size, without a stride.
        features: (batch, in, row, column).

    Returns:
        (batch, out, row, column).
    """
    is_learning = conv.training and features.device.type == "cpu"
    if not is_learning or conv.bias is None or torch.compiler.is_compiling():
        return functional.relu(conv(features), inplace=True)
    is_mixed = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if is_mixed else conv.weight.dtype
    given = (tensor.to(dtype) for tensor in (features, conv.weight, conv.bias))
    with torch.autocast("cpu", enabled=False):
        return _ConvolvedRelu.apply(*given)  # type: ignore[no-untyped-call]  # torch's stub


class _ConvolvedRelu(torch.autograd.Function):
    """The gradient is that of the convolution, where its result was not cut off."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out = relu_of_convolution(features, weight, bias, weight.shape[-1] // 2)
        ctx.save_for_backward(features, weight, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, out = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradient, out, 0)
        around = [weight.shape[-1] // 2] * 2
        return torch.ops.aten.convolution_backward(
            *(gradient, features, weight, [len(weight)], ONCE, around, ONCE, False, [0, 0], 1),
            list(ctx.needs_input_grad),
        )


def _fused_operator() -> Callable[..., Tensor] | None:
    """What torch's own compiler calls for a convolution with a ReLU behind it; None without."""
    operators = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    return operators.default if torch.backends.mkldnn.is_available() and operators else None


_FUSED = _fused_operator()
"""Looked up once: that takes as long as a small convolution."""
