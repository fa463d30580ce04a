# SPDX-License-Identifier: Apache-2.0
"""Dice loss over a batch, with a recall term: missing a nodule costs more than marking too much.

After "Deep Learning with PyTorch", chapter 13 (Dice loss: Milletari et al. 2016, arXiv 1606.04797),
with two changes that were measured on phantoms (docs/results.md). There the Dice loss is taken of
each patch, and of a patch without a nodule it hardly falls until almost nothing is marked, so that
learning rests at marking everything dense; here it is taken over the batch, as nnU-Net does
(Isensee et al. 2021). And there the recall term weighs 8; here its weight is a setting.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1.0
"""Keeps a batch without nodule finite: marking nothing there costs nothing."""


def segmentation_loss(logits: Tensor, mask: Tensor, recall_weight: float) -> Tensor:
    """Dice loss over all voxels, plus the recall term of the patches that have a nodule.

    Args:
        logits: (batch, 1, row, column).
        mask: truth, 0 or 1, same shape.
        recall_weight: how much the recall term weighs; the Dice loss weighs 1.
    """
    probability = torch.sigmoid(logits.float())
    mask = mask.float()
    return batch_dice_loss(probability, mask) + recall_weight * recall_loss(probability, mask)


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
