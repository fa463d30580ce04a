# SPDX-License-Identifier: Apache-2.0
"""Which crops are learned from and as what, and a short training and fine-tuning."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from candidate_rows import ROWS

from lung_pipeline.classification.malignancy import (
    prepare_for_fine_tuning,
    train_malignancy_model,
)
from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.classification.training import train_nodule_model
from lung_pipeline.crops.store import CropSet
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.errors import AnnotationError, SettingError

SHORT = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4, "seed": 3}


def _crops(rows: list[tuple[str, bool, bool | None]] | None = None) -> CropSet:
    """Nodules have a block of tissue in the middle, malignant ones a larger block."""
    table = pd.DataFrame(rows or ROWS, columns=["part", "is_nodule", "is_malignant"])
    table["is_malignant"] = table["is_malignant"].astype("boolean")
    table["diameter_mm"] = np.where(table["is_nodule"], 8.0, np.nan)
    table["patient_id"] = [f"patient{row}" for row in table.index]
    voxels = np.random.default_rng(1).normal(-850, 30, (len(table), *CROP_SHAPE_IRC))
    crops_hu = voxels.astype(np.int16)
    for crop, is_nodule, is_malignant in zip(
        crops_hu, table["is_nodule"], table["is_malignant"].fillna(value=False), strict=True
    ):
        half = (9 if is_malignant else 5) * int(is_nodule)
        crop[16 - half : 16 + half, 24 - half : 24 + half, 24 - half : 24 + half] = 30
    # Two subsets, so that rows are looked up and not only counted.
    return CropSet((crops_hu[:4], crops_hu[4:]), table)


def _without(*left_out: int) -> list[tuple[str, bool, bool | None]]:
    return [row for number, row in enumerate(ROWS) if number not in left_out]


def test_a_short_training_is_repeated_by_its_seed_to_the_bit() -> None:
    settings = ClassifierSettings(**SHORT, learning_rate=3e-3)
    (one, history), (again, repeated) = (train_nodule_model(_crops(), settings) for _ in range(2))
    assert [e.metrics for e in history] == [e.metrics for e in repeated]
    weights = again.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in one.state_dict().items())
    assert not one.training


@pytest.mark.parametrize("missing", [(4, 5, 6, 7), (0, 1, 2), (3, 10)])
def test_training_without_a_group_or_without_validation_is_refused(
    missing: tuple[int, ...],
) -> None:
    crops = _crops()
    kept = crops.index.drop(list(missing)).reset_index(drop=True)
    voxels = crops.read(crops.index.drop(list(missing)).index.to_numpy())
    with pytest.raises(AnnotationError):
        train_nodule_model(CropSet((voxels,), kept), ClassifierSettings(**SHORT))


def test_malignancy_without_rated_validation_nodules_is_refused() -> None:
    with pytest.raises(AnnotationError, match=r"^validation crops"):
        train_malignancy_model(
            CropClassifier(), _crops(_without(4, 5)), MalignancySettings(**SHORT)
        )


@pytest.mark.parametrize(
    ("depth", "learning"),
    [(1, ("head.",)), (2, ("head.", "backbone.3.")), (3, ("head.", "backbone.", "tail."))],
)
def test_fine_tuning_changes_its_parts_and_leaves_the_frozen_to_the_bit(
    depth: int, learning: tuple[str, ...]
) -> None:
    torch.manual_seed(1)
    nodule_model = CropClassifier()
    nodule_model.tail.running_mean.fill_(-800)
    nodule_model.tail.running_var.fill_(200**2)
    before = {name: value.clone() for name, value in nodule_model.state_dict().items()}
    settings = MalignancySettings(**SHORT, depth=depth)
    model, history = train_malignancy_model(nodule_model, _crops(), settings)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith(learning)}
    # The nodule model itself is not touched, and the new one can be trained on.
    untouched = nodule_model.state_dict()
    assert all(torch.equal(before[name], untouched[name]) for name in before)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert len(history) == 2


def test_the_head_starts_anew() -> None:
    torch.manual_seed(1)
    nodule_model = CropClassifier()
    prepared = prepare_for_fine_tuning(nodule_model, 1)
    assert not torch.equal(prepared.head.weight, nodule_model.head.weight)
    wanting = {name for name, p in prepared.named_parameters() if p.requires_grad}
    assert wanting == {"head.weight", "head.bias"}


@pytest.mark.parametrize("depth", [0, 4, -1])
def test_another_depth_is_refused(depth: int) -> None:
    with pytest.raises(SettingError, match=r"must be 1 \(head\), 2"):
        prepare_for_fine_tuning(CropClassifier(), depth)
