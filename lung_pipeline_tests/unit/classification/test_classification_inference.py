# SPDX-License-Identifier: Apache-2.0
"""A probability that matters is a float32 one, whatever computed the others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from lung_pipeline.classification import inference
from lung_pipeline.classification.inference import HOPELESS, classify, classify_rows
from lung_pipeline.classification.network import CropClassifier, CropNetwork
from lung_pipeline.crops.frame import CLOSE_UP_MM
from lung_pipeline.crops.store import CropSet
from lung_pipeline.crops.windows import CROP_SHAPE_IRC


def _crops(number: int) -> np.ndarray:
    """Lung with a ball of tissue in the middle, of many sizes and densities."""
    rng = np.random.default_rng(1)
    offsets = np.meshgrid(*(np.arange(n) - n // 2 for n in CROP_SHAPE_IRC), indexing="ij")
    distance = np.sqrt(sum(offset**2 for offset in offsets))
    crops = rng.normal(-850, 40, (number, *CROP_SHAPE_IRC))
    for crop in crops:
        crop[distance < rng.uniform(0, 15)] = rng.uniform(-700, 300)
    return crops.astype(np.int16)


def _model() -> CropClassifier:
    torch.manual_seed(14)
    model = CropClassifier(first_channels=2)
    nn.init.normal_(model.head.weight)  # as sure as a trained one: of 24 crops half are hopeless
    model.tail.running_mean.fill_(-800)
    model.tail.running_var.fill_(200**2)
    return model


def _plain(model: nn.Module, crops_hu: np.ndarray) -> np.ndarray:
    model.eval()
    with torch.inference_mode():
        one_by_one = [
            model(torch.from_numpy(crop)[None, None].float()).softmax(dim=1)[0, 1].item()
            for crop in crops_hu
        ]
    return np.asarray(one_by_one)


def test_what_is_not_hopeless_is_computed_in_float32() -> None:
    model, crops_hu = _model(), _crops(24)
    plain, found = _plain(model, crops_hu), classify(model, crops_hu)
    assert not model.training
    assert found.dtype == np.float64
    hopeful = plain > HOPELESS + 0.005
    assert 3 < hopeful.sum() < 24
    # In batches of other sizes float32 is added up in another order.
    np.testing.assert_allclose(found[hopeful], plain[hopeful], atol=1e-5)
    np.testing.assert_allclose(found, plain, atol=0.005)


@pytest.mark.parametrize("batch", [1, 5, 100])
def test_the_size_of_a_batch_changes_nothing(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, crops_hu = _model(), _crops(7)
    expected = classify(model, crops_hu)
    monkeypatch.setattr(inference, "BATCH_CROPS", batch)
    np.testing.assert_allclose(classify(model, crops_hu), expected, atol=1e-5)


class _CornerValue(nn.Module):
    """Its logits are 0 and the first voxel's HU over 100."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, crops_hu: Tensor) -> Tensor:
        assert crops_hu.shape[1:] == (1, *CROP_SHAPE_IRC)
        first = crops_hu[:, 0, 0, 0, 0] / 100
        return torch.stack([torch.zeros_like(first), first], dim=1)


def test_each_crop_has_its_own_probability_in_their_order() -> None:
    values = np.array([-1000, -300, 0, 50, 800])
    crops_hu = np.broadcast_to(values[:, None, None, None], (5, *CROP_SHAPE_IRC)).astype(np.int16)
    expected = 1 / (1 + np.exp(-values / 100))
    np.testing.assert_allclose(classify(_CornerValue(), crops_hu), expected, atol=1e-6)


def test_no_crops_no_probabilities() -> None:
    assert classify(_CornerValue(), np.empty((0, *CROP_SHAPE_IRC), dtype=np.int16)).shape == (0,)


class _OfSpacing(CropNetwork):
    """Of a crop whose slices grow by 100 HU each it tells how far they lie apart, in mm."""

    sees_close_ups = True
    close_up_irc = (2, 2, 2)

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, crops_hu: Tensor) -> Tensor:
        assert crops_hu.shape[1:] == (1, 2, 2, 2)
        apart_hu = (crops_hu[:, 0, 1] - crops_hu[:, 0, 0]).mean(dim=(1, 2))
        spacing_mm = 100 * (CLOSE_UP_MM / 2) / apart_hu
        return torch.stack([torch.zeros_like(spacing_mm), 10 * (spacing_mm - 1)], dim=1)


def _growing(number: int) -> np.ndarray:
    slices_hu = 100 * np.arange(CROP_SHAPE_IRC[0], dtype=np.int16) - 1000
    return np.broadcast_to(slices_hu[:, None, None], (number, *CROP_SHAPE_IRC))


def _spacings(slice_mm: np.ndarray) -> np.ndarray:
    return np.stack([slice_mm, np.ones(len(slice_mm)), np.ones(len(slice_mm))], axis=1)


def test_a_model_that_sees_close_ups_is_given_each_crop_by_its_spacing() -> None:
    """Also where hopeless ones are left out of the second look: every other one is."""
    slice_mm = np.where(np.arange(40) % 2, np.linspace(0.8, 1.3, 40), 0.4)
    found = classify(_OfSpacing(), _growing(40), spacing_irc_mm=_spacings(slice_mm))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-10 * (slice_mm - 1))), atol=1e-4)


def test_rows_of_a_store_have_the_spacing_of_their_own() -> None:
    crops = CropSet((np.array(_growing(6)),), pd.DataFrame(index=range(6)))
    slice_mm = np.linspace(0.8, 1.2, 6)
    rows = np.array([5, 0, 3])
    found = classify_rows(_OfSpacing(), crops, rows, _spacings(slice_mm))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-10 * (slice_mm[rows] - 1))), atol=1e-4)


def test_close_ups_without_the_spacing_are_refused() -> None:
    with pytest.raises(ValueError, match="needs the voxels' spacing"):
        classify(_OfSpacing(), _growing(1))


def test_who_sees_voxels_only_is_not_told_the_spacing() -> None:
    model, crops_hu = _model(), _crops(3)
    told = classify(model, crops_hu, spacing_irc_mm=np.ones((3, 3)))
    np.testing.assert_array_equal(told, classify(model, crops_hu))
