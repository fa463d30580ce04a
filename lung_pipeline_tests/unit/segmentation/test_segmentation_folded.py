# SPDX-License-Identifier: Apache-2.0
"""Folding the batch norms changes how fast a U-Net answers, not what it answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lung_pipeline.segmentation.folded import Affine, FoldedUNet
from lung_pipeline.segmentation.inference import segment
from lung_pipeline.segmentation.unet import UNet

FELT = 24
"""So far from a picture's edge the zeros around it may be felt, in pixels."""


def _unet(depth: int = 3) -> UNet:
    """A network as after training: no batch norm is the identity, and some scales are negative."""
    torch.manual_seed(2)
    model = UNet(depth=depth, first_filters=8)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 0.6, 0.6)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.normal_(module.running_mean, 0.5, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    model.input_norm.running_mean.fill_(-600)
    model.input_norm.running_var.fill_(400**2)
    model.last.bias.data.zero_()
    return model.eval()


def _slices(rows: int, columns: int) -> torch.Tensor:
    drawn = np.random.default_rng(1).integers(-1000, 400, (2, 7, rows, columns))
    return torch.from_numpy(drawn).float()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_far_from_the_edge_both_say_the_same(depth: int) -> None:
    model, slices_hu = _unet(depth), _slices(80, 96)
    with torch.inference_mode():
        itself = model(slices_hu)
    folded = FoldedUNet(model, torch.float32)(slices_hu)
    assert folded.shape == itself.shape
    inner = np.s_[:, :, FELT:-FELT, FELT:-FELT]
    assert float(itself[inner].std()) > 0.1
    torch.testing.assert_close(folded[inner], itself[inner], atol=2e-3, rtol=1e-3)


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="this processor convolves no bfloat16 (AVX-512)",
)
def test_bfloat16_agrees_within_its_rounding() -> None:
    model, slices_hu = _unet(), _slices(80, 96)
    exact = torch.sigmoid(FoldedUNet(model, torch.float32)(slices_hu))
    rounded = FoldedUNet(model, torch.bfloat16)(slices_hu)
    assert rounded.dtype == torch.float32
    assert float((torch.sigmoid(rounded) - exact).abs().mean()) < 0.02


def test_any_size_comes_back_as_it_was() -> None:
    assert FoldedUNet(_unet(), torch.float32)(_slices(50, 67)).shape == (2, 1, 50, 67)


def test_the_network_is_left_as_it_is() -> None:
    model = _unet()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    FoldedUNet(model, torch.float32)(_slices(32, 32))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_batch_norm_multiplies_and_adds() -> None:
    norm = nn.BatchNorm2d(1, eps=0.0).eval()
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(4.0)
    norm.weight.data.fill_(10.0)
    norm.bias.data.fill_(1.0)
    affine = Affine.of(norm)
    # (x - 3) / 2 * 10 + 1
    assert (affine.scale.item(), affine.shift.item()) == (5.0, -14.0)


def test_without_statistics_nothing_can_be_folded() -> None:
    with pytest.raises(TypeError, match="running statistics"):
        Affine.of(nn.BatchNorm2d(3, track_running_stats=False))


def test_a_part_of_a_scan_says_what_the_whole_scan_says() -> None:
    voxels_hu = np.random.default_rng(3).integers(-1000, 400, (5, 96, 112)).astype(np.int16)
    model = _unet()
    whole = segment(model, voxels_hu, precision="float32")
    parts = [
        (slice(0, 3), slice(8, 88), slice(16, 96)),
        (slice(3, 5), slice(16, 96), slice(8, 104)),
    ]
    found = segment(model, voxels_hu, parts, precision="float32")
    assert found.start_irc == (0, 8, 8)
    assert found.values.shape == (5, 88, 96)
    for slices, rows, columns in parts:
        inner = (slices, _shrunk(rows), _shrunk(columns))
        here = tuple(
            slice(s.start - first, s.stop - first)
            for s, first in zip(inner, found.start_irc, strict=True)
        )
        np.testing.assert_allclose(found.values[here], whole.values[inner], atol=2e-3)
    # Nobody looked at the corner that neither part holds.
    assert not found.values[:3, -8:, -8:].any()


def test_mirrored_both_sides_weigh_the_same() -> None:
    voxels_hu = np.random.default_rng(3).integers(-1000, 400, (3, 40, 48)).astype(np.int16)
    model = _unet()
    found = segment(model, voxels_hu, precision="float32", is_mirrored=True).values
    other = segment(model, voxels_hu[..., ::-1].copy(), precision="float32", is_mirrored=True)
    np.testing.assert_allclose(found, other.values[..., ::-1], atol=1e-3)
    once = segment(model, voxels_hu, precision="float32").values
    assert np.abs(found - once).max() > 0.01


def _shrunk(along: slice) -> slice:
    return slice(along.start + FELT, along.stop - FELT)
