# SPDX-License-Identifier: Apache-2.0
"""Dice loss over a batch, with a recall term and a cross entropy.

Missing a nodule costs more than marking too much, and the cross entropy shows the way from the
first step: without it a network marks everything dense for hundreds of steps (docs/results.md).

After "Deep Learning with PyTorch", chapter 13 (Dice loss: Milletari et al. 2016, arXiv 1606.04797),
with two changes that were measured on phantoms (docs/results.md). There the Dice loss is taken of
each patch, and of a patch without a nodule it hardly falls until almost nothing is marked, so that
learning rests at marking everything dense; here it is taken over the batch, as nnU-Net does
(Isensee et al. 2021). And there the recall term weighs 8; here its weight is a setting.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_EPSILON = 1.0
"""Keeps a batch without nodule finite: marking nothing there costs nothing."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much the terms of the loss weigh beside the Dice loss, which weighs 1."""

    recall: float
    """Of the recall term; more finds more, and marks more that is no nodule."""

    cross_entropy: float = 0.0
    """Of the mean cross entropy over all voxels; 1 as in nnU-Net, 0 as in the book."""


def segmentation_loss(logits: Tensor, mask: Tensor, weights: LossWeights) -> Tensor:
    """Dice loss over all voxels, the recall term of patches with a nodule, and the cross entropy.

    Of a network with deep supervision each head is judged by the same truth, and weighs half as
    much as the finer one before it (Isensee et al. 2021); the weights sum to 1.

    Args:
        logits: (batch, heads, row, column), the finest head first.
        mask: truth, 0 or 1, shape (batch, 1, row, column).
        weights: of the terms.
    """
    truth = mask.float()
    losses = [_of_head(head, truth, weights) for head in logits.float().split(1, dim=1)]
    shares = [2.0**-number for number in range(len(losses))]
    weighed = [share * loss for share, loss in zip(shares, losses, strict=True)]
    return torch.stack(weighed).sum() / sum(shares)


def _of_head(logits: Tensor, mask: Tensor, weights: LossWeights) -> Tensor:
    probability = torch.sigmoid(logits)
    loss = batch_dice_loss(probability, mask) + weights.recall * recall_loss(probability, mask)
    if weights.cross_entropy == 0:
        return loss
    entropy = functional.binary_cross_entropy_with_logits(logits, mask)
    return loss + weights.cross_entropy * entropy


def batch_dice_loss(probability: Tensor, mask: Tensor) -> Tensor:
    """One minus the Dice coefficient over all voxels together."""
    overlap = (probability * mask).sum()
    return 1 - (2 * overlap + _EPSILON) / (probability.sum() + mask.sum() + _EPSILON)


def recall_loss(probability: Tensor, mask: Tensor) -> Tensor:
    """One minus the Dice coefficient on nodule voxels alone, a mean over patches with a nodule.

    Each patch counts the same, so that a small nodule is not outvoted by a large one.
    """
    voxels = mask.sum((1, 2, 3))
    found = (probability * mask).sum((1, 2, 3))
    missing = 1 - (2 * found + _EPSILON) / (found + voxels + _EPSILON)
    return missing.sum() / (voxels > 0).sum().clamp(min=1)
