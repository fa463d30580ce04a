# SPDX-License-Identifier: Apache-2.0
"""How the U-Net is trained; the defaults are for LUNA16 on one GPU."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lung_pipeline.annotations.consensus import CONSENSUS_LEVEL
from lung_pipeline.crops.augmentation_settings import FOR_PATCHES, AugmentationSettings
from lung_pipeline.learning.settings import TrainingSettings

NetworkName = Literal["unet", "dynunet"]
"""The networks of ``segmentation/networks.py``; named here, where nothing loads torch."""


class SegmentationSettings(TrainingSettings, AugmentationSettings):
    """How the U-Net is trained, and how its patches are changed."""

    network: NetworkName = "unet"
    """Which network: unet, or dynunet (nnU-Net's, with deep supervision; needs MONAI, see
    pyproject's extra `monai`)."""

    shift_slices: float = Field(default=FOR_PATCHES.shift_slices, ge=0, le=0)
    """Must stay 0: a patch's slices are its neighbourhood."""

    shift_rows: float = Field(default=FOR_PATCHES.shift_rows, ge=0)
    """Shift by up to so many voxels; patches lie at random places of their regions anyway."""

    shift_columns: float = Field(default=FOR_PATCHES.shift_columns, ge=0)
    """The same to the left or the right."""

    learning_rate: float = Field(default=2e-3, gt=0)
    """Highest rate of the schedule."""

    consensus_level: float = Field(default=CONSENSUS_LEVEL, ge=0, le=1)
    """Which of the readers' surfaces is the truth: 0 outermost, 0.5 middle, 1 innermost."""

    background_share: float = Field(default=0.4, ge=0, lt=1)
    """Share of patches from regions around no nodule."""

    background_per_series: int = Field(default=6, ge=0)
    """Regions around non-nodules kept of each series; each takes 166 kB."""

    slices_per_series: int = Field(default=4, ge=0)
    """Whole slices without a nodule of each validation series to judge by, at most; each takes
    3.7 MB. Beside them stands one slice of each nodule."""

    recall_weight: float = Field(default=1.0, ge=0)
    """Weight of the recall term of the loss; more finds more and marks more that is no nodule."""

    cross_entropy_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy in the loss; 0: the book's loss, which learns far slower."""
