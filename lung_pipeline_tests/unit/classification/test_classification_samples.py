# SPDX-License-Identifier: Apache-2.0
"""Batches of crops: their labels, their order, and that workers change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lung_pipeline.classification.samples import CropSamples
from lung_pipeline.classification.settings import ClassifierSettings
from lung_pipeline.classification.tasks import nodule_task
from lung_pipeline.crops.augmentation_draw import draw
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.store import CropSet, open_crops, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.learning.seeds import seeded_for

CPU = torch.device("cpu")
SHORT = {"steps_per_epoch": 3, "batch_size": 4, "seed": 5}


def _crops(folder: Path) -> CropSet:
    """Nodules are 100 HU and more, others below; one of each is for validation."""
    is_nodule = np.arange(12) % 2 == 0
    table = pd.DataFrame(
        {
            "series_uid": ["one"] * 12,
            "is_nodule": is_nodule,
            "part": ["train"] * 10 + ["validation"] * 2,
        }
    )
    filled = np.where(is_nodule, 100, 0) + np.arange(12)

    def cut(rows: pd.DataFrame) -> np.ndarray:
        return np.broadcast_to(
            filled[:, None, None, None].astype(np.int16), (len(rows), *CROP_SHAPE_IRC)
        )

    write_crops(folder, table, cut, {"stage": "test"})
    return open_crops([folder])


def _epoch(crops: CropSet, settings: ClassifierSettings, number: int) -> list[list[torch.Tensor]]:
    with CropSamples(nodule_task(crops, settings), settings, CPU) as samples:
        return [[part.clone() for part in batch] for batch in samples.epoch(number)]


def test_each_crop_comes_with_its_own_label_half_and_half(tmp_path: Path) -> None:
    settings = ClassifierSettings(**SHORT, **OFF.model_dump())
    batches = _epoch(_crops(tmp_path / "subset0"), settings, 1)
    assert len(batches) == 3
    for crops_hu, labels in batches:
        assert crops_hu.shape == (4, 1, *CROP_SHAPE_IRC)
        assert labels.sum() == 2
        assert torch.equal(crops_hu.amax(dim=(1, 2, 3, 4)) >= 100, labels == 1)


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_an_epoch_follows_from_seed_and_number_whatever_the_workers(
    tmp_path: Path, num_workers: int
) -> None:
    crops = _crops(tmp_path / "subset0")
    first = _epoch(crops, ClassifierSettings(**SHORT), 2)
    again = _epoch(crops, ClassifierSettings(**SHORT, num_workers=num_workers), 2)
    other = _epoch(crops, ClassifierSettings(**SHORT), 3)
    for one, two in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(first[0][0], other[0][0])


def test_a_crop_that_was_made_larger_has_smaller_voxels(tmp_path: Path) -> None:
    """What was said of a crop stays; its spacing is divided by what was drawn for it."""
    settings = ClassifierSettings(**SHORT, **{**OFF.model_dump(), "scaling": 0.2})
    said, spacing = np.arange(12.0)[:, None], np.arange(1, 13)[:, None] * np.array([1.0, 2.0, 3.0])
    crops = _crops(tmp_path / "subset0")
    task = replace(nodule_task(crops, settings), said=said, spacing_irc_mm=spacing)
    with CropSamples(task, settings, CPU) as samples:
        _, _, words, seen = next(iter(samples.epoch(1)))
        again = next(iter(samples.epoch(1)))[-1]
    drawn = draw(4, seeded_for(settings.seed, 1), settings).scale
    assert len(set(drawn)) == 4
    expected = spacing[words[:, 0].long().numpy()] / drawn[:, None]
    np.testing.assert_allclose(seen.numpy(), expected, rtol=1e-6)
    assert torch.equal(again, seen)
