# SPDX-License-Identifier: Apache-2.0
"""The loss on patches small enough to add up by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lung_pipeline.segmentation.losses import RECALL_WEIGHT, dice_loss, segmentation_loss


def _patch(marked: int, of: int = 16) -> Tensor:
    """A 4 x 4 patch in which the first pixels are marked."""
    return (torch.arange(of) < marked).float().reshape(1, 1, 4, 4)


def _sure(marked: Tensor) -> Tensor:
    """Logits of a network that is sure of what it marks."""
    return 60 * marked - 30


@pytest.mark.parametrize("marked", [1, 4, 16])
def test_a_perfect_answer_costs_nothing(marked: int) -> None:
    mask = _patch(marked)
    assert segmentation_loss(_sure(mask), mask).item() == pytest.approx(0, abs=1e-5)


def test_leaving_an_empty_patch_alone_costs_nothing() -> None:
    assert segmentation_loss(_sure(_patch(0)), _patch(0)).item() == pytest.approx(0, abs=1e-5)


def test_marking_in_an_empty_patch_costs_and_stays_finite() -> None:
    # One minus (0 + 1) / (3 + 0 + 1).
    assert segmentation_loss(_sure(_patch(3)), _patch(0)).item() == pytest.approx(3 / 4)


def test_missing_all_four_pixels_costs_the_dice_loss_nine_times() -> None:
    # One minus (0 + 1) / (0 + 4 + 1), and again with the weight of the recall.
    found = segmentation_loss(_sure(_patch(0)), _patch(4)).item()
    assert found == pytest.approx(4 / 5 * (1 + RECALL_WEIGHT))


def test_marking_twice_too_much_costs_less_than_missing_half() -> None:
    too_much = segmentation_loss(_sure(_patch(8)), _patch(4)).item()
    too_little = segmentation_loss(_sure(_patch(2)), _patch(4)).item()
    assert too_much == pytest.approx(1 - 9 / 13)
    assert too_little == pytest.approx((1 + RECALL_WEIGHT) * (1 - 5 / 7))
    assert too_much < too_little


def test_half_a_probability_is_half_marked() -> None:
    mask = _patch(4)
    # 8 of 16 in sum, 2 of them on the nodule.
    expected = (1 - 5 / 13) + RECALL_WEIGHT * (1 - 5 / 7)
    assert segmentation_loss(torch.zeros_like(mask), mask).item() == pytest.approx(expected)


def test_a_batch_costs_the_mean_of_its_samples() -> None:
    logits = torch.cat([_sure(_patch(4)), _sure(_patch(0))])
    mask = torch.cat([_patch(4), _patch(4)])
    assert dice_loss(torch.sigmoid(logits), mask).tolist() == pytest.approx([0, 4 / 5], abs=1e-5)
    assert segmentation_loss(logits, mask).item() == pytest.approx(4 / 5 * 9 / 2, abs=1e-4)


def test_booleans_and_bfloat16_are_taken_as_they_come() -> None:
    loss = segmentation_loss(_sure(_patch(2)).bfloat16(), _patch(4).bool())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx((1 + RECALL_WEIGHT) * (1 - 5 / 7))
