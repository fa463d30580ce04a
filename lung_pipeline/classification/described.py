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

EYES: Mapping[str, type[CropNetwork]] = {network.__name__: network for network in OF_NODULE}
"""The networks that can look at the crop."""

STEEPNESS = 20.0
"""Of the judgement. Adam moves each weight by the same small step; without this the judgement is
not done in the few hundred steps in which the eyes learn (docs/results.md)."""


class DescribingClassifier(CropNetwork):
    """Two logits for a crop, from what a reader would say of it."""

    needs_spacing = True

    def __init__(
        self,
        *,
        eyes: str,
        architecture: Mapping[str, Any],
        told: Sequence[str],
        steepness: float = STEEPNESS,
    ) -> None:
        """Build the network.

        Args:
            eyes: the class of the network that looks, one of ``EYES``.
            architecture: what that network is built with.
            told: names of the characteristics, in order.
            steepness: of the judgement, see ``STEEPNESS``.
        """
        super().__init__()
        self.architecture = {
            "eyes": eyes,
            "architecture": dict(architecture),
            "told": list(told),
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
        spacing_irc_mm: npt.NDArray[np.float64],
    ) -> DescribingClassifier:
        """Around a trained network, which becomes part of it and loses its head.

        Args:
            eyes: what looks; which of its parts learn stays as it is.
            said: for each characteristic what readers said of the n nodules to learn from, NaN
                where nobody did; sets the units.
            spacing_irc_mm: of the voxels of each, shape (n, 3).
        """
        model = cls(eyes=type(eyes).__name__, architecture=eyes.architecture, told=list(said))
        del eyes.head
        model.eyes = eyes
        model.scales.fit(said, spacing_irc_mm)
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
        """What the eyes see, of which the words are made."""
        return self.eyes.features(crops_hu)

    def tell(self, crops_hu: Tensor) -> Tensor:
        """The characteristics of crops, (batch, n), as they are learned.

        In the units of ``scales.py``, and in full precision: they are few, and judged steeply.
        """
        seen = self.features(crops_hu).float()
        with torch.autocast(crops_hu.device.type, enabled=False):
            return cast("Tensor", self.words(seen))

    def forward(self, crops_hu: Tensor, spacing_irc_mm: Tensor | None = None) -> Tensor:
        """Crops in HU to logits (batch, 2); in training the characteristics stand behind them.

        Args:
            crops_hu: (batch, 1, 32, 48, 48).
            spacing_irc_mm: of their voxels as they are seen, (batch, 3); those of a crop that was
                made larger are smaller.

        Raises:
            ValueError: the spacing is missing.
        """
        if spacing_irc_mm is None:
            raise ValueError("this network judges by millimetres and needs the voxels' spacing")
        told = self.tell(crops_hu)
        # The judgement learns from what is told and does not bend it: words that it bent said
        # less of the nodule, and labels of the training nodules by heart (docs/results.md).
        logits = self.head(self.steepness * self.scales.meant(told, spacing_irc_mm).detach())
        return torch.cat((logits, told), dim=1) if self.training else logits

    def describe(self, crops_hu: Tensor, spacing_irc_mm: Tensor) -> Tensor:
        """The characteristics in their readers' units, (batch, number of characteristics)."""
        meant = self.scales.meant(self.tell(crops_hu), spacing_irc_mm)
        return self.scales.in_readers_units(meant)


OF_MALIGNANCY: tuple[type[CropNetwork], ...] = (*OF_NODULE, DescribingClassifier)
"""What a malignancy model may be: the network of its nodule model, or one that sees with it."""


def describing_loss(
    model: DescribingClassifier, batch: tuple[Tensor, ...], weight: float
) -> Tensor:
    """The cross entropy of the judgement, and how far what is told lies from the readers' word.

    Args:
        model: in training mode.
        batch: crops, labels (batch,), what the readers said (batch, n), NaN where nobody said
            anything, and how large the voxels are as they are seen, (batch, 3) in mm.
        weight: of what is told, a mean over all that is known.
    """
    crops_hu, labels, said, spacing_irc_mm = batch
    out = model(crops_hu, spacing_irc_mm).float()
    logits, told = out[:, :2], out[:, 2:]
    counts = ~said.isnan() * model.scales.weights
    apart = model.scales.apart(told, said.nan_to_num(), spacing_irc_mm) * counts
    words = apart.sum() / counts.sum().clamp(min=1)
    return functional.cross_entropy(logits, labels) + weight * words
