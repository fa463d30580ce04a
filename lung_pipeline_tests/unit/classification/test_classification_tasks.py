# SPDX-License-Identifier: Apache-2.0
"""Which crops are learned from and as what, and what a former model says of the hard ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from candidate_rows import ROWS
from torch import Tensor, nn

from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.classification.tasks import Task, hardness_of, malignancy_task, nodule_task
from lung_pipeline.crops.store import CropSet
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.errors import SettingError


def _crops() -> CropSet:
    """Each crop is filled with ten times its row number."""
    table = pd.DataFrame(ROWS, columns=["part", "is_nodule", "is_malignant"])
    table["is_malignant"] = table["is_malignant"].astype("boolean")
    table["diameter_mm"] = np.where(table["is_nodule"], 8.0 + table.index, np.nan)
    crops_hu = np.broadcast_to(
        np.arange(0, 10 * len(table), 10, dtype=np.int16)[:, None, None, None],
        (len(table), *CROP_SHAPE_IRC),
    )
    return CropSet((crops_hu,), table)


def _groups(task: Task) -> dict[str, tuple[list[int], float]]:
    return {name: (group.rows.tolist(), group.share) for name, group in task.train.items()}


def test_the_nodule_model_learns_nodules_from_the_rest_half_and_half() -> None:
    task = nodule_task(_crops(), ClassifierSettings())
    assert task.labels.tolist() == [1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0]
    assert _groups(task) == {"nodule": ([0, 1, 2], 0.5), "non-nodule": ([3, 10], 0.5)}
    assert task.validation.tolist() == [4, 5, 6, 7]
    assert task.names == ("non-nodule", "nodule")


def test_the_share_of_nodules_is_a_setting() -> None:
    groups = _groups(nodule_task(_crops(), ClassifierSettings(nodule_share=0.2)))
    assert [share for _, share in groups.values()] == pytest.approx([0.2, 0.8])


def test_the_malignancy_model_leaves_unrated_nodules_out() -> None:
    task = malignancy_task(_crops(), MalignancySettings())
    assert _groups(task) == {
        "malignant": ([0], 0.5),
        "benign": ([1], 0.25),
        "non-nodule": ([3, 10], 0.25),
    }
    assert np.flatnonzero(task.labels).tolist() == [0, 4, 8]
    assert task.validation.tolist() == [4, 5]
    assert task.names == ("benign", "malignant")


def test_the_shares_of_the_malignancy_model_are_settings_and_may_leave_nothing() -> None:
    halves = MalignancySettings(malignant_share=0.4, benign_share=0.6)
    assert _groups(malignancy_task(_crops(), halves))["non-nodule"][1] == pytest.approx(0)
    with pytest.raises(SettingError, match=r"0\.7 and 0\.6"):
        malignancy_task(_crops(), MalignancySettings(malignant_share=0.7, benign_share=0.6))


def test_no_test_patient_is_ever_drawn_or_looked_at() -> None:
    tasks = (
        nodule_task(_crops(), ClassifierSettings()),
        malignancy_task(_crops(), MalignancySettings()),
    )
    for task in tasks:
        seen = {*task.validation.tolist()}.union(*(g.rows.tolist() for g in task.train.values()))
        assert not seen & {8, 9}


class _BrightIsNodule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, crops_hu: Tensor) -> Tensor:
        mean = crops_hu.float().mean(dim=(1, 2, 3, 4)) * self.weight
        return torch.stack([torch.full_like(mean, 50.0), mean], dim=1)


def test_a_former_model_says_which_training_negatives_are_hard_and_of_nothing_else() -> None:
    hardness = hardness_of(_crops(), _BrightIsNodule())
    assert np.flatnonzero(~np.isnan(hardness)).tolist() == [3, 10]
    # Filled with 30 and 100, beside a logit of 50: surely no nodule, and surely one.
    assert hardness[[3, 10]] == pytest.approx([0.0, 1.0], abs=1e-6)
    others = nodule_task(_crops(), ClassifierSettings(hard_share=0.8), hardness).train["non-nodule"]
    (hard, hard_share), (easy, easy_share) = others.layers()
    assert (hard.tolist(), easy.tolist()) == ([10], [3])
    assert (hard_share, easy_share) == pytest.approx((0.4, 0.1))
