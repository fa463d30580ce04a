# SPDX-License-Identifier: Apache-2.0
"""Judge a classifier on the crops of patients it never saw.

Belongs here: the figures of both classes, beside the diameter's where malignancy is told, and what
was most wrong. Does not belong here: how figures are computed (``learning.metrics``,
``learning.ranking``), and which crops are learned from and judged (``tasks.py``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lung_pipeline.classification.described import DescribingClassifier, words_loss
from lung_pipeline.classification.inference import classify_rows, tell
from lung_pipeline.classification.tasks import Task
from lung_pipeline.crops.sampling import Rows
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Validation
from lung_pipeline.learning.examples import CropExamples, worst_rows
from lung_pipeline.learning.metrics import two_class_metrics
from lung_pipeline.learning.ranking import RANGE_MM, ruler_metrics

EVERYWHERE, IN_RANGE = "validation", "validation/{:.0f}_to_{:.0f}_mm".format(*RANGE_MM)
"""Before the names of figures over all nodules, and over those whose size does not decide."""

Floats = npt.NDArray[np.float64]


def validate_classifier(model: nn.Module, task: Task, seed: int) -> Validation:
    """The figures of both classes, and what was most wrong: misses and false alarms apart.

    Args:
        model: a nodule or malignancy model.
        task: what it is to tell apart, and by which crops it is judged.
        seed: of the draws of intervals, the same in each epoch, so that epochs can be compared.

    Raises:
        ModelError: a probability is NaN.
    """
    probability = classify_rows(model, task.crops, task.validation, task.spacing_irc_mm)
    figures = two_class_metrics(task.labels[task.validation], probability, task.names)
    return Validation(
        {**figures, **_beside_ruler(task, probability, seed)}, _worst(task, probability)
    )


def validate_describing(
    model: DescribingClassifier, task: Task, seed: int, weight: float
) -> Validation:
    """As ``validate_classifier``; its loss is what the model learned by, words and judgement.

    The judgement alone turns on the few nodules near the line, and would choose the epoch by luck
    while the words still get better (docs/results.md).

    Args:
        model: says what it sees.
        task: with what the readers said, and the voxels' spacing.
        seed: of the draws of intervals.
        weight: of what is told beside the judgement.
    """
    judged = validate_classifier(model, task, seed)
    told, said = _told_and_said(model, task)
    words = float(words_loss(model.scales, told, said))
    apart = (model.scales.in_readers_units(model.scales.meant(told)) - said).abs().nanmean(dim=0)
    judgement = judged.figures[VALIDATION_LOSS]
    figures = {
        **judged.figures,
        VALIDATION_LOSS: judgement + weight * words,
        "validation/judgement_loss": judgement,
        "validation/words_loss": words,
        **{
            f"validation/error_of_{name}": float(error)
            for name, error in zip(model.architecture["told"], apart, strict=True)
            if not error.isnan()  # of no nodule here a reader said it
        },
    }
    return replace(judged, figures=figures)


def _told_and_said(model: DescribingClassifier, task: Task) -> tuple[Tensor, Tensor]:
    """What the model and what the readers say of the validation part, each (n, characteristics)."""
    rows = task.validation
    if task.said is None or task.spacing_irc_mm is None:
        raise ValueError("a describing model is judged by readers' words, and sees millimetres")
    told = tell(model, task.crops.read(rows), task.spacing_irc_mm[rows])
    return told, torch.from_numpy(task.said[rows]).to(told)


def _beside_ruler(task: Task, probability: Floats, seed: int) -> dict[str, float]:
    """The model beside the diameter, over all nodules and over those of ``RANGE_MM``."""
    if task.diameter_mm is None:
        return {}
    diameter_mm = task.diameter_mm[task.validation]
    labels = task.labels[task.validation]
    patient_ids = task.crops.index["patient_id"].to_numpy(dtype=object)[task.validation]
    smallest_mm, largest_mm = RANGE_MM
    inside = (smallest_mm <= diameter_mm) & (diameter_mm <= largest_mm)
    figures: dict[str, float] = {}
    for chosen, prefix in ((np.ones_like(inside), EVERYWHERE), (inside, IN_RANGE)):
        figures |= ruler_metrics(
            labels[chosen],
            diameter_mm[chosen],
            probability[chosen],
            patient_ids[chosen],
            np.random.default_rng(seed),
            prefix,
        )
    return figures


def _worst(task: Task, probability: Floats) -> tuple[CropExamples, ...]:
    """Of each class the crops that were least taken for it; nothing of a class without crops."""
    negative, positive = task.names
    labels = task.labels[task.validation]
    misses, alarms = worst_rows(labels, probability)
    kinds = (
        ("worst-misses", 1, f"{positive}, taken for {negative}", misses),
        ("worst-false-alarms", 0, f"{negative}, taken for {positive}", alarms),
    )
    return tuple(
        CropExamples(
            name,
            f"{title}: the worst {len(places)} of {np.sum(labels == label)}, "
            f"with the probability of {positive}",
            task.crops.read(task.validation[places]),
            probability[places],
            _names(task, task.validation[places]),
        )
        for name, label, title, places in kinds
        if len(places)
    )


def _names(task: Task, rows: Rows) -> tuple[str, ...]:
    """The candidates' ids; numbers of rows where a table has none, as in a benchmark."""
    table = task.crops.index
    ids = table["candidate_id"].iloc[rows] if "candidate_id" in table else rows
    return tuple(map(str, ids))
