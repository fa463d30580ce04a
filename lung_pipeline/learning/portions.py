# SPDX-License-Identifier: Apache-2.0
"""A batch that goes through a model in portions and is learned from as a whole.

Of a portion's way through the model nothing is kept but its end; for the gradient each portion goes
it once more. So memory holds one portion's way at a time, the loss sees the whole batch, and the
gradient is that of the batch whatever the loss is: one of parts would be another for Dice, which is
no mean over samples (Chen et al. 2016, arXiv 1604.06174; for losses of a batch Gao et al. 2021,
arXiv 2101.06983). What it costs in time is in docs/results.md. A batch norm sees its portion alone.

Belongs here: that. Does not belong here: how large a portion is (``loop.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_Around = contextlib.AbstractContextManager[Any]


class InPortions:
    """A model to call with a batch; all else of it is as it was."""

    def __init__(self, model: Any, size: int) -> None:
        """Take a model.

        Args:
            model: gives a tensor whose first axis is the sample.
            size: samples that go through it at once.
        """
        self._model, self._size = model, size

    def through(self, model: Any) -> InPortions:
        """Portions of the same size, through another model."""
        return InPortions(model, self._size)

    def __call__(self, *batch: Tensor) -> Tensor:
        """What the model gives for a batch, each of its tensors with the sample first."""
        portions = zip(*(tensor.split(self._size) for tensor in batch), strict=True)
        return torch.cat([self._gone(portion) for portion in portions])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def _gone(self, portion: tuple[Tensor, ...]) -> Tensor:
        def ways() -> tuple[_Around, _Around]:
            return contextlib.nullcontext(), _counted_once(self._model)

        out = checkpoint(self._model, *portion, use_reentrant=False, context_fn=ways)
        return cast("Tensor", out)


@contextlib.contextmanager
def _counted_once(model: nn.Module) -> Iterator[None]:
    """Leave a model's running statistics as they were: the second way is no new sample."""
    kept = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, before in zip(model.buffers(), kept, strict=True):
            buffer.data.copy_(before)
