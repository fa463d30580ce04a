# SPDX-License-Identifier: Apache-2.0
"""A short training on a few synthetic regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lung_pipeline.errors import AnnotationError
from lung_pipeline.learning.epoch import Epoch
from lung_pipeline.segmentation.losses import LossWeights
from lung_pipeline.segmentation.patches import Region
from lung_pipeline.segmentation.regions import Regions, count_masks
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.segmentation.training import train_segmentation_model, validate_regions
from lung_pipeline.segmentation.unet import UNet

SETTINGS = SegmentationSettings(
    epochs=2, steps_per_epoch=6, batch_size=4, learning_rate=5e-3, background_share=0.25, seed=3
)

WEIGHTS = LossWeights(SETTINGS.recall_weight, SETTINGS.cross_entropy_weight)


def _region(seed: int, *, nodule: bool) -> Region:
    """Noisy lung of two slices, with a block of tissue in the middle or without."""
    slices = np.random.default_rng(seed).normal(-850, 30, (8, 96, 96)).astype(np.int16)
    mask = np.zeros((2, 96, 96), dtype=bool)
    if nodule:
        mask[:, 42:54, 42:54] = True
        slices[3:5][mask] = 20
    return Region(slices, mask)


def _regions(seed: int) -> Regions:
    return Regions(
        [_region(seed, nodule=True), _region(seed + 1, nodule=True)],
        [_region(seed + 2, nodule=False)],
    )


@pytest.fixture(scope="module")
def trained() -> tuple[UNet, list[Epoch]]:
    return train_segmentation_model(_regions(1), _regions(11), SETTINGS)


def test_training_lowers_the_loss(trained: tuple[UNet, list[Epoch]]) -> None:
    model, history = trained
    torch.manual_seed(SETTINGS.seed)
    untrained = validate_regions(UNet().eval(), _regions(11), WEIGHTS)
    assert not model.training
    assert history[-1].metrics["train/loss"] < 0.8 * history[0].metrics["train/loss"]
    best = min(epoch.metrics["validation/loss"] for epoch in history)
    assert best < 0.8 * untrained["validation/loss"]
    again = validate_regions(model, _regions(11), WEIGHTS)
    assert again["validation/loss"] == pytest.approx(best, rel=1e-3)


def test_one_seed_gives_one_model_to_the_bit(trained: tuple[UNet, list[Epoch]]) -> None:
    again, history = train_segmentation_model(_regions(1), _regions(11), SETTINGS)
    assert [epoch.metrics for epoch in history] == [epoch.metrics for epoch in trained[1]]
    weights = trained[0].state_dict()
    assert all(torch.equal(weights[name], value) for name, value in again.state_dict().items())


def test_the_loss_has_the_weights_of_the_settings() -> None:
    uneven = SETTINGS.model_copy(
        update={"epochs": 1, "recall_weight": 0.0, "cross_entropy_weight": 5.0}
    )
    model, [epoch] = train_segmentation_model(_regions(1), _regions(11), uneven)
    again = validate_regions(model, _regions(11), LossWeights(recall=0.0, cross_entropy=5.0))
    assert epoch.metrics["validation/loss"] == pytest.approx(again["validation/loss"], rel=1e-3)


class _MarksACorner(nn.Module):
    """Sure of the first voxel of each patch, which is in no nodule."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(self, slices_hu: Tensor) -> Tensor:
        logits = torch.full_like(slices_hu[:, 3:4], -30.0)
        logits[:, :, 0, 0] = 30.0
        return logits


def test_a_mark_beside_a_nodule_has_not_found_it() -> None:
    assert validate_regions(_MarksACorner(), _regions(1), WEIGHTS)["validation/nodule_recall"] == 0


def test_background_is_optional_and_nodules_are_not() -> None:
    short = SETTINGS.model_copy(update={"epochs": 1, "steps_per_epoch": 1, "batch_size": 1})
    only_nodules = Regions([_region(1, nodule=True)], [])
    assert len(train_segmentation_model(only_nodules, only_nodules, short)[1]) == 1
    only_background = Regions([], [_region(1, nodule=False)])
    with pytest.raises(AnnotationError, match="the training part must have at least one nodule"):
        train_segmentation_model(only_background, only_nodules, short)
    with pytest.raises(AnnotationError, match="the validation part must have at least one nodule"):
        train_segmentation_model(only_nodules, only_background, short)


def test_masks_are_counted_over_all_parts_by_how_they_came_about() -> None:
    parts = [Regions([], [], 5, 2), Regions([], [], 1, 3), Regions([], [])]
    assert count_masks(*parts) == {"masks_from_contours": 6, "masks_grown": 5}


@pytest.mark.parametrize("level", [-0.1, 1.1])
def test_level_of_consensus_outside_its_range_is_refused(level: float) -> None:
    with pytest.raises(ValidationError, match="consensus_level"):
        SegmentationSettings(consensus_level=level)
    assert SegmentationSettings().consensus_level == 0.5
    assert SegmentationSettings(consensus_level=1).consensus_level == 1


class _Dense(nn.Module):
    """Marks what is denser than lung in the middle slice, and one voxel more."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, slices_hu: Tensor) -> Tensor:
        logits = slices_hu[:, 3:4] + 500
        logits[:, :, 0, 0] = 30
        return logits


def test_validation_counts_voxels_and_nodules_over_whole_regions() -> None:
    figures = validate_regions(_Dense(), _regions(1), WEIGHTS)
    # Two regions of two slices of 12 x 12 found; one voxel too much in each of six slices.
    assert figures["validation/voxel/recall"] == 1
    assert figures["validation/voxel/precision"] == pytest.approx(576 / 582)
    assert figures["validation/nodule_recall"] == 1
    # All slices together: 576 found of 576, 582 marked; nothing missed.
    dice = 1 - (2 * 576 + 1) / (582 + 576 + 1)
    # Each of the six, at a logit of 30, costs 30 in the mean over six slices of 96 x 96.
    expected = dice + 6 * 30 / (6 * 96 * 96)
    assert figures["validation/loss"] == pytest.approx(expected, abs=1e-4)
