# SPDX-License-Identifier: Apache-2.0
"""What a network tells of a nodule, and what readers say of it: the units of both.

A network tells what it sees, in standard units of what readers say. Of a nodule that is shown
larger than it is it tells a larger diameter. A share of the readers, such as of those who see
calcification, it tells by its log odds: told on a line like a size it would never be quite 0, and
that noise would be in every judgement (docs/results.md).

Belongs here: from one to the other, and how far apart the two are. Does not belong here: the
network (``described.py``), and what the readers said (``annotations/characteristics.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.annotations.characteristics import CALCIFIED, LOG2_DIAMETER

NARROWEST = 1e-3
"""Least spread of a characteristic, so that one on which all readers agree divides by no zero."""

SIZE_WEIGHT = 3.0
"""Of the diameter among the characteristics: it is the strongest sign, and must be told best."""


class Scales(nn.Module):
    """One scale for each of n characteristics; part of a model, so that its weights hold them."""

    mean: Tensor
    spread: Tensor
    is_size: Tensor
    is_share: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(names)))
        self.register_buffer("spread", torch.ones(len(names)))
        is_size = torch.tensor([float(name == LOG2_DIAMETER) for name in names])
        is_share = torch.tensor([name == CALCIFIED for name in names])
        self.register_buffer("is_size", is_size, persistent=False)
        self.register_buffer("is_share", is_share, persistent=False)

    def fit(self, said: Mapping[str, npt.NDArray[np.float64]]) -> None:
        """Take mean and spread from the nodules that are learned from.

        Args:
            said: for each characteristic what readers said of m nodules, NaN where nobody did.
        """
        known = [words[np.isfinite(words)] for words in said.values()]
        self.mean = torch.tensor([float(words.mean()) for words in known])
        self.spread = torch.tensor([max(float(words.std()), NARROWEST) for words in known])

    @property
    def weights(self) -> Tensor:
        """How much each characteristic counts while they are learned, (n,)."""
        return 1 + (SIZE_WEIGHT - 1) * self.is_size

    def meant(self, told: Tensor, scale: Tensor | None = None) -> Tensor:
        """What is told, in standard units of the nodules as large as they are, (batch, n).

        Args:
            told: (batch, n).
            scale: how many times as large as it is each nodule was seen, (batch,); None: once.
        """
        shares = (torch.sigmoid(told) - self.mean) / self.spread
        return torch.where(self.is_share, shares, told - self._enlarged(scale))

    def in_readers_units(self, meant: Tensor) -> Tensor:
        """Standard units to those of the readers, (batch, n)."""
        return meant * self.spread + self.mean

    def apart(self, told: Tensor, said: Tensor, scale: Tensor | None = None) -> Tensor:
        """How far what is told lies from what readers said, each (batch, n).

        Of a share its cross entropy, of the others a smooth L1 loss in standard units.

        Args:
            told: (batch, n).
            said: (batch, n), nowhere NaN.
            scale: how many times as large as it is each nodule was seen, (batch,); None: once.
        """
        wanted = (said - self.mean) / self.spread + self._enlarged(scale)
        lengths = functional.smooth_l1_loss(told, wanted, reduction="none")
        shares = functional.binary_cross_entropy_with_logits(told, said, reduction="none")
        return torch.where(self.is_share, shares, lengths)

    def _enlarged(self, scale: Tensor | None) -> Tensor:
        """What seeing it larger adds to the diameter, in standard units; 0 to all else."""
        if scale is None:
            return torch.zeros_like(self.mean)
        return torch.log2(scale)[:, None] / self.spread * self.is_size
