# SPDX-License-Identifier: Apache-2.0
"""A model in the words of torch's compiler, as it is fast on the device.

Belongs here: how the compiler is asked. Does not belong here: layers that it makes fast code of
(``batch_norm.py``, ``first_layer.py``), and whether a training is compiled (``schedule.py``).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from lung_pipeline.learning.device import CPU

_ON_CPU: dict[str, Any] = {"inplace_buffers": False}
"""Results beside what they are made from, not over it: of 16 channels in bfloat16 each is half a
vector, whose store reaches over the next, and whoever reads that waits for it (docs/results.md)."""


def compiled(model: nn.Module) -> nn.Module:
    """The model, to be called in its place; it is translated at the first call."""
    is_on_cpu = next(model.parameters()).device.type == CPU
    return cast("nn.Module", torch.compile(model, options=_ON_CPU if is_on_cpu else None))
