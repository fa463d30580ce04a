# SPDX-License-Identifier: Apache-2.0
"""The models of a diagnosis, read from folders and put on their device together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.learning.device import AUTO, pick_device
from lung_pipeline.learning.model_folder import read_model
from lung_pipeline.segmentation.unet import UNet


@dataclass(frozen=True, slots=True)
class Models:
    """One model for each step that needs one."""

    segmentation: UNet
    """Marks voxels."""

    nodule: CropClassifier
    """Tells nodules from other things."""

    malignancy: CropClassifier | None
    """Tells malignant from benign; without it findings have no malignancy."""

    hashes: dict[str, str] = field(default_factory=dict)
    """For each step the SHA-256 of its weights."""


def read_models(
    segmentation: Path, nodule: Path, malignancy: Path | None, device: str = AUTO
) -> Models:
    """Read model folders.

    Raises:
        ModelError: a folder that is no model, or the model of another step.
        DeviceError: a device that is not there.
    """
    place = pick_device(device)
    unet, unet_card = read_model(segmentation, UNet)
    classifier, classifier_card = read_model(nodule, CropClassifier)
    hashes = {"segmentation": unet_card.weights_sha256, "nodule": classifier_card.weights_sha256}
    judge = None
    if malignancy is not None:
        judge, card = read_model(malignancy, CropClassifier)
        hashes["malignancy"] = card.weights_sha256
        judge.to(place)
    return Models(unet.to(place), classifier.to(place), judge, hashes)
