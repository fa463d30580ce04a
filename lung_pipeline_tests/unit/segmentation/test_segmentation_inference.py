# SPDX-License-Identifier: Apache-2.0
"""A whole volume, some slices at a time, is the same as slice by slice in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lung_pipeline.errors import ModelError
from lung_pipeline.segmentation import inference
from lung_pipeline.segmentation.inference import segment, windows_of_slices
from lung_pipeline.segmentation.unet import UNet


class _MiddleSlice(nn.Module):
    """Its logit is the middle slice's HU: what comes out tells which slice went in where."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, slices_hu: Tensor) -> Tensor:
        return slices_hu[:, 3:4] / 100


def _volume(shape: tuple[int, int, int] = (9, 30, 34)) -> np.ndarray:
    return np.random.default_rng(1).integers(-1000, 400, shape).astype(np.int16)


def _unet() -> UNet:
    torch.manual_seed(1)
    model = UNet()
    model.input_norm.running_mean.fill_(-300)
    model.input_norm.running_var.fill_(400**2)
    # A fresh network starts from rare nodules; here both ends of the scale are wanted.
    model.last.bias.data.zero_()
    return model


def test_probabilities_lie_where_the_voxels_lie() -> None:
    found = segment(_MiddleSlice(), _volume()).values
    assert (found.shape, found.dtype) == ((9, 30, 34), np.float16)
    expected = 1 / (1 + np.exp(-_volume() / 100))
    np.testing.assert_allclose(found, expected, atol=6e-4)


@pytest.mark.parametrize("kind", [_MiddleSlice, _unet])
def test_probability_that_is_no_number_is_refused_and_is_not_no_nodule(
    kind: Callable[[], nn.Module],
) -> None:
    model = kind()
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    if isinstance(model, _MiddleSlice):
        model.forward = lambda slices_hu: slices_hu[:, 3:4] * model.unused  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="a probability must be a number, got NaN"):
        segment(model, _volume())


@pytest.mark.parametrize("slices_together", [1, 4, 100])
def test_any_batch_agrees_with_a_plain_float32_loop(
    slices_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "BATCH_PIXELS", slices_together * 30 * 34)
    model, voxels_hu = _unet(), _volume()
    found = segment(model, voxels_hu).values
    assert not model.training
    plain = np.empty(voxels_hu.shape)
    with torch.inference_mode():
        for index in range(len(voxels_hu)):
            slices = torch.from_numpy(windows_of_slices(voxels_hu, [index])).float()
            plain[index] = torch.sigmoid(model(slices))[0, 0].numpy()
    assert np.ptp(plain) > 0.9
    errors = np.abs(found.astype(np.float64) - plain)
    # bfloat16 carries 8 bits; where it is not fast, all is float32.
    assert errors.mean() < 0.01
    assert errors.max() < 0.1


def test_a_picture_larger_than_a_batch_goes_slice_by_slice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "BATCH_PIXELS", 10)
    assert segment(_MiddleSlice(), _volume()).values.shape == (9, 30, 34)
