# SPDX-License-Identifier: Apache-2.0
"""What is learned from, in the words of torch's compiler, as it is fast on the device.

Belongs here: how the compiler is asked, and whether it is. Does not belong here: layers that it
makes fast code of (``batch_norm.py``, ``first_layer.py``), and whether a training is compiled
(``schedule.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lung_pipeline.learning.device import CPU
from lung_pipeline.learning.portions import InPortions

_ON_CPU: dict[str, Any] = {"inplace_buffers": False}
"""Results beside what they are made from, not over it: of 16 channels in bfloat16 each is half a
vector, whose store reaches over the next, and whoever reads that waits for it (docs/results.md)."""


def is_for_cpu(features: Tensor) -> bool:
    """Whether what is done to features now is being translated, and for a CPU."""
    return torch.compiler.is_compiling() and features.device.type == CPU


def compiled(loss: Callable[..., Tensor], model: nn.Module) -> Callable[..., Tensor]:
    """The loss of a batch under the model, to be called in its place; translated when first called.

    Model and loss are translated as one. Of a batch in portions it is the model alone, since each
    portion goes through it twice.
    """
    is_on_cpu = next(model.parameters()).device.type == CPU
    # Batches of another size are translated anew: words for any size are slower, and not for all.
    options = _ON_CPU if is_on_cpu else None
    translated = partial(torch.compile, dynamic=False, options=options)
    at_once, forward = translated(loss), translated(model)

    def found(given: nn.Module | InPortions, batch: tuple[Tensor, ...]) -> Tensor:
        if isinstance(given, InPortions):
            return loss(given.through(forward), batch)
        return at_once(given, batch)

    return found
