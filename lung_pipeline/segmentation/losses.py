# SPDX-License-Identifier: Apache-2.0
"""Dice loss with a recall term: missing a nodule voxel costs more than marking one too many.

From "Deep Learning with PyTorch", chapter 13; the Dice loss after Milletari et al. 2016
(arXiv 1606.04797).
"""

from __future__ import annotations

import torch
from torch import Tensor

RECALL_WEIGHT = 8.0
"""Weight of the loss on nodule voxels alone: they are about 1 in 100 of a patch."""

_EPSILON = 1.0
"""Keeps a patch without nodule finite: marking nothing there costs nothing."""


def segmentation_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean over the batch of Dice loss plus ``RECALL_WEIGHT`` times that on nodule voxels.

    Args:
        logits: (batch, 1, row, column).
        mask: truth, 0 or 1, same shape.
    """
    probability = torch.sigmoid(logits.float())
    mask = mask.float()
    return (
        dice_loss(probability, mask) + RECALL_WEIGHT * dice_loss(probability * mask, mask)
    ).mean()


def dice_loss(probability: Tensor, mask: Tensor) -> Tensor:
    """One minus the Dice coefficient of each sample, shape (batch,)."""
    every = (1, 2, 3)
    overlap = (probability * mask).sum(every)
    sizes = probability.sum(every) + mask.sum(every)
    return 1 - (2 * overlap + _EPSILON) / (sizes + _EPSILON)
