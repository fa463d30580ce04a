# SPDX-License-Identifier: Apache-2.0
"""How the classifiers are trained; the defaults are for LUNA16 on one GPU."""

from __future__ import annotations

from pydantic import Field

from lung_pipeline.crops.augmentation_settings import AugmentationSettings
from lung_pipeline.learning.settings import TrainingSettings


class ClassifierSettings(TrainingSettings, AugmentationSettings):
    """How the nodule model is trained, and how its crops are changed."""

    epochs: int = Field(default=40, ge=1)
    """Passes; the best one's weights are kept."""

    steps_per_epoch: int = Field(default=500, ge=1)
    """Batches a pass: an epoch is a number of samples, not of nodules."""

    batch_size: int = Field(default=48, ge=1)
    """Crops in a batch."""


class MalignancySettings(ClassifierSettings):
    """How the malignancy model is fine-tuned."""

    epochs: int = Field(default=20, ge=1)
    """Passes; the best one's weights are kept."""

    steps_per_epoch: int = Field(default=200, ge=1)
    """Batches a pass: an epoch is a number of samples, not of nodules."""

    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest rate of the schedule."""

    depth: int = 2
    """1: the head learns; 2: the last block and the head."""
