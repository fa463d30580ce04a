# SPDX-License-Identifier: Apache-2.0
"""A batch in portions is learned from as a whole, whatever its loss is."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from compilers import skip_without_a_compiler
from torch import Tensor, nn

from lung_pipeline.learning.batch_norm import BatchNorm2d
from lung_pipeline.learning.portions import InPortions
from lung_pipeline.segmentation.losses import LossWeights, segmentation_loss
from lung_pipeline.segmentation.unet import UNet

SIZES = [1, 3, 5, 10, 99]


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def _patches() -> tuple[Tensor, Tensor]:
    """Ten, with nodules in four of them, which stand together."""
    mask = torch.zeros(10, 1, 16, 16)
    mask[:4, :, 5:9, 5:9] = 1
    return _noise(10, 7, 16, 16) * 300 - 500, mask


def _gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss.backward()
    return [cast("Tensor", parameter.grad).clone() for parameter in model.parameters()]


@pytest.mark.parametrize("size", SIZES)
def test_gradient_of_a_loss_that_is_no_mean_over_samples_is_the_batchs(size: int) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(7, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1)).double()
    slices, mask = (part.double() for part in _patches())
    weights = LossWeights(2.0, 1.0)
    whole = segmentation_loss(model(slices), mask, weights)
    portioned = segmentation_loss(InPortions(model, size)(slices), mask, weights)
    assert portioned.item() == pytest.approx(whole.item(), rel=1e-12)
    pairs = zip(_gradients(model, portioned), _gradients(model, whole), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_mean_of_the_portions_losses_would_be_another_loss() -> None:
    """So the test above can fail."""
    slices, mask = _patches()
    weights = LossWeights(2.0, 1.0)
    logits = slices[:, :1] / 300
    halves = [segmentation_loss(logits[h], mask[h], weights) for h in (slice(5), slice(5, 10))]
    assert abs(sum(halves) / 2 - segmentation_loss(logits, mask, weights)) > 0.1


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, BatchNorm2d])
@pytest.mark.parametrize("channels", [8, 16])
def test_a_portion_counts_once_in_running_statistics(
    kind: type[nn.BatchNorm2d], channels: int
) -> None:
    given = _noise(6, channels, 8, 8).contiguous(memory_format=torch.channels_last)
    once, portioned = kind(channels), kind(channels)
    for portion in given.split(2):
        once(portion)
    wanted = given.clone().requires_grad_()
    InPortions(portioned, 2)(wanted).square().sum().backward()
    assert portioned.num_batches_tracked == once.num_batches_tracked == 3
    assert torch.equal(portioned.running_mean, once.running_mean)
    assert torch.equal(portioned.running_var, once.running_var)


def test_the_second_way_is_the_first_again_where_chance_plays_a_part() -> None:
    layer = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Dropout(0.5))
    out = InPortions(layer, 3)(torch.ones(20, 1)).sum()
    (of_weight,) = _gradients(layer, out)
    # The sum is the weight times what was not dropped, and its gradient is the latter.
    assert 0 < of_weight.item() < 40
    assert out.item() == pytest.approx((layer[0].weight * of_weight).item())


def test_all_but_calling_is_the_models() -> None:
    model = nn.Linear(1, 1)
    assert InPortions(model, 2).weight is model.weight
    with pytest.raises(AttributeError):
        _ = InPortions(model, 2).scales


@pytest.mark.slow
def test_compiled_network_goes_in_portions_too() -> None:
    skip_without_a_compiler()
    torch.manual_seed(1)
    model = UNet(depth=2, first_filters=8).train()
    slices, mask = _patches()
    weights = LossWeights(2.0, 1.0)
    found = []
    for forward in (model, torch.compile(model)):
        loss = segmentation_loss(InPortions(forward, 5)(slices), mask, weights)
        found.append(_gradients(model, loss))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3 * float(other.abs().max()))
