# SPDX-License-Identifier: Apache-2.0
"""Batches of crops: their labels, their order, and that workers change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.classification.samples import CropSamples
from lung_pipeline.classification.settings import ClassifierSettings
from lung_pipeline.classification.tasks import nodule_task
from lung_pipeline.crops.augmentation_draw import draw
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.frame import CLOSE_UP_MM
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
    return _written(folder, table, filled[:, None, None, None])


def _ramps(folder: Path) -> CropSet:
    """The same rows; each voxel holds the number of its column."""
    table = _crops(folder.with_name("subset1")).index
    return _written(folder, table, np.arange(CROP_SHAPE_IRC[2]))


def _written(folder: Path, table: pd.DataFrame, values: np.ndarray) -> CropSet:
    def cut(rows: pd.DataFrame) -> np.ndarray:
        return np.broadcast_to(values.astype(np.int16), (len(rows), *CROP_SHAPE_IRC))

    write_crops(folder, table, cut, {"stage": "test"})
    return open_crops([folder])


def _epoch(crops: CropSet, settings: ClassifierSettings, number: int) -> list[list[torch.Tensor]]:
    with CropSamples(nodule_task(crops, settings), settings, CPU, CropNetwork()) as samples:
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


@pytest.mark.parametrize(
    "effect",
    [
        {"mirror_columns": True},
        {"shift_columns": 3.0},
        {"scaling": 0.2},
        {"rotation_deg": 90.0},
        {"noise_hu": 20.0},
    ],
    ids=lambda effect: next(iter(effect)),
)
def test_what_the_settings_say_is_done_to_the_crops(
    tmp_path: Path, effect: dict[str, object]
) -> None:
    crops = _ramps(tmp_path / "subset0")
    still = ClassifierSettings(**SHORT, **OFF.model_dump())
    moved = still.model_copy(update=effect)
    plain, changed = (_epoch(crops, settings, 1)[0] for settings in (still, moved))
    assert torch.equal(plain[1], changed[1])
    assert not torch.equal(plain[0], changed[0])


class _Near(CropNetwork):
    """Sees close-ups."""

    sees_close_ups = True
    close_up_irc = (8, 16, 16)


def test_words_come_with_how_large_each_nodule_is_shown(tmp_path: Path) -> None:
    settings = ClassifierSettings(**SHORT, **{**OFF.model_dump(), "scaling": 0.2})
    crops = _crops(tmp_path / "subset0")
    task = replace(nodule_task(crops, settings), said=np.arange(12.0)[:, None])
    with CropSamples(task, settings, CPU, CropNetwork()) as samples:
        crops_hu, _, words, scale = next(iter(samples.epoch(1)))
        again = next(iter(samples.epoch(1)))[-1]
    drawn = draw(4, seeded_for(settings.seed, 1), settings).scale
    assert len(set(drawn)) == 4
    np.testing.assert_allclose(scale.numpy(), drawn, rtol=1e-6)
    assert torch.equal(again, scale)
    # A nodule is of 100 HU and its row's number, another of its row's number.
    row = words[:, 0]
    assert torch.equal(crops_hu.mean(dim=(1, 2, 3, 4)), row + 100 * (row % 2 == 0))


def test_a_network_that_sees_close_ups_is_given_each_crop_by_its_own_spacing(
    tmp_path: Path,
) -> None:
    settings = ClassifierSettings(**SHORT, **OFF.model_dump())
    crops, network = _ramps(tmp_path / "subset0"), _Near()
    spacing = np.linspace(0.5, 1, 12)[:, None] * np.array([1.0, 0.8, 0.6])
    said = np.arange(12.0)[:, None]
    task = replace(nodule_task(crops, settings), said=said, spacing_irc_mm=spacing)
    with CropSamples(task, settings, CPU, network) as samples:
        crops_hu, _, words, _ = next(iter(samples.epoch(1)))
    rows = words[:, 0].long().numpy()
    assert crops_hu.shape == (4, 1, *network.close_up_irc)
    # Columns of a ramp of 1 HU a column, so wide apart as a voxel of the close-up is.
    found = (crops_hu[:, 0, 4, 8, 9] - crops_hu[:, 0, 4, 8, 8]).numpy()
    np.testing.assert_allclose(found, CLOSE_UP_MM / 16 / spacing[rows, 2], rtol=1e-4)


def test_close_ups_without_the_spacing_are_refused(tmp_path: Path) -> None:
    settings = ClassifierSettings(**SHORT, **OFF.model_dump())
    task = nodule_task(_crops(tmp_path / "subset0"), settings)
    with (
        CropSamples(task, settings, CPU, _Near()) as samples,
        pytest.raises(ValueError, match="needs the voxels' spacing"),
    ):
        next(iter(samples.epoch(1)))
