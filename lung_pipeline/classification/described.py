# SPDX-License-Identifier: Apache-2.0
"""A malignancy model that first says what it sees, and judges by nothing else.

From a crop it tells what a reader would: the nodule's diameter, spiculation, lobulation, texture
and calcification. The diameter is told in pixels, which are all that can be seen, and judged in
millimetres: a scan's header says how large its voxels are. What readers agree on or not, such as
calcification, is told as the chance that one of them sees it. Malignant or not follows from these
few numbers alone, by one linear layer, so that a judgement can be read. A thousand nodules are few
to learn a judgement from, but each has five characteristics, and what a spike looks like is
learned from all of them (docs/results.md).

A concept bottleneck whose judgement does not teach the eyes (Koh et al. 2020, arXiv 2007.04612,
where that is called sequential); of lung nodules with LIDC's characteristics: HSCNN (Shen et al.
2019, arXiv 1806.00712).

Belongs here: the network and its loss. Does not belong here: what the readers said
(``annotations/characteristics.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.annotations.characteristics import CALCIFIED, LOG2_DIAMETER
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
        self.mean: Tensor
        self.spread: Tensor
        self.is_size: Tensor
        self.is_share: Tensor
        self.register_buffer("mean", torch.zeros(num))
        self.register_buffer("spread", torch.ones(num))
        is_size = torch.tensor([float(name == LOG2_DIAMETER) for name in told])
        self.register_buffer("is_size", is_size, persistent=False)
        is_share = torch.tensor([name == CALCIFIED for name in told])
        self.register_buffer("is_share", is_share, persistent=False)

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
        log2_pixel = np.log2(spacing_irc_mm[:, 2])
        told = [words - log2_pixel * (name == LOG2_DIAMETER) for name, words in said.items()]
        known = [words[np.isfinite(words)] for words in told]
        model.mean = torch.tensor([float(words.mean()) for words in known])
        model.spread = torch.tensor([max(float(words.std()), NARROWEST) for words in known])
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

        In standard units, the diameter's in pixels; of a share its log odds. In full precision:
        they are few, and judged steeply.
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
        logits = self.head(self.steepness * self._meant(told, spacing_irc_mm).detach())
        return torch.cat((logits, told), dim=1) if self.training else logits

    def apart(self, told: Tensor, said: Tensor, spacing_irc_mm: Tensor) -> Tensor:
        """How far what is told lies from what readers said, each (batch, n): no less than 0.

        Of a share its cross entropy, of the others a smooth L1 loss in standard units.
        """
        wanted = (said - self.mean) / self.spread - self._pixel(spacing_irc_mm)
        lengths = functional.smooth_l1_loss(told, wanted, reduction="none")
        shares = functional.binary_cross_entropy_with_logits(told, said, reduction="none")
        return torch.where(self.is_share, shares, lengths)

    def weights(self) -> Tensor:
        """How much each characteristic counts while they are learned, (number of them,)."""
        return 1 + (SIZE_WEIGHT - 1) * self.is_size

    def _pixel(self, spacing_irc_mm: Tensor) -> Tensor:
        """A pixel's size in standard units in the diameter's place, and 0 elsewhere, (batch, n)."""
        return torch.log2(spacing_irc_mm[:, 2:]) / self.spread * self.is_size

    def _meant(self, told: Tensor, spacing_irc_mm: Tensor) -> Tensor:
        """What is told, in standard units of what readers say, (batch, n)."""
        shares = (torch.sigmoid(told) - self.mean) / self.spread
        return torch.where(self.is_share, shares, told + self._pixel(spacing_irc_mm))

    def describe(self, crops_hu: Tensor, spacing_irc_mm: Tensor) -> Tensor:
        """The characteristics in their readers' units, (batch, number of characteristics)."""
        return self._meant(self.tell(crops_hu), spacing_irc_mm) * self.spread + self.mean


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
    counts = ~said.isnan() * model.weights()
    apart = model.apart(told, said.nan_to_num(), spacing_irc_mm) * counts
    words = apart.sum() / counts.sum().clamp(min=1)
    return functional.cross_entropy(logits, labels) + weight * words
