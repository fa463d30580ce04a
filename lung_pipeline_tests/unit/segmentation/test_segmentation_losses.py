# SPDX-License-Identifier: Apache-2.0
"""The loss on patches small enough to add up by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lung_pipeline.segmentation.losses import (
    LossWeights,
    batch_dice_loss,
    recall_loss,
    segmentation_loss,
)

SURE = 50.0
"""A logit whose sigmoid is 0 or 1 to the last bit that matters."""


def _patch(num_marked: int) -> Tensor:
    """One patch of 4 x 4 with so many pixels marked, from the top left."""
    flat = torch.zeros(16)
    flat[:num_marked] = 1
    return flat.reshape(1, 1, 4, 4)


def _sure(mask: Tensor) -> Tensor:
    """Logits that mark exactly a mask."""
    return (mask * 2 - 1) * SURE


def _batch(*patches: Tensor) -> Tensor:
    return torch.cat(patches)


@pytest.mark.parametrize("mask", [_patch(4), _patch(0), _batch(_patch(1), _patch(0), _patch(16))])
def test_a_perfect_answer_costs_nothing(mask: Tensor) -> None:
    assert segmentation_loss(_sure(mask), mask, LossWeights(8.0)).item() == pytest.approx(
        0, abs=1e-5
    )


def test_three_pixels_marked_where_there_is_no_nodule_cost_three_quarters() -> None:
    # 1 - (0 + 1) / (3 + 0 + 1), and no recall term.
    assert segmentation_loss(_sure(_patch(3)), _patch(0), LossWeights(8.0)).item() == pytest.approx(
        3 / 4
    )


def test_missing_four_pixels_costs_the_dice_loss_and_the_recall_term() -> None:
    # Both are 1 - 1 / (0 + 4 + 1).
    found = segmentation_loss(_sure(_patch(0)), _patch(4), LossWeights(8.0)).item()
    assert found == pytest.approx(4 / 5 * (1 + 8))


def test_missing_half_costs_more_than_marking_as_much_too_much() -> None:
    too_much = segmentation_loss(_sure(_patch(8)), _patch(4), LossWeights(2.0)).item()
    too_little = segmentation_loss(_sure(_patch(2)), _patch(4), LossWeights(2.0)).item()
    assert too_much == pytest.approx(1 - 9 / 13)
    assert too_little == pytest.approx((1 - 5 / 7) * (1 + 2))
    assert too_little > too_much


def test_dice_is_taken_over_the_batch() -> None:
    # Overlap 4; marked 4 + 6, truth 4 + 0: 1 - (8 + 1) / (10 + 4 + 1).
    probability, mask = _batch(_patch(4), _patch(6)), _batch(_patch(4), _patch(0))
    assert batch_dice_loss(probability, mask).item() == pytest.approx(1 - 9 / 15)


def test_a_small_missed_nodule_counts_as_much_as_a_large_one() -> None:
    # Each missed patch: 1 - 1 / (n + 1); the patch without a nodule does not thin the mean.
    mask = _batch(_patch(1), _patch(16), _patch(0))
    found = recall_loss(torch.zeros_like(mask), mask).item()
    assert found == pytest.approx((1 / 2 + 16 / 17) / 2)


def test_marking_a_background_patch_keeps_its_gradient_however_much_is_marked() -> None:
    """Taken patch by patch, Dice is flat where much is marked: why it is taken over the batch."""
    mask = torch.zeros(4, 1, 64, 64)
    mask[:3, :, :5, :8] = 1
    logits = torch.zeros_like(mask).requires_grad_()
    (over_batch,) = torch.autograd.grad(batch_dice_loss(torch.sigmoid(logits), mask), logits)
    of_patch = torch.sigmoid(logits[3:])
    (alone,) = torch.autograd.grad(batch_dice_loss(of_patch, mask[3:]) / 4, logits)
    # 121 / 8313^2 beside 1 / 2049^2 / 4: both worked by hand from the quotient rule.
    assert (over_batch[3] / alone[3]).mean().item() == pytest.approx(29.4, abs=0.2)


def test_bfloat16_logits_and_boolean_masks_are_added_up_in_float32() -> None:
    loss = segmentation_loss(_sure(_patch(2)).bfloat16(), _patch(4).bool(), LossWeights(2.0))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx((1 + 2) * (1 - 5 / 7))


def test_coarse_heads_weigh_half_of_the_finer_ones_and_all_together_one() -> None:
    # Of four true pixels the heads mark 4, 0 and 16: losses 0, (1 - 1/5) * 3 and 1 - 9/21, with
    # weights 4/7, 2/7 and 1/7.
    heads = torch.cat([_sure(_patch(marked)) for marked in (4, 0, 16)], dim=1)
    found = segmentation_loss(heads, _patch(4), LossWeights(2.0)).item()
    assert found == pytest.approx((2 * 2.4 + 12 / 21) / 7, abs=1e-5)


def test_heads_that_agree_cost_what_one_of_them_costs() -> None:
    one = _sure(_patch(2))
    alone = segmentation_loss(one, _patch(4), LossWeights(2.0))
    assert segmentation_loss(
        torch.cat([one] * 3, dim=1), _patch(4), LossWeights(2.0)
    ).item() == pytest.approx(alone.item())
    probability, mask = torch.sigmoid(one), _patch(4)
    plain = batch_dice_loss(probability, mask) + 2.0 * recall_loss(probability, mask)
    assert torch.equal(alone, plain)


def test_the_cross_entropy_is_a_mean_over_all_voxels_and_weighs_as_asked() -> None:
    mask = _patch(4)
    logits = torch.zeros_like(mask, dtype=torch.float32)
    plain = segmentation_loss(logits, mask, LossWeights(2.0)).item()
    with_entropy = segmentation_loss(logits, mask, LossWeights(2.0, cross_entropy=0.5)).item()
    # At a probability of 1/2 each voxel costs log 2, whatever the truth.
    assert with_entropy - plain == pytest.approx(0.5 * math.log(2), rel=1e-5)
