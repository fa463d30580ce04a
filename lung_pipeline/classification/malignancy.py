# SPDX-License-Identifier: Apache-2.0
"""The malignancy model: the nodule model's eyes with a new judgement.

Fine-tuning as in "Deep Learning with PyTorch", chapter 14: the head starts anew, and only it, or
it and the last block, learn; or everything does, from the nodule model's weights on.
"""

from __future__ import annotations

import copy
from pathlib import Path

from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.classification.settings import MalignancySettings
from lung_pipeline.classification.tasks import malignancy_task
from lung_pipeline.classification.training import train_classifier
from lung_pipeline.crops.store import CropSet
from lung_pipeline.errors import SettingError
from lung_pipeline.learning.epoch import Epoch
from lung_pipeline.learning.seeds import seeded
from lung_pipeline.learning.watching import SILENT, Watcher

HEAD, LAST_BLOCK, EVERYTHING = 1, 2, 3
"""How deep fine-tuning goes."""


def train_malignancy_model(
    nodule_model: CropNetwork,
    crops: CropSet,
    settings: MalignancySettings,
    watcher: Watcher = SILENT,
    checkpoint: Path | None = None,
) -> tuple[CropNetwork, list[Epoch]]:
    """Fine-tune a copy of the nodule model; returns the best epoch's model."""
    task = malignancy_task(crops, settings)
    seeded(settings.seed)
    model = prepare_for_fine_tuning(nodule_model, settings.depth)
    history = train_classifier(model, task, settings, watcher, checkpoint)
    return model.requires_grad_(requires_grad=True).eval(), history


def prepare_for_fine_tuning(nodule_model: CropNetwork, depth: int) -> CropNetwork:
    """A copy with a fresh head, in which only what is to learn wants gradients.

    Args:
        nodule_model: is left as it is.
        depth: 1 for the head, 2 for the last block and the head, 3 for everything.

    Raises:
        SettingError: another depth.
    """
    if depth not in (HEAD, LAST_BLOCK, EVERYTHING):
        raise SettingError(
            value=depth,
            place="setting 'depth' of the malignancy model",
            rule="the depth must be 1 (head), 2 (last block and head) or 3 (everything)",
            cure="Change the setting.",
        )
    model = copy.deepcopy(nodule_model).requires_grad_(depth == EVERYTHING)
    model.renew_head()
    if depth == LAST_BLOCK:
        model.last_block.requires_grad_(requires_grad=True)
    return model
