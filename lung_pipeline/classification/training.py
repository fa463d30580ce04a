# SPDX-License-Identifier: Apache-2.0
"""Train the nodule classifier on crops with balanced batches.

The malignancy model is the same loop with other groups, other labels and most weights frozen
(``malignancy.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.classification.inference import classify
from lung_pipeline.classification.network import CropClassifier, fast_layout
from lung_pipeline.classification.settings import ClassifierSettings
from lung_pipeline.crops import augmentation
from lung_pipeline.crops.sampling import Group, Rows, balanced_batches
from lung_pipeline.crops.store import CropSet
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import AnnotationError
from lung_pipeline.learning.device import pick_device
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Epoch
from lung_pipeline.learning.loop import fit
from lung_pipeline.learning.metrics import Confusion
from lung_pipeline.learning.seeds import seeded, seeded_for

CropBatch = tuple[Tensor, ...]
"""Crops in HU (batch, 1, 32, 48, 48) and labels (batch,)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be told apart, in rows of a crop table."""

    crops: CropSet
    """All crops."""

    labels: npt.NDArray[np.int64]
    """0 or 1 for each crop."""

    train: Mapping[str, Group]
    """Groups of training crops with their shares of a batch."""

    validation: Rows
    """Crops of patients that are not trained on."""


def nodule_task(crops: CropSet) -> Task:
    """Nodule or not: half of each batch nodules, half candidates that are none."""
    index = crops.index
    is_nodule = index["is_nodule"].to_numpy(dtype=bool)
    in_train = (index["part"] == "train").to_numpy()
    return Task(
        crops,
        is_nodule.astype(np.int64),
        {
            "nodule": Group(np.flatnonzero(in_train & is_nodule), 0.5),
            "non-nodule": Group(np.flatnonzero(in_train & ~is_nodule), 0.5),
        },
        np.flatnonzero((index["part"] == "validation").to_numpy()),
    )


def train_classifier(
    model: CropClassifier,
    task: Task,
    settings: ClassifierSettings,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
) -> list[Epoch]:
    """Train the parameters that want gradients; the model ends with its best epoch's weights.

    Args:
        model: changed in place.
        task: what is told apart.
        settings: how long, how fast, from which seed.
        on_epoch: told each epoch as it ends.
        checkpoint: where the state is kept, so that an interrupted training goes on.

    Raises:
        AnnotationError: a group of training crops, or the validation part, is empty.
    """
    if len(task.validation) == 0:
        raise AnnotationError(
            value="no crop",
            place="validation crops",
            rule="there must be at least one, to choose the epoch by",
            cure="Add subsets that have such candidates, or check the ratings and the split.",
        )
    device = pick_device(settings.device)
    fast_layout(model.to(device))

    def batches(epoch: int) -> Iterator[CropBatch]:
        rng = seeded_for(settings.seed, epoch)
        drawn = balanced_batches(
            task.train,
            batch_size=settings.batch_size,
            num_batches=settings.steps_per_epoch,
            rng=rng,
        )
        for rows in drawn:
            crops_hu = torch.from_numpy(task.crops.read(rows))[:, None].to(device).float()
            turned = augmentation.apply(crops_hu, augmentation.draw(len(rows), rng, settings))
            yield turned, torch.from_numpy(task.labels[rows]).to(device)

    validation_crops = task.crops.read(task.validation)
    validation_labels = task.labels[task.validation]
    return fit(
        model,
        settings.schedule(),
        batches=batches,
        loss=crop_loss,
        validate=lambda trained: validate_classifier(trained, validation_crops, validation_labels),
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )


def train_nodule_model(
    crops: CropSet,
    settings: ClassifierSettings,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
) -> tuple[CropClassifier, list[Epoch]]:
    """Train the nodule model from random weights; returns the best epoch's model."""
    seeded(settings.seed)
    model = CropClassifier()
    history = train_classifier(model, nodule_task(crops), settings, on_epoch, checkpoint)
    return model.eval(), history


def crop_loss(model: nn.Module, batch: CropBatch) -> Tensor:
    """The mean cross entropy over a batch of crops."""
    crops_hu, labels = batch
    return functional.cross_entropy(model(crops_hu).float(), labels)


def validate_classifier(
    model: nn.Module, crops_hu: VoxelsHu, labels: npt.NDArray[np.int64]
) -> dict[str, float]:
    """Loss with both classes of equal weight, counts at 0.5, and the area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    probability = classify(model, crops_hu)
    of_truth = np.clip(np.where(labels == 1, probability, 1 - probability), 1e-7, 1.0)
    by_class = [-np.log(of_truth[labels == k]).mean() for k in (0, 1) if (labels == k).any()]
    figures = {VALIDATION_LOSS: float(np.mean(by_class)) if by_class else 0.0}
    if len(by_class) == 2:
        figures["validation/roc_auc"] = float(roc_auc_score(labels, probability))
    return {**figures, **Confusion.of(labels, probability >= 0.5).as_metrics("validation")}
