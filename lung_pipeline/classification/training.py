# SPDX-License-Identifier: Apache-2.0
"""Train the nodule classifier on crops with balanced batches.

The malignancy model is the same loop with another task and most weights frozen
(``malignancy.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.classification.network import CropNetwork, fast_layout
from lung_pipeline.classification.networks import network_named
from lung_pipeline.classification.samples import CropBatch, CropSamples
from lung_pipeline.classification.settings import ClassifierSettings, CropSettings
from lung_pipeline.classification.tasks import Task, hardness_of, nodule_task
from lung_pipeline.classification.validation import validate_classifier
from lung_pipeline.crops.store import CropSet
from lung_pipeline.learning.device import pick_device
from lung_pipeline.learning.epoch import Epoch, Validation
from lung_pipeline.learning.loop import Loss, fit
from lung_pipeline.learning.seeds import seeded
from lung_pipeline.learning.watching import SILENT, Watcher


def train_classifier(
    model: CropNetwork,
    task: Task,
    settings: CropSettings,
    watcher: Watcher = SILENT,
    checkpoint: Path | None = None,
    loss: Loss | None = None,
    validate: Callable[[nn.Module, Task, int], Validation] = validate_classifier,
) -> list[Epoch]:
    """Train the parameters that want gradients; the model ends with its best epoch's weights.

    Args:
        model: changed in place.
        task: what is told apart.
        settings: how long, how fast, from which seed.
        watcher: told each epoch and step.
        checkpoint: where the state is kept, so that an interrupted training goes on.
        loss: of a batch; without one ``crop_loss``.
        validate: judges the model on a task's validation part, with a seed for its intervals.

    Raises:
        AnnotationError: a group of training crops, or the validation part, is empty.
    """
    device = pick_device(settings.device)
    fast_layout(model.to(device))
    with CropSamples(task, settings, device, model) as samples:
        return fit(
            model,
            settings.schedule(),
            batches=samples.epoch,
            loss=loss or crop_loss,
            validate=lambda trained: validate(trained, task, settings.seed),
            watcher=watcher,
            checkpoint=checkpoint,
        )


def train_nodule_model(
    crops: CropSet,
    settings: ClassifierSettings,
    watcher: Watcher = SILENT,
    checkpoint: Path | None = None,
    former: nn.Module | None = None,
) -> tuple[CropNetwork, list[Epoch]]:
    """Train the nodule model from random weights; returns the best epoch's model.

    With a ``former`` nodule model, what that takes for nodules by mistake comes more often.
    """
    device = pick_device(settings.device)
    hardness = None if former is None else hardness_of(crops, former.to(device))
    task = nodule_task(crops, settings, hardness)
    seeded(settings.seed)
    model = network_named(settings.network)
    history = train_classifier(model, task, settings, watcher, checkpoint)
    return model.eval(), history


def crop_loss(model: nn.Module, batch: CropBatch) -> Tensor:
    """The mean cross entropy over a batch of crops."""
    crops_hu, labels, *_ = batch
    return functional.cross_entropy(model(crops_hu).float(), labels)
