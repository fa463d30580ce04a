# SPDX-License-Identifier: Apache-2.0
"""Values into which torch's compiler does not look.

A compiler that sees how values are made may make them again wherever they are wanted: for each
pixel what is one number a channel, and for the gradient of a maximum values that are not rounded as
they were when the maximum was found. It then finds no value that is the maximum, and the gradient
is 0 / 0.

Belongs here: that. Does not belong here: who holds what.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

_NAME = "lung_pipeline::held"

torch.library.define(_NAME, "(Tensor values) -> Tensor")
torch.library.impl(_NAME, "CompositeExplicitAutograd")(torch.clone)
torch.library.register_fake(_NAME)(torch.empty_like)


def _backward(_: Any, gradient: Tensor) -> Tensor:
    return gradient


torch.library.register_autograd(_NAME, _backward)


def held(values: Tensor) -> Tensor:
    """The values, made once and rounded once while a model is compiled; else as they are."""
    if not torch.compiler.is_compiling():
        return values
    return cast("Tensor", torch.ops.lung_pipeline.held(values))


def written(features: Tensor) -> Tensor:
    """Features, (batch, channel, ...), written once, channels last, while a model is compiled.

    Unlike what is held they are not copied. The compiler writes what is read in another shape, and
    leaves out what changes nothing.
    """
    if not torch.compiler.is_compiling():
        return features
    pixels = features.movedim(1, -1).clone(memory_format=torch.contiguous_format)
    strides = [math.prod(pixels.shape[dim + 1 :]) for dim in range(pixels.ndim)]
    return pixels.as_strided(pixels.shape, strides).movedim(-1, 1)
