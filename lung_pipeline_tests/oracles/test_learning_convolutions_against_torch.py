# SPDX-License-Identifier: Apache-2.0
"""Convolutions that are ours for speed alone give what torch's own give, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.learning.halving import HalvingConv3d, gradient_of_halved
from lung_pipeline.segmentation.joining import cells_of, joined


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _assert_alike(found: Tensor, expected: Tensor, given: Sequence[Tensor]) -> None:
    """Values, and gradients of what they are made from."""
    torch.testing.assert_close(found, expected)
    steep = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).view(found.shape)
    pairs = (torch.autograd.grad(out, given, steep) for out in (found, expected))
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("shape", [(2, 3, 4, 6, 8), (1, 8, 3, 2, 2), (2, 2, 5, 2, 10)])
def test_a_halving_convolution_is_torchs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    conv = HalvingConv3d(shape[1], 5).double()
    crops = _noise(*shape).requires_grad_()
    expected = functional.conv3d(crops, conv.weight, stride=(1, 2, 2), padding=1)
    found = conv(crops)
    assert "Halved" in str(found.grad_fn)
    _assert_alike(found, expected, [crops, conv.weight])


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 8), (2, 3, 4, 6, 7), (2, 3, 2, 6, 8)])
def test_what_cannot_be_halved_evenly_goes_torchs_way(shape: tuple[int, ...]) -> None:
    """Odd rows, odd columns, and as few slices as oneDNN has no right gradient for."""
    torch.manual_seed(2)
    conv = HalvingConv3d(3, 5).double()
    crops = _noise(*shape).requires_grad_()
    found = conv(crops)
    assert "Halved" not in str(found.grad_fn)
    expected = functional.conv3d(crops, conv.weight, stride=(1, 2, 2), padding=1)
    _assert_alike(found, expected, [crops, conv.weight])


def test_a_single_number_halved_gives_the_kernel_back() -> None:
    """By hand: of one gradient in the middle, each voxel beneath the kernel gets its weight."""
    weight = torch.arange(27.0).view(1, 1, 3, 3, 3)
    gradient = torch.zeros(1, 1, 3, 3, 3)
    gradient[0, 0, 1, 1, 1] = 1  # of the result at row and column 1: rows and columns 1 to 3
    found = gradient_of_halved(gradient, weight)[0, 0]
    assert torch.equal(found[0:3, 1:4, 1:4], weight[0, 0])
    assert float(found.sum()) == float(weight.sum())


@pytest.mark.parametrize("size", [(1, 1), (3, 4)])
def test_joined_is_upward_step_join_and_convolution(size: tuple[int, int]) -> None:
    """At the border too, where the upward step's bias is not beneath all of the kernel."""
    torch.manual_seed(2)
    upsample = nn.ConvTranspose2d(5, 3, 2, stride=2).double()
    conv = nn.Conv2d(7, 6, 3, padding=1).double()
    small = _noise(2, 5, *size).requires_grad_()
    bridge = _noise(2, 4, *(2 * one for one in size)).requires_grad_()
    expected = conv(torch.cat([upsample(small), bridge], dim=1))
    given = [small, bridge, *upsample.parameters(), *conv.parameters()]
    _assert_alike(joined(small, bridge, upsample, conv), expected, given)


def test_cells_lie_half_over_the_border() -> None:
    """By hand: of two by two pixels each is in a cell of its own, at the corner that is within."""
    before = [torch.full((2**power,), math.nan) for power in range(4, 8) for _ in range(20)]
    del before  # what lies in memory does not come into what is beyond the border
    cells = cells_of(torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None])
    assert cells.shape == (1, 4, 2, 2)
    assert cells[0, :, 0, 0].tolist() == [0, 0, 0, 1]
    assert cells[0, :, 0, 1].tolist() == [0, 0, 2, 0]
    assert cells[0, :, 1, 0].tolist() == [0, 3, 0, 0]
    assert cells[0, :, 1, 1].tolist() == [4, 0, 0, 0]
