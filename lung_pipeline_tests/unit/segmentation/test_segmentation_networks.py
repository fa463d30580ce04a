# SPDX-License-Identifier: Apache-2.0
"""Every network that marks voxels keeps the same promises; what is MONAI's needs MONAI."""

from __future__ import annotations

import copy
import json
import math
import sys
from importlib.util import find_spec
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.errors import SettingError
from lung_pipeline.segmentation.dynunet import DynamicUNet
from lung_pipeline.segmentation.losses import LossWeights, segmentation_loss
from lung_pipeline.segmentation.networks import NETWORKS, network_named
from lung_pipeline.segmentation.settings import NetworkName, SegmentationSettings
from lung_pipeline.segmentation.unet import RARITY, UNet


def _name(name: str) -> object:
    needs_monai = pytest.mark.skipif(find_spec("monai") is None, reason="monai is not installed")
    return pytest.param(name, marks=needs_monai if name == "dynunet" else ())


each_network = pytest.mark.parametrize("name", [_name(name) for name in NETWORKS])


def _made(name: str) -> nn.Module:
    """A network whose input norm knows about HU, as a trained one does."""
    torch.manual_seed(1)
    model = network_named(name)
    model.input_norm.running_mean.fill_(-500)
    model.input_norm.running_var.fill_(400**2)
    return model


def _dynunet(**architecture: object) -> DynamicUNet:
    pytest.importorskip("monai", reason="monai is not installed")
    torch.manual_seed(1)
    return DynamicUNet(**architecture)


def _slices(rows: int, columns: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand((batch, 7, rows, columns), generator=generator) * 1400 - 1000


def test_the_setting_names_the_networks_there_are() -> None:
    assert tuple(NETWORKS) == get_args(NetworkName)
    assert type(network_named(SegmentationSettings().network)) is UNet


def test_an_unknown_network_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(SettingError, match=r"must be one of unet, dynunet, got 'vnet'"):
        network_named("vnet")
    with pytest.raises(ValidationError, match="Input should be 'unet' or 'dynunet'"):
        SegmentationSettings(network="vnet")


def test_without_monai_its_network_is_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # None in this table is Python's own way to say that a module is not there.
    for name in [n for n in sys.modules if n == "monai" or n.startswith("monai.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(SettingError, match=r"pip install 'lung-pipeline\[monai\]'"):
        network_named("dynunet")


@each_network
@pytest.mark.parametrize("size", [(64, 64), (61, 66), (5, 1), (1, 1)])
def test_one_logit_for_each_pixel_whatever_the_size(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        assert _made(name).eval()(_slices(*size, batch=2)).shape == (2, 1, *size)


@each_network
def test_the_architecture_rebuilds_the_network_from_its_card(name: str) -> None:
    model = _made(name)
    again = type(model)(**json.loads(json.dumps(model.architecture)))
    again.load_state_dict(model.state_dict())
    assert again.architecture == model.architecture


@pytest.mark.skipif(find_spec("monai") is None, reason="monai is not installed")
def test_an_uneven_picture_is_seen_as_if_its_edge_went_on() -> None:
    model, slices = _made("dynunet").eval(), _slices(22, 17)
    with torch.inference_mode():
        whole = model(functional.pad(slices, (0, 7, 0, 2), mode="replicate"))
        torch.testing.assert_close(model(slices), whole[..., :22, :17])


@each_network
def test_a_patch_is_seen_alike_whatever_lies_beside_it(name: str) -> None:
    """Statistics of the picture at hand would make a slice something else than its patches."""
    model, slices = _made(name).eval(), _slices(192, 192)
    other = slices.clone()
    other[..., 128:, :] = 3000
    with torch.inference_mode():
        torch.testing.assert_close(model(slices)[..., :32, :], model(other)[..., :32, :])


@each_network
def test_samples_of_a_batch_do_not_touch_each_other_when_inferring(name: str) -> None:
    model, slices = _made(name).eval(), _slices(16, 16, batch=3)
    with torch.inference_mode():
        together, alone = model(slices)[1:2], model(slices[1:2])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@each_network
def test_every_parameter_has_a_gradient(name: str) -> None:
    model = _made(name).train()
    mask = torch.zeros(4, 1, 32, 32)
    mask[..., 12:20, 12:20] = 1
    segmentation_loss(model(_slices(32, 32, batch=4)), mask, LossWeights(2.0)).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@each_network
def test_a_fresh_network_starts_from_the_rarity_of_nodules(name: str) -> None:
    with torch.inference_mode():
        logits = _made(name).train()(_slices(32, 32, batch=8)).mean((0, 2, 3))
    assert (logits < math.log(RARITY) / 2).all()


def test_every_level_speaks_in_training_and_the_finest_alone_otherwise() -> None:
    model = _dynunet().train()
    slices = _slices(61, 64, batch=2)
    with torch.no_grad():
        learning = model(slices)
        assert learning.shape == (2, 3, 61, 64)
        # The second head sees squares of 2 x 2 pixels, the third of 4 x 4; the first each pixel.
        for head, size in enumerate((1, 2, 4)):
            squares = learning[:, head, :60].unfold(1, size, size).unfold(2, size, size)
            assert (squares == squares[..., :1, :1]).all()
        assert (learning[:, 1, :60:2] != learning[:, 1, 2::2][:, :30]).any()
        assert model.eval()(slices).shape == (2, 1, 61, 64)


def test_one_head_is_no_deep_supervision() -> None:
    model = _dynunet(filters=(2, 4, 8), heads=1).train()
    assert model(_slices(16, 16, batch=2)).shape == (2, 1, 16, 16)


def test_each_tensor_has_one_name_so_that_it_can_be_kept() -> None:
    model = _dynunet(filters=(2, 4, 8), heads=2)
    places = [tensor.data_ptr() for tensor in model.state_dict().values()]
    assert len(set(places)) == len(places)


def test_a_network_that_learns_can_be_copied_and_holds_no_graph() -> None:
    model = _dynunet(filters=(2, 4, 8), heads=2).train()
    model(_slices(16, 16, batch=2)).sum().backward()
    again = copy.deepcopy(model)
    with torch.inference_mode():
        # The copy's heads are its own: what it says follows from its weights.
        for parameter in again.parameters():
            parameter.zero_()
        assert (again(_slices(16, 16, batch=2)) == 0).all()
        assert (model(_slices(16, 16, batch=2)) != 0).any()


def test_a_few_steps_of_the_dynunet_find_a_block_of_tissue() -> None:
    model = _dynunet().train()
    slices = torch.full((4, 7, 32, 32), -850.0) + _slices(32, 32, batch=4) / 50
    mask = torch.zeros(4, 1, 32, 32)
    mask[:3, :, 12:20, 10:18] = 1
    slices[:, :][mask.expand(-1, 7, -1, -1) == 1] = 20
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        losses.append(segmentation_loss(model(slices), mask, LossWeights(2.0)))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < 0.3 * losses[0].item()
    assert ((model(slices)[:, :1] > 0) == (mask > 0)).float().mean().item() > 0.99
