# SPDX-License-Identifier: Apache-2.0
"""The malignancy model: the nodule model's eyes with a new judgement.

Fine-tuning as in "Deep Learning with PyTorch", chapter 14: the head starts anew, and only it, or
it and the last block, learn; or everything does, from the nodule model's weights on. Or the eyes
are taught what readers say of a nodule, and the judgement follows from that (``described.py``).
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.classification.described import DescribingClassifier, describing_loss
from lung_pipeline.classification.inference import Spacings
from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.classification.settings import MalignancySettings
from lung_pipeline.classification.tasks import Task, malignancy_task
from lung_pipeline.classification.training import train_classifier
from lung_pipeline.classification.validation import validate_describing
from lung_pipeline.crops.store import CropSet
from lung_pipeline.errors import AnnotationError, SettingError
from lung_pipeline.learning.epoch import Epoch
from lung_pipeline.learning.seeds import seeded
from lung_pipeline.learning.watching import SILENT, Watcher

if TYPE_CHECKING:
    import pandas as pd

HEAD, LAST_BLOCK, EVERYTHING = 1, 2, 3
"""How deep fine-tuning goes."""


def train_malignancy_model(
    nodule_model: CropNetwork,
    crops: CropSet,
    settings: MalignancySettings,
    watcher: Watcher = SILENT,
    checkpoint: Path | None = None,
    said: pd.DataFrame | None = None,
    spacing_irc_mm: Spacings | None = None,
) -> tuple[CropNetwork, list[Epoch]]:
    """Fine-tune a copy of the nodule model; returns the best epoch's model.

    Args:
        nodule_model: is left as it is.
        crops: all crops.
        settings: how long, how deep, and by what malignant is told.
        watcher: told each epoch and step.
        checkpoint: where the state is kept.
        said: what the readers said of each crop, as ``annotations.characteristics.described``
            gives it; needed where the settings say so.
        spacing_irc_mm: of each crop's voxels, shape (n, 3); needed beside what is said.

    Raises:
        AnnotationError: no training nodule has a characteristic that is to be learned.
        ValueError: readers' words without the spacing.
    """
    task = malignancy_task(crops, settings)
    seeded(settings.seed)
    model = prepare_for_fine_tuning(nodule_model, settings.depth)
    learning: dict[str, Any] = {}
    if settings.judged_by == "characteristics":
        model, task = taught_words(model, task, said, spacing_irc_mm)
        weight = settings.characteristics_weight
        learning = {
            "loss": partial(describing_loss, weight=weight),
            "validate": partial(validate_describing, weight=weight),
        }
    history = train_classifier(model, task, settings, watcher, checkpoint, **learning)
    return model.requires_grad_(requires_grad=True).eval(), history


def taught_words(
    eyes: CropNetwork,
    task: Task,
    said: pd.DataFrame | None,
    spacing_irc_mm: Spacings | None,
) -> tuple[DescribingClassifier, Task]:
    """A model that says what it sees, and the task with what it is to say.

    Args:
        eyes: what looks; becomes part of the model.
        task: malignant or not.
        said: what the readers said of each crop, one column a characteristic.
        spacing_irc_mm: of each crop's voxels, shape (n, 3).

    Raises:
        AnnotationError: no training nodule has a characteristic that is to be learned.
        ValueError: readers' words without the spacing.
    """
    learned_from = np.concatenate([group.rows for group in task.train.values()])
    columns = {} if said is None else {str(name): said[name].to_numpy() for name in said}
    to_learn = {name: values[learned_from] for name, values in columns.items()}
    unknown = [name for name, values in to_learn.items() if not np.isfinite(values).any()]
    if unknown or not to_learn:
        raise AnnotationError(
            value=f"no nodule with {', '.join(unknown) or 'any characteristic'}",
            place="training crops",
            rule="a model that judges by characteristics needs readers who gave them",
            cure="Put LIDC's XML below raw/ and ingest again, or say judged_by: picture.",
        )
    if spacing_irc_mm is None:
        raise ValueError("who learns what readers said of a nodule must know its voxels' size")
    model = DescribingClassifier.seeing_with(eyes, to_learn)
    words = np.stack(list(columns.values()), axis=1)
    return model, replace(task, said=words, spacing_irc_mm=spacing_irc_mm)


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
