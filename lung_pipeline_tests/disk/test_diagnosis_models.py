# SPDX-License-Identifier: Apache-2.0
"""The models of a diagnosis are read from folders, each for its own step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lung_pipeline.classification.described import DescribingClassifier
from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.classification.residual import ResidualClassifier
from lung_pipeline.diagnosis.models import read_models
from lung_pipeline.errors import DeviceError, ModelError
from lung_pipeline.learning.model_folder import ModelCard, write_model
from lung_pipeline.segmentation.dynunet import DynamicUNet
from lung_pipeline.segmentation.unet import UNet


def _written(folder: Path, model: nn.Module) -> str:
    architecture = model.architecture
    assert isinstance(architecture, dict)
    card = ModelCard(type(model).__name__, architecture, "a test's model")
    return write_model(folder, model, card).weights_sha256


@pytest.fixture
def hashes(tmp_path: Path) -> dict[str, str]:
    torch.manual_seed(1)
    return {
        "segmentation": _written(tmp_path / "segmentation", UNet(depth=2, first_filters=2)),
        "nodule": _written(tmp_path / "nodule", CropClassifier(first_channels=2)),
        "malignancy": _written(tmp_path / "malignancy", CropClassifier(first_channels=2)),
    }


def test_three_models_are_read_with_their_hashes(tmp_path: Path, hashes: dict[str, str]) -> None:
    folders = (tmp_path / step for step in ("segmentation", "nodule", "malignancy"))
    models = read_models(*folders, device="cpu")
    assert models.hashes == hashes
    assert models.segmentation.architecture == {"depth": 2, "first_filters": 2}
    assert models.malignancy is not None
    assert not torch.equal(models.malignancy.head.weight, models.nodule.head.weight)


def test_the_malignancy_model_may_be_absent(tmp_path: Path, hashes: dict[str, str]) -> None:
    models = read_models(tmp_path / "segmentation", tmp_path / "nodule", None, device="cpu")
    assert models.malignancy is None
    assert models.hashes == {step: hashes[step] for step in ("segmentation", "nodule")}


@pytest.mark.usefixtures("hashes")
def test_each_step_takes_any_network_of_its_own(tmp_path: Path) -> None:
    _written(tmp_path / "residual", ResidualClassifier(channels=(4, 8), blocks=1))
    models = read_models(tmp_path / "segmentation", tmp_path / "residual", None, device="cpu")
    assert type(models.nodule) is ResidualClassifier
    assert models.nodule.architecture == {
        "stem": 8,
        "channels": [4, 8],
        "blocks": 1,
        "field": 32,
    }
    pytest.importorskip("monai", reason="monai is not installed")
    written = DynamicUNet(filters=(2, 4, 8), heads=2)
    _written(tmp_path / "dynunet", written)
    models = read_models(tmp_path / "dynunet", tmp_path / "nodule", None, device="cpu")
    ours, theirs = written.state_dict(), models.segmentation.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not models.segmentation.training


@pytest.mark.usefixtures("hashes")
def test_only_malignancy_may_be_judged_by_characteristics(tmp_path: Path) -> None:
    said = {"log2_diameter": np.array([2.0, 4.0]), "texture": np.array([1.0, 5.0])}
    eyes = CropClassifier(first_channels=2)
    describing = tmp_path / "describing"
    _written(describing, DescribingClassifier.seeing_with(eyes, said))
    segmentation, nodule = tmp_path / "segmentation", tmp_path / "nodule"
    models = read_models(segmentation, nodule, describing, device="cpu")
    assert isinstance(models.malignancy, DescribingClassifier)
    assert models.malignancy.scales.mean.tolist() == [3.0, 3.0]
    with pytest.raises(ModelError, match="got DescribingClassifier"):
        read_models(segmentation, describing, None, device="cpu")


@pytest.mark.usefixtures("hashes")
def test_the_model_of_another_step_is_refused(tmp_path: Path) -> None:
    nodule, unet = tmp_path / "nodule", tmp_path / "segmentation"
    with pytest.raises(ModelError, match="needs a UNet or DynamicUNet, got CropClassifier"):
        read_models(nodule, nodule, None, device="cpu")
    with pytest.raises(ModelError, match=r"needs a CropClassifier or .*, got UNet"):
        read_models(unet, nodule, unet, device="cpu")


@pytest.mark.usefixtures("hashes")
def test_an_unknown_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        read_models(tmp_path / "segmentation", tmp_path / "nodule", None, device="abacus")
