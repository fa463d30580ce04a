# SPDX-License-Identifier: Apache-2.0
"""The malignancy model: the nodule model's eyes with a new judgement.

Fine-tuning as in "Deep Learning with PyTorch", chapter 14: the head starts anew, and only it, or
it and the last block, learn. Half of each batch is malignant, a quarter benign and a quarter no
nodule at all, so that what the segmentation marks by mistake is not called malignant.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.classification.settings import MalignancySettings
from lung_pipeline.classification.training import Task, train_classifier
from lung_pipeline.crops.sampling import Group
from lung_pipeline.crops.store import CropSet
from lung_pipeline.errors import SettingError
from lung_pipeline.learning.epoch import Epoch
from lung_pipeline.learning.seeds import seeded


def train_malignancy_model(
    nodule_model: CropClassifier,
    crops: CropSet,
    settings: MalignancySettings,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
) -> tuple[CropClassifier, list[Epoch]]:
    """Fine-tune a copy of the nodule model; returns the best epoch's model."""
    seeded(settings.seed)
    model = prepare_for_fine_tuning(nodule_model, settings.depth)
    history = train_classifier(model, malignancy_task(crops), settings, on_epoch, checkpoint)
    return model.requires_grad_(requires_grad=True).eval(), history


def prepare_for_fine_tuning(nodule_model: CropClassifier, depth: int) -> CropClassifier:
    """A copy with a fresh head, in which only the last ``depth`` parts want gradients.

    Raises:
        SettingError: a depth other than 1 (head) or 2 (last block and head).
    """
    if depth not in (1, 2):
        raise SettingError(
            value=depth,
            place="setting 'depth' of the malignancy model",
            rule="the depth of fine-tuning must be 1 (head) or 2 (last block and head)",
            cure="Change the setting.",
        )
    model = copy.deepcopy(nodule_model).requires_grad_(requires_grad=False)
    model.head = CropClassifier(**model.architecture).head
    if depth == 2:
        model.backbone[-1].requires_grad_(requires_grad=True)
    return model


def malignancy_task(crops: CropSet) -> Task:
    """Malignant or not; nodules without ratings are left out.

    Validation is on rated nodules alone: telling malignant from benign is the figure wanted.
    """
    index = crops.index
    is_nodule = index["is_nodule"].to_numpy(dtype=bool)
    is_rated = is_nodule & index["is_malignant"].notna().to_numpy()
    is_malignant = is_rated & index["is_malignant"].fillna(value=False).to_numpy(dtype=bool)
    in_train = (index["part"] == "train").to_numpy()
    in_validation = (index["part"] == "validation").to_numpy()
    return Task(
        crops,
        is_malignant.astype(np.int64),
        {
            "malignant": Group(np.flatnonzero(in_train & is_malignant), 0.5),
            "benign": Group(np.flatnonzero(in_train & is_rated & ~is_malignant), 0.25),
            "non-nodule": Group(np.flatnonzero(in_train & ~is_nodule), 0.25),
        },
        np.flatnonzero(in_validation & is_rated),
    )
