# SPDX-License-Identifier: Apache-2.0
"""The batches the U-Net learns from: what settings, seed and epoch each change in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.segmentation.patches import REGION_SIZE, Region
from lung_pipeline.segmentation.regions import Regions
from lung_pipeline.segmentation.samples import patch_samples
from lung_pipeline.segmentation.settings import SegmentationSettings

STILL = SegmentationSettings(
    steps_per_epoch=5, batch_size=4, background_share=0.25, seed=3, **OFF.model_dump()
)


def _region(seed: int, *, is_nodule: bool) -> Region:
    """Noise, with every voxel marked or none, so that a patch tells of which kind it is."""
    shape = (2, REGION_SIZE, REGION_SIZE)
    noise = np.random.default_rng(seed).integers(-1000, 400, (8, *shape[1:]), dtype=np.int16)
    return Region(noise, np.full(shape, is_nodule))


REGIONS = Regions(
    [_region(1, is_nodule=True), _region(2, is_nodule=True)], [_region(3, is_nodule=False)]
)


def _epoch(epoch: int = 1, **changed: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """All slices and all truth of an epoch."""
    settings = STILL.model_copy(update=changed)
    batches = list(patch_samples(REGIONS, settings, torch.device("cpu"), epoch))
    slices_hu, masks = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return slices_hu, masks


def test_an_epoch_is_the_same_at_every_call() -> None:
    for first, again in zip(_epoch(), _epoch(), strict=True):
        assert torch.equal(first, again)


@pytest.mark.parametrize("other", [{"epoch": 2}, {"seed": 4}], ids=["epoch", "seed"])
def test_each_epoch_and_each_seed_has_its_own_patches(other: dict[str, int]) -> None:
    assert not torch.equal(_epoch()[0], _epoch(**other)[0])


@pytest.mark.parametrize(("share", "least", "most"), [(0, 0, 0), (0.2, 20, 60), (0.8, 140, 180)])
def test_the_share_without_a_nodule_is_the_one_that_was_set(
    share: float, least: int, most: int
) -> None:
    # Each patch of 200 by itself: 40 and 160, give or take three and a half deviations.
    _, masks = _epoch(background_share=share, steps_per_epoch=50)
    assert least <= int((~masks.flatten(1).any(1)).sum()) <= most


@pytest.mark.parametrize(
    "change",
    [
        {"mirror_rows": True},
        {"shift_rows": 4.0},
        {"scaling": 0.2},
        {"rotation_deg": 20.0},
        {"noise_hu": 25.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_settings_say_is_done_to_the_patches(change: dict[str, Any]) -> None:
    plain, changed = _epoch()[0].float(), _epoch(**change)[0].float()
    assert plain.shape == changed.shape
    assert not torch.equal(plain, changed)
