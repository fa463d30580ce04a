# SPDX-License-Identifier: Apache-2.0
"""Gradients in bfloat16 come of the batch alone, not of what lies in freed memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.classification.residual import ResidualClassifier
from lung_pipeline.learning.few_slices import Conv3d
from lung_pipeline.segmentation.unet import UNet

CLOSE_UP = (1, *ResidualClassifier.close_up_irc)


def _filled_and_freed(value: float) -> None:
    """Leave memory of every size behind, full of a value, for whoever asks for some next."""
    sizes = [2**power for power in range(4, 22)]
    kept = [torch.full((size,), value, dtype=torch.bfloat16) for size in sizes for _ in range(20)]
    del kept


def _gradients(model: nn.Module, batch: Tensor, left_behind: float) -> list[Tensor]:
    model.zero_grad()
    _filled_and_freed(left_behind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(batch)
    _filled_and_freed(left_behind)
    out.float().square().sum().backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 300 - 600


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (ResidualClassifier, (1, 32, 32, 32)),
        (ResidualClassifier, CLOSE_UP),
        (partial(ResidualClassifier, field=16), (1, 32, 16, 16)),
        (partial(ResidualClassifier, channels=(16, 32, 64, 64)), (1, 32, 32, 32)),
        (CropClassifier, (1, 32, 48, 48)),
        (UNet, (7, 64, 64)),
        (UNet, (7, 8, 8)),
    ],
)
def test_no_gradient_holds_what_lay_in_memory(
    build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    """Close-ups fail with torch's own convolutions, on AVX-512."""
    torch.manual_seed(3)
    network = build().train()
    batch = _noise(8, *shape)
    for left_behind in (math.nan, 1e30):
        for found in _gradients(network, batch, left_behind):
            assert found.isfinite().all()
            assert found.abs().max() < 1e20


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("mode", ["zeros", "replicate"])
def test_few_slices_are_convolved_as_by_torch(slices: int, kernel: int, mode: str) -> None:
    ours = Conv3d(3, 4, kernel, padding=kernel // 2, padding_mode=mode)
    theirs = nn.Conv3d(3, 4, kernel, padding=kernel // 2, padding_mode=mode)
    theirs.load_state_dict(ours.state_dict())
    batch = _noise(2, 3, slices, 6, 5) / 300
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = ours(batch)
        assert torch.equal(out, theirs(batch))
    theirs(batch).sum().backward()
    out.float().sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=0.02, atol=0.2)
