# SPDX-License-Identifier: Apache-2.0
"""Which models a diagnosis gets: those named, else the champions, else the references."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.errors import ModelError
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import ModelCard, write_model
from lung_pipeline.segmentation.unet import UNet
from lung_pipeline.tracking.models import models_by_alias, models_in_use
from lung_pipeline.tracking.names import (
    CHALLENGER,
    CHAMPION,
    MALIGNANCY,
    NODULE,
    REFERENCE,
    SEGMENTATION,
)
from lung_pipeline.tracking.registry import ModelVersion, register
from lung_pipeline.tracking.runs import run


def _write(folder: Path, step: str, seed: int) -> str:
    """A tiny model of a step in a folder; returns its hash."""
    torch.manual_seed(seed)
    model = (
        UNet(depth=2, first_filters=1) if step == SEGMENTATION else CropClassifier(first_channels=1)
    )
    card = ModelCard(type(model).__name__, model.architecture, f"{step} of a test")
    return write_model(folder, model, card).weights_sha256


class Registrar:
    """Registers a new tiny model with each call."""

    def __init__(self, home: Home, scratch: Path) -> None:
        self.home, self.scratch, self.made = home, scratch, 0

    def __call__(self, step: str, alias: str) -> ModelVersion:
        self.made += 1
        folder = self.scratch / f"model{self.made}"
        sha256 = _write(folder, step, seed=self.made)
        with run(self.home, f"lung-{step}", "training") as opened:
            return register(opened, step, folder, sha256, alias)


@pytest.fixture
def add(mlflow_home: Home, tmp_path: Path) -> Registrar:
    return Registrar(mlflow_home, tmp_path)


def test_champion_goes_before_the_reference_step_by_step(mlflow_home: Home, add: Registrar) -> None:
    references = {step: add(step, REFERENCE) for step in (SEGMENTATION, NODULE)}
    assert models_in_use(mlflow_home).names == {s: v.label for s, v in references.items()}
    champion = add(NODULE, CHAMPION)
    add(SEGMENTATION, CHALLENGER)
    found = models_in_use(mlflow_home)
    assert found.names == {SEGMENTATION: references[SEGMENTATION].label, NODULE: champion.label}
    assert found.models.hashes == {
        SEGMENTATION: references[SEGMENTATION].weights_sha256,
        NODULE: champion.weights_sha256,
    }
    assert found.models.malignancy is None


def test_model_that_is_named_goes_before_all(
    mlflow_home: Home, add: Registrar, tmp_path: Path
) -> None:
    first = add(NODULE, REFERENCE)
    segmentation, _ = add(SEGMENTATION, CHAMPION), add(NODULE, CHAMPION)
    judge = tmp_path / "a judge"
    sha256 = _write(judge, MALIGNANCY, seed=99)
    found = models_in_use(mlflow_home, {NODULE: first.uri, MALIGNANCY: str(judge)})
    assert found.names == {
        SEGMENTATION: segmentation.label,
        NODULE: first.label,
        MALIGNANCY: str(judge),
    }
    assert found.models.hashes[NODULE] == first.weights_sha256
    assert found.models.hashes[MALIGNANCY] == sha256
    assert found.models.malignancy is not None


def test_folders_alone_are_enough(mlflow_home: Home, tmp_path: Path) -> None:
    folders = {step: tmp_path / step for step in (SEGMENTATION, NODULE)}
    for step, folder in folders.items():
        _write(folder, step, seed=1)
    addresses = {step: str(folder) for step, folder in folders.items()}
    assert models_in_use(mlflow_home, addresses).names == addresses


def test_models_by_alias_are_those_of_the_alias_alone(mlflow_home: Home, add: Registrar) -> None:
    for step in (SEGMENTATION, NODULE, MALIGNANCY):
        add(step, CHALLENGER)
    newest = {step: add(step, CHALLENGER) for step in (SEGMENTATION, NODULE)}
    add(NODULE, CHAMPION)
    found = models_by_alias(mlflow_home, CHALLENGER)
    assert found.names == {
        SEGMENTATION: newest[SEGMENTATION].label,
        NODULE: newest[NODULE].label,
        MALIGNANCY: found.names[MALIGNANCY],
    }
    assert found.names[MALIGNANCY].startswith("lung-malignancy v1")
    with pytest.raises(ModelError, match="a diagnosis needs a segmentation model"):
        models_by_alias(mlflow_home, CHAMPION)


@pytest.mark.parametrize("missing", [SEGMENTATION, NODULE])
def test_missing_model_is_an_error_that_names_the_cure(
    mlflow_home: Home, add: Registrar, missing: str
) -> None:
    add(NODULE if missing == SEGMENTATION else SEGMENTATION, CHAMPION)
    add(MALIGNANCY, CHAMPION)
    with pytest.raises(
        ModelError, match=rf"lung-{missing}.*needs a {missing} model.*models import-reference"
    ):
        models_in_use(mlflow_home)


def test_model_of_another_step_is_refused(mlflow_home: Home, add: Registrar) -> None:
    segmentation, nodule = add(SEGMENTATION, CHAMPION), add(NODULE, CHAMPION)
    assert models_in_use(mlflow_home).names[NODULE] == nodule.label
    with pytest.raises(ModelError, match=r"this step needs a CropClassifier or .*, got UNet"):
        models_in_use(mlflow_home, {NODULE: segmentation.uri})


def test_folder_that_is_no_model_is_refused_in_words(
    mlflow_home: Home, add: Registrar, tmp_path: Path
) -> None:
    add(SEGMENTATION, CHAMPION)
    with pytest.raises(ModelError, match="must hold a readable model card"):
        models_in_use(mlflow_home, {NODULE: str(tmp_path / "nowhere")})
