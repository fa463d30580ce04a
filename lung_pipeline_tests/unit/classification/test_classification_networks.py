# SPDX-License-Identifier: Apache-2.0
"""Every network over crops keeps the same promises, whatever it is made of."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from lung_pipeline.classification.inference import classify
from lung_pipeline.classification.malignancy import train_malignancy_model
from lung_pipeline.classification.network import CropClassifier, CropNetwork, fast_layout
from lung_pipeline.classification.networks import NETWORKS, network_named
from lung_pipeline.classification.residual import (
    ResidualBlock,
    ResidualClassifier,
    SqueezeExcitation,
    middle_of,
)
from lung_pipeline.classification.settings import (
    ClassifierSettings,
    MalignancySettings,
    NetworkName,
)
from lung_pipeline.classification.training import train_nodule_model
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.store import CropSet
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.errors import SettingError

SHORT = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "seed": 3}

each_network = pytest.mark.parametrize("name", list(NETWORKS))


def _made(name: str, seed: int = 1) -> CropNetwork:
    torch.manual_seed(seed)
    return network_named(name)


def _noise(number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn((number, 1, *CROP_SHAPE_IRC), generator=generator) * 200 - 700


def _crops(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy lung, every second crop with a block of tissue in its middle."""
    voxels = np.random.default_rng(1).normal(-850, 30, (number, *CROP_SHAPE_IRC))
    labels = np.arange(number) % 2
    voxels[labels == 1, 12:20, 20:28, 20:28] = 30
    return voxels.astype(np.int16), labels


def _crop_set() -> CropSet:
    """Four malignant nodules, four benign ones and four that are none, to learn and choose by."""
    voxels, labels = _crops(24)
    table = pd.DataFrame({"part": ["train"] * 12 + ["validation"] * 12, "is_nodule": labels == 1})
    is_malignant = [bool(row % 4 == 1) if label else None for row, label in enumerate(labels)]
    table["is_malignant"] = pd.array(is_malignant, dtype="boolean")
    table["diameter_mm"] = np.where(table["is_nodule"], 8.0, np.nan)
    table["patient_id"] = [f"patient{row}" for row in table.index]
    return CropSet((voxels,), table)


def test_the_setting_names_the_networks_there_are() -> None:
    assert tuple(NETWORKS) == get_args(NetworkName)
    assert type(network_named(ClassifierSettings().network)) is CropClassifier


def test_an_unknown_network_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(SettingError, match=r"must be one of book, residual-se, got 'resnet'"):
        network_named("resnet")
    with pytest.raises(ValidationError, match="Input should be 'book' or 'residual-se'"):
        ClassifierSettings(network="resnet")
    # What a malignancy model is made of follows from the nodule model it starts from.
    assert "network" not in MalignancySettings.model_fields


@each_network
def test_two_logits_for_each_crop(name: str) -> None:
    with torch.inference_mode():
        assert _made(name).eval()(_noise(3)).shape == (3, 2)


@each_network
def test_the_architecture_rebuilds_the_network_from_its_card(name: str) -> None:
    model = _made(name)
    again = type(model)(**json.loads(json.dumps(model.architecture)))
    again.load_state_dict(model.state_dict())
    assert again.architecture == model.architecture


def test_another_size_is_rebuilt_too() -> None:
    model = ResidualClassifier(channels=(4, 8), blocks=1)
    again = ResidualClassifier(**json.loads(json.dumps(model.architecture)))
    again.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert again.eval()(_noise(1)).shape == (1, 2)


@each_network
def test_fewer_than_a_million_parameters_and_each_has_a_gradient(name: str) -> None:
    model = _made(name).train()
    fast_layout(model)
    functional.cross_entropy(model(_noise(4)), torch.tensor([0, 1, 1, 0])).backward()
    assert sum(parameter.numel() for parameter in model.parameters()) < 1e6
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@each_network
def test_crops_do_not_touch_each_other_when_inferring(name: str) -> None:
    model, crops = _made(name).eval(), _noise(3)
    with torch.inference_mode():
        torch.testing.assert_close(model(crops)[1:2], model(crops[1:2]), atol=1e-3, rtol=1e-4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    classify(model, _crops(3)[0])
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not model.training


def test_a_few_steps_tell_a_block_of_tissue_from_lung() -> None:
    model, (voxels, labels) = _made("residual-se").train(), _crops(4)
    crops_hu, truth = torch.from_numpy(voxels)[:, None].float(), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        losses.append(functional.cross_entropy(model(crops_hu), truth))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < 0.2 * losses[0].item()
    assert (model(crops_hu).argmax(dim=1) == truth).all()


@each_network
@pytest.mark.parametrize("depth", [1, 2])
def test_fine_tuning_changes_its_parts_and_leaves_the_frozen_to_the_bit(
    name: str, depth: int
) -> None:
    nodule_model = _made(name)
    before = {key: value.clone() for key, value in nodule_model.state_dict().items()}
    settings = MalignancySettings(**SHORT, depth=depth, **OFF.model_dump())
    model, _ = train_malignancy_model(nodule_model, _crop_set(), settings)
    assert type(model) is type(nodule_model)
    last = f"backbone.{len(nodule_model.backbone) - 1}."
    learning = ("head.",) if depth == 1 else ("head.", last)
    after = model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    # Running statistics of a frozen batch norm stay too.
    assert changed == {key for key in before if key.startswith(learning)}
    untouched = nodule_model.state_dict()
    assert all(torch.equal(before[key], untouched[key]) for key in before)


def test_training_builds_the_network_its_settings_name() -> None:
    settings = ClassifierSettings(**SHORT, network="residual-se", **OFF.model_dump())
    model, history = train_nodule_model(_crop_set(), settings)
    assert type(model) is ResidualClassifier
    assert len(history) == 1


def test_a_block_without_its_convolutions_hands_its_input_on() -> None:
    block = ResidualBlock(4, 4).eval()
    features = torch.rand(2, 4, 3, 3, 3)
    torch.nn.init.zeros_(block.norm2.weight)
    with torch.inference_mode():
        assert torch.equal(block(features), features)


def test_a_stride_takes_the_mean_of_what_it_passes_over() -> None:
    block = ResidualBlock(1, 2, stride=(2, 2, 2)).eval()
    torch.nn.init.zeros_(block.norm2.weight)
    torch.nn.init.ones_(block.shortcut[1].weight)
    with torch.inference_mode():
        found = block(torch.arange(8.0).reshape(1, 1, 2, 2, 2))
    torch.testing.assert_close(found, torch.full((1, 2, 1, 1, 1), 3.5), rtol=1e-4, atol=1e-4)


def test_excitation_weighs_channels_by_what_all_hold_on_average() -> None:
    part = SqueezeExcitation(4)
    with torch.no_grad():
        for layer in (part.squeeze, part.excite):
            layer.weight.fill_(1.0)
            layer.bias.zero_()
    features = torch.ones(1, 4, 2, 1, 1) * torch.tensor([1.0, 2.0, 0.0, 0.0]).reshape(1, 4, 1, 1, 1)
    # The means sum to 3, so each channel is weighed by sigmoid(3) = 0.9526.
    with torch.inference_mode():
        torch.testing.assert_close(part(features), 0.9526 * features, rtol=1e-4, atol=0)


def test_what_stands_in_the_middle_is_told_from_what_stands_at_the_edge() -> None:
    features = torch.zeros(2, 1, 4, 6, 6)
    features[0, 0, 1:3, 2:4, 2:4] = torch.arange(8.0).reshape(2, 2, 2)
    features[1, 0, 0] = features[1, 0, :, :2] = features[1, 0, :, :, 4:] = 9
    assert middle_of(features).tolist() == [[3.5], [0]]


@each_network
def test_each_can_be_the_eyes_for_a_close_up_and_sees_all_of_it(name: str) -> None:
    network = _made(name)
    shape = (1, 1, *network.close_up_irc)
    close_up = torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 200 - 700
    corner = close_up.clone()
    corner[..., :3, :3, :3] = 3000
    with torch.inference_mode():
        seen, other = (network.eval().features(voxels) for voxels in (close_up, corner))
    assert seen.shape == (1, network.head.in_features)
    assert not torch.allclose(seen, other)


def test_a_wide_field_takes_no_less_of_a_close_up() -> None:
    wide = ResidualClassifier(field=48).eval()
    narrow = ResidualClassifier(field=32).eval()
    narrow.load_state_dict(wide.state_dict())
    close_up = torch.randn((2, 1, *wide.close_up_irc), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        assert torch.equal(wide.features(close_up), narrow.features(close_up))
