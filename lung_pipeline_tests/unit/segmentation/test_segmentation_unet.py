# SPDX-License-Identifier: Apache-2.0
"""The U-Net: its size, its shapes, and that it looks at all it is shown."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lung_pipeline.segmentation.doubling import doubled
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, UNet


def _eased(seed: int = 1) -> UNet:
    """A network whose input norm knows about HU, as a trained one does."""
    torch.manual_seed(seed)
    model = UNet().eval()
    model.input_norm.running_mean.fill_(-500)
    model.input_norm.running_var.fill_(400**2)
    return model


def _slices(rows: int, columns: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand((batch, 7, rows, columns), generator=generator) * 1400 - 1000


def test_the_network_has_the_parameters_of_the_reference_design() -> None:
    assert sum(p.numel() for p in UNet().parameters()) == 118_271
    assert 2 * CONTEXT_SLICES + 1 == 7


def test_the_architecture_rebuilds_the_network() -> None:
    model = UNet(depth=2, first_filters=4)
    assert model.architecture == {"depth": 2, "first_filters": 4}
    UNet(**model.architecture).load_state_dict(model.state_dict())


@pytest.mark.parametrize("size", [(64, 64), (61, 66), (67, 63), (5, 1), (1, 1)])
def test_logits_have_the_size_of_the_picture(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        assert _eased()(_slices(*size, batch=2)).shape == (2, 1, *size)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_other_depths_keep_the_size_too(depth: int) -> None:
    with torch.inference_mode():
        logits = UNet(depth=depth, first_filters=2).eval()(_slices(21, 18))
    assert logits.shape == (1, 1, 21, 18)


def test_an_uneven_picture_is_seen_as_if_its_edge_went_on() -> None:
    model, slices = _eased(), _slices(22, 17)
    with torch.inference_mode():
        whole = model(functional.pad(slices, (0, 3, 0, 2), mode="replicate"))
        torch.testing.assert_close(model(slices), whole[..., :22, :17])


def test_all_seven_slices_matter_at_the_pixel_they_surround() -> None:
    slices = _slices(16, 16).requires_grad_(requires_grad=True)
    _eased()(slices)[0, 0, 8, 8].backward()
    assert slices.grad is not None
    assert (slices.grad[0, :, 8, 8].abs() > 0).all()


def test_samples_of_a_batch_do_not_touch_each_other_when_inferring() -> None:
    model, slices = _eased(), _slices(16, 16, batch=3)
    with torch.inference_mode():
        together = model(slices)
        for number in range(3):
            alone = model(slices[number : number + 1])
            torch.testing.assert_close(together[number : number + 1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("has_bias", [True, False])
def test_doubling_is_the_transposed_convolution_that_torch_has(has_bias: bool) -> None:
    torch.manual_seed(1)
    oracle = torch.nn.ConvTranspose2d(5, 3, kernel_size=2, stride=2, bias=has_bias).double()
    features = torch.randn(2, 5, 7, 4, dtype=torch.float64, requires_grad=True)
    ours = doubled(features, oracle.weight, oracle.bias)
    expected = oracle(features)
    assert ours.shape == (2, 3, 14, 8)
    assert torch.allclose(ours, expected, atol=1e-12)
    weights = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad((ours * weights).sum(), [features, *oracle.parameters()]),
        torch.autograd.grad((expected * weights).sum(), [features, *oracle.parameters()]),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, atol=1e-12)
