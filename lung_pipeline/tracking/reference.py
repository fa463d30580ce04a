# SPDX-License-Identifier: Apache-2.0
"""The book's published checkpoints as versions of our own models, under the alias ``reference``."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import ModelCard, write_model
from lung_pipeline.tracking.names import NODULE, REFERENCE, REGISTERED, SEGMENTATION
from lung_pipeline.tracking.registry import ModelVersion, register
from lung_pipeline.tracking.runs import run

if TYPE_CHECKING:
    from torch import nn

_SOURCE = "Published with the book 'Deep Learning with PyTorch', trained on LUNA16"


def import_reference(home: Home, segmentation: Path, nodule: Path) -> list[ModelVersion]:
    """Register both checkpoints; both are read before anything is registered.

    Raises:
        ModelError: a file that is no checkpoint, or that of another network.
    """
    from lung_pipeline.classification.reference import read_reference_classifier
    from lung_pipeline.segmentation.reference import read_reference_unet

    unet, classifier = read_reference_unet(segmentation), read_reference_classifier(nodule)
    return [
        _import(home, SEGMENTATION, unet, segmentation),
        _import(home, NODULE, classifier, nodule),
    ]


def _import(home: Home, step: str, model: nn.Module, file: Path) -> ModelVersion:
    origin = {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    with (
        run(home, REGISTERED[step], f"import {file.name}", parameters=origin) as opened,
        tempfile.TemporaryDirectory() as scratch,
    ):
        folder = Path(scratch) / step
        card = ModelCard(
            network=type(model).__name__,
            architecture=model.architecture,  # type: ignore[arg-type]  # each of ours has it
            purpose=f"Imported {step} weights.",
            settings=origin,
            source=_SOURCE,
        )
        card = write_model(folder, model, card)
        return register(opened, step, folder, card.weights_sha256, REFERENCE)
