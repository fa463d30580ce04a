# SPDX-License-Identifier: Apache-2.0
"""The models of a diagnosis, read from folders and put on their device together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from lung_pipeline.classification import networks as of_crops
from lung_pipeline.classification.described import OF_MALIGNANCY
from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.diagnosis.verdict.operating_point import OperatingPoint
from lung_pipeline.learning.device import AUTO, pick_device
from lung_pipeline.learning.model_folder import read_model
from lung_pipeline.segmentation import networks as of_slices


@dataclass(frozen=True, slots=True)
class Models:
    """One model for each step that needs one."""

    segmentation: nn.Module
    """Marks voxels."""

    nodule: CropNetwork
    """Tells nodules from other things."""

    malignancy: CropNetwork | None
    """Tells malignant from benign; without it findings have no malignancy."""

    hashes: dict[str, str] = field(default_factory=dict)
    """For each step the SHA-256 of its weights."""

    precision: str = AUTO
    """``auto`` computes in bfloat16 where that is fast; ``float32`` never does."""


@dataclass(frozen=True, slots=True)
class NamedModels:
    """Models ready to infer, what they are called, and what was chosen for them."""

    models: Models
    """One for each step; malignancy may be missing."""

    names: dict[str, str]
    """For each step its model as it stands beside a result."""

    frozen: OperatingPoint | None = None
    """The thresholds and calibrators chosen for this set; None where none were."""


def read_models(
    segmentation: Path,
    nodule: Path,
    malignancy: Path | None,
    device: str = AUTO,
    precision: str = AUTO,
) -> Models:
    """Read model folders.

    Raises:
        ModelError: a folder that is no model, or the model of another step.
        SettingError: a network needs a library that is not installed.
        DeviceError: a device that is not there.
    """
    place = pick_device(device)
    marker, marker_card = read_model(segmentation, *of_slices.NETWORKS.values())
    classifier, classifier_card = read_model(nodule, *of_crops.OF_NODULE)
    hashes = {"segmentation": marker_card.weights_sha256, "nodule": classifier_card.weights_sha256}
    judge = None
    if malignancy is not None:
        judge, card = read_model(malignancy, *OF_MALIGNANCY)
        hashes["malignancy"] = card.weights_sha256
        judge.to(place)
    return Models(marker.to(place), classifier.to(place), judge, hashes, precision)
