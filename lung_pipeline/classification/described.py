# SPDX-License-Identifier: Apache-2.0
"""A malignancy model that first says what it sees, and judges by nothing else.

From a crop it tells what a reader would: the nodule's diameter, spiculation, lobulation, texture
and calcification. Malignant or not follows from these few numbers alone, by one linear layer, so
that a judgement can be read. A thousand nodules are few to learn a judgement from, but each has
five characteristics, and what a spike looks like is learned from all of them (docs/results.md).

A concept bottleneck whose judgement does not teach the eyes (Koh et al. 2020, arXiv 2007.04612,
where that is called sequential); of lung nodules with LIDC's characteristics: HSCNN (Shen et al.
2019, arXiv 1806.00712).

Belongs here: the network and its loss. Does not belong here: what the readers said
(``annotations/characteristics.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.annotations.characteristics import LOG2_DIAMETER
from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.classification.networks import OF_NODULE

EYES: Mapping[str, type[CropNetwork]] = {network.__name__: network for network in OF_NODULE}
"""The networks that can look at the crop."""

NARROWEST = 1e-3
"""Least spread of a characteristic, so that one on which all readers agree divides by no zero."""

SIZE_WEIGHT = 3.0
"""Of the diameter among the characteristics: it is the strongest sign, and must be told best."""

STEEPNESS = 20.0
"""Of the judgement. Adam moves each weight by the same small step; without this the judgement is
not done in the few hundred steps in which the eyes learn (docs/results.md)."""


class DescribingClassifier(CropNetwork):
    """Two logits for a crop, from what a reader would say of it."""

    def __init__(
        self,
        *,
        eyes: str,
        architecture: Mapping[str, Any],
        characteristics: Sequence[str],
        steepness: float = STEEPNESS,
    ) -> None:
        """Build the network.

        Args:
            eyes: the class of the network that looks, one of ``EYES``.
            architecture: what that network is built with.
            characteristics: names of what is told, in order.
            steepness: of the judgement, see ``STEEPNESS``.
        """
        super().__init__()
        self.architecture = {
            "eyes": eyes,
            "architecture": dict(architecture),
            "characteristics": list(characteristics),
            "steepness": steepness,
        }
        self.steepness = steepness
        self.eyes = EYES[eyes](**architecture)
        num = len(characteristics)
        self.words = nn.Linear(self.eyes.head.in_features, num)
        nn.init.normal_(self.words.weight, std=0.01)
        nn.init.zeros_(self.words.bias)
        del self.eyes.head  # the eyes judge nothing themselves
        self.head = nn.Linear(num, 2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.mean: Tensor
        self.spread: Tensor
        self.is_size: Tensor
        self.register_buffer("mean", torch.zeros(num))
        self.register_buffer("spread", torch.ones(num))
        is_size = torch.tensor([float(name == LOG2_DIAMETER) for name in characteristics])
        self.register_buffer("is_size", is_size, persistent=False)

    @classmethod
    def seeing_with(
        cls, eyes: CropNetwork, said: Mapping[str, npt.NDArray[np.float64]]
    ) -> DescribingClassifier:
        """Around a trained network, which becomes part of it and loses its head.

        Args:
            eyes: what looks; which of its parts learn stays as it is.
            said: for each characteristic what readers said of the nodules to learn from, NaN where
                nobody did; sets the units.
        """
        model = cls(
            eyes=type(eyes).__name__, architecture=eyes.architecture, characteristics=list(said)
        )
        del eyes.head
        model.eyes = eyes
        known = [values[np.isfinite(values)] for values in said.values()]
        model.mean = torch.tensor([float(values.mean()) for values in known])
        model.spread = torch.tensor([max(float(values.std()), NARROWEST) for values in known])
        return model

    @property
    def field(self) -> int:  # type: ignore[override]  # what is a number there is looked up here
        """As of the eyes."""
        return self.eyes.field

    @property
    def last_block(self) -> nn.Module:
        """The last part of the eyes."""
        return self.eyes.last_block

    def features(self, crops_hu: Tensor) -> Tensor:
        """Crops in HU, (batch, 1, 32, 48, 48), to the characteristics in standard units."""
        return self.words(self.eyes.features(crops_hu)).float()

    def forward(self, crops_hu: Tensor, grown: Tensor | None = None) -> Tensor:
        """Crops in HU to logits (batch, 2); in training the characteristics stand behind them.

        Args:
            crops_hu: (batch, 1, 32, 48, 48).
            grown: by how much each crop was made larger, as log2 of the factor, (batch,). What is
                told is the crop's own size then; what is judged is the nodule's, as it was.
        """
        told = self.features(crops_hu)
        own = told if grown is None else told - self._as_size(grown)
        # The judgement learns from what is told and does not bend it: words that it bent said
        # less of the nodule, and labels of the training nodules by heart (docs/results.md).
        logits = self.head(self.steepness * own.detach())
        return torch.cat((logits, told), dim=1) if self.training else logits

    def larger(self, said: Tensor, grown: Tensor) -> Tensor:
        """What readers would say in standard units, (batch, n), had the nodule been that large."""
        return said + self._as_size(grown)

    def weights(self) -> Tensor:
        """How much each characteristic counts while they are learned, (number of them,)."""
        return 1 + (SIZE_WEIGHT - 1) * self.is_size

    def _as_size(self, grown: Tensor) -> Tensor:
        """The growth in standard units in the diameter's place, and 0 elsewhere, (batch, n)."""
        return grown[:, None] / self.spread * self.is_size

    def describe(self, crops_hu: Tensor) -> Tensor:
        """The characteristics in their own units, (batch, number of characteristics)."""
        return self.features(crops_hu) * self.spread + self.mean


OF_MALIGNANCY: tuple[type[CropNetwork], ...] = (*OF_NODULE, DescribingClassifier)
"""What a malignancy model may be: the network of its nodule model, or one that sees with it."""


def describing_loss(
    model: DescribingClassifier, batch: tuple[Tensor, ...], weight: float
) -> Tensor:
    """The cross entropy of the judgement, and how far what is told lies from the readers' word.

    Args:
        model: in training mode.
        batch: crops, labels (batch,), what the readers said in standard units (batch, n), NaN
            where nobody said anything, and by how much each crop was made larger, as log2.
        weight: of what is told, a smooth L1 loss over all that is known.
    """
    crops_hu, labels, said, grown = batch
    out = model(crops_hu, grown).float()
    logits, told = out[:, :2], out[:, 2:]
    counts = ~said.isnan() * model.weights()
    wanted = model.larger(said.nan_to_num(), grown)
    apart = functional.smooth_l1_loss(told, wanted, reduction="none") * counts
    words = apart.sum() / counts.sum().clamp(min=1)
    return functional.cross_entropy(logits, labels) + weight * words
