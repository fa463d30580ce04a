# SPDX-License-Identifier: Apache-2.0
"""A malignancy model that first says what it sees, and judges by nothing else.

From a crop it tells what a reader would: the nodule's diameter, spiculation, lobulation, texture
and calcification. Malignant or not follows from these few numbers alone, by one linear layer, so
that a judgement can be read. A thousand nodules are few to learn a judgement from, but each has
five characteristics, and what a spike looks like is learned from all of them (docs/results.md).

A concept bottleneck whose judgement does not teach the eyes (Koh et al. 2020, arXiv 2007.04612,
where that is called sequential); of lung nodules with LIDC's characteristics: HSCNN (Shen et al.
2019, arXiv 1806.00712).

Belongs here: the network and its loss. Does not belong here: in which units it tells what it sees
(``scales.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.classification.networks import OF_NODULE
from lung_pipeline.classification.scales import Scales
from lung_pipeline.crops.frame import CLOSE_UP_MM
from lung_pipeline.ct.geometry import Triple

EYES: Mapping[str, type[CropNetwork]] = {network.__name__: network for network in OF_NODULE}
"""The networks that can look at the crop."""

STEEPNESS = 20.0
"""Of the judgement. Adam moves each weight by the same small step; without this the judgement is
not done in the few hundred steps in which the eyes learn (docs/results.md)."""


class DescribingClassifier(CropNetwork):
    """Two logits for a close-up of a nodule, from what a reader would say of it."""

    sees_close_ups = True

    def __init__(
        self,
        *,
        eyes: str,
        architecture: Mapping[str, Any],
        told: Sequence[str],
        close_up_mm: float,
        steepness: float = STEEPNESS,
    ) -> None:
        """Build the network.

        Args:
            eyes: the class of the network that looks, one of ``EYES``.
            architecture: what that network is built with.
            told: names of the characteristics, in order.
            close_up_mm: edge of the close-ups it learned from.
            steepness: of the judgement, see ``STEEPNESS``.

        Raises:
            ValueError: it learned from other close-ups than are made here.
        """
        super().__init__()
        if close_up_mm != CLOSE_UP_MM:
            raise ValueError(f"close-ups of {close_up_mm} mm; they are of {CLOSE_UP_MM} mm here")
        self.architecture = {
            "eyes": eyes,
            "architecture": dict(architecture),
            "told": list(told),
            "close_up_mm": close_up_mm,
            "steepness": steepness,
        }
        self.steepness = steepness
        self.eyes = EYES[eyes](**architecture)
        num = len(told)
        self.words = nn.Linear(self.eyes.head.in_features, num)
        nn.init.normal_(self.words.weight, std=0.01)
        nn.init.zeros_(self.words.bias)
        del self.eyes.head  # the eyes judge nothing themselves
        self.head = nn.Linear(num, 2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.scales = Scales(told)

    @classmethod
    def seeing_with(
        cls,
        eyes: CropNetwork,
        said: Mapping[str, npt.NDArray[np.float64]],
    ) -> DescribingClassifier:
        """Around a trained network, which becomes part of it and loses its head.

        Args:
            eyes: what looks; which of its parts learn stays as it is.
            said: for each characteristic what readers said of the n nodules to learn from, NaN
                where nobody did; sets the units.
        """
        model = cls(
            eyes=type(eyes).__name__,
            architecture=eyes.architecture,
            told=list(said),
            close_up_mm=CLOSE_UP_MM,
        )
        del eyes.head
        model.eyes = eyes
        model.scales.fit(said)
        return model

    @property
    def close_up_irc(self) -> Triple:  # type: ignore[override]  # a constant there, looked up here
        """As of the eyes."""
        return self.eyes.close_up_irc

    @property
    def last_block(self) -> nn.Module:
        """The last part of the eyes."""
        return self.eyes.last_block

    def features(self, crops_hu: Tensor) -> Tensor:
        """What the eyes see, of which the words are made."""
        return self.eyes.features(crops_hu)

    def tell(self, crops_hu: Tensor) -> Tensor:
        """The characteristics of close-ups, (batch, n), as they are learned.

        In the units of ``scales.py``, and in full precision: they are few, and judged steeply.
        """
        seen = self.features(crops_hu).float()
        with torch.autocast(crops_hu.device.type, enabled=False):
            return cast("Tensor", self.words(seen))

    def judge(self, told: Tensor, scale: Tensor | None = None) -> Tensor:
        """What was told to logits, (batch, 2).

        Args:
            told: what ``tell`` gave.
            scale: how many times as large as it is each nodule was seen, (batch,); None: once.
        """
        # The judgement learns from what is told and does not bend it: words that it bent said
        # less of the nodule, and labels of the training nodules by heart (docs/results.md).
        return cast("Tensor", self.head(self.steepness * self.scales.meant(told, scale).detach()))

    def forward(self, crops_hu: Tensor, scale: Tensor | None = None) -> Tensor:
        """Close-ups in HU to logits (batch, 2); in training what is told stands behind them.

        Args:
            crops_hu: (batch, 1, index, row, column), of ``close_up_irc``.
            scale: as for ``judge``.
        """
        told = self.tell(crops_hu)
        logits = self.judge(told, scale)
        return torch.cat((logits, told), dim=1) if self.training else logits

    def describe(self, crops_hu: Tensor) -> Tensor:
        """The characteristics in their readers' units, (batch, number of characteristics)."""
        return self.scales.in_readers_units(self.scales.meant(self.tell(crops_hu)))


OF_MALIGNANCY: tuple[type[CropNetwork], ...] = (*OF_NODULE, DescribingClassifier)
"""What a malignancy model may be: the network of its nodule model, or one that sees with it."""


def describing_loss(
    model: DescribingClassifier, batch: tuple[Tensor, ...], weight: float
) -> Tensor:
    """The cross entropy of the judgement, and how far what is told lies from the readers' word.

    Args:
        model: in training mode.
        batch: close-ups, labels (batch,), what the readers said (batch, n), NaN where nobody said
            anything, and how many times as large as it is each nodule is seen, (batch,).
        weight: of what is told.
    """
    crops_hu, labels, said, scale = batch
    out = model(crops_hu, scale).float()
    words = words_loss(model.scales, out[:, 2:], said, scale)
    return functional.cross_entropy(out[:, :2], labels) + weight * words


def words_loss(scales: Scales, told: Tensor, said: Tensor, scale: Tensor | None = None) -> Tensor:
    """How far what is told lies from the readers' word, a mean over all that is known.

    Args:
        scales: the units of both.
        told: (batch, n).
        said: (batch, n), NaN where nobody said anything.
        scale: how many times as large as it is each nodule was seen, (batch,); None: once.
    """
    counts = ~said.isnan() * scales.weights
    apart = scales.apart(told, said.nan_to_num(), scale) * counts
    return apart.sum() / counts.sum().clamp(min=1)
