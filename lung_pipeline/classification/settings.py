# SPDX-License-Identifier: Apache-2.0
"""How the classifiers are trained; the defaults are for LUNA16 on one GPU."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lung_pipeline.crops.augmentation_settings import AugmentationSettings
from lung_pipeline.learning.settings import TrainingSettings

NetworkName = Literal["book", "residual-se"]
"""The networks of ``classification/networks.py``; named here, where nothing loads torch."""


Judgement = Literal["picture", "characteristics"]
"""What the malignancy model judges by."""


class CropSettings(TrainingSettings, AugmentationSettings):
    """What both trainings on crops share: how crops are read and changed."""

    epochs: int = Field(default=40, ge=1)
    """Passes; the best one's weights are kept."""

    steps_per_epoch: int = Field(default=500, ge=1)
    """Batches a pass: an epoch is a number of samples, not of nodules."""

    batch_size: int = Field(default=48, ge=1)
    """Crops in a batch."""

    num_workers: int = Field(default=0, ge=0)
    """Processes that read crops; 0: a thread of the training, which is enough for a local disk."""


class ClassifierSettings(CropSettings):
    """How the nodule model is trained."""

    network: NetworkName = "book"
    """Which network: book (plain convolutions) or residual-se (residual blocks that weigh their
    channels). The malignancy model has that of the nodule model it starts from."""

    nodule_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of nodules in each batch; the others are candidates that are none."""

    hard_negatives_from: str = ""
    """Address of a nodule model, such as models:/lung-nodule@champion: what it takes for nodules
    by mistake is learned from more often. Empty: all non-nodules come equally often."""

    hard_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the non-nodules of a batch that are of the hardest tenth, where a model names it."""


class MalignancySettings(CropSettings):
    """How the malignancy model is fine-tuned."""

    epochs: int = Field(default=20, ge=1)
    """Passes; the best one's weights are kept."""

    steps_per_epoch: int = Field(default=200, ge=1)
    """Batches a pass: an epoch is a number of samples, not of nodules."""

    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest rate of the schedule."""

    malignant_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of malignant nodules in each batch."""

    benign_share: float = Field(default=0.25, gt=0, lt=1)
    """Share of benign nodules; what both leave are candidates that are no nodule."""

    scaling: float = Field(default=0.0, ge=0, le=0.9)
    """Larger or smaller by up to this share; 0, because a nodule's size is its strongest sign. What
    judges by characteristics is told how much larger a nodule seems, and may be given more."""

    depth: int = 2
    """What learns; 1: the head, 2: the last block and the head, 3: all, from the nodule model's
    weights."""

    judged_by: Judgement = "picture"
    """By what malignant is told; picture: by all the network sees, characteristics: by what a
    reader would say (size, spiculation, lobulation, texture, calcification), which it learns from
    LIDC's reads first and which must be there for it."""

    characteristics_weight: float = Field(default=4.0, gt=0)
    """How much the characteristics weigh beside the judgement while they are learned."""
