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
    """Its logits are 0 and what is told of a crop's spacing in mm: slice, row and column added."""

    needs_spacing = True

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, crops_hu: Tensor, spacing_irc_mm: Tensor | None = None) -> Tensor:
        assert spacing_irc_mm is not None
        assert len(spacing_irc_mm) == len(crops_hu)
        told = spacing_irc_mm.float() @ torch.tensor([1.0, 10.0, 100.0])
        return torch.stack([torch.zeros_like(told), told], dim=1)


def _spacings(values: np.ndarray) -> np.ndarray:
    """A slice's spacing by which the other two are too little to matter."""
    return np.stack([values, np.zeros(len(values)), np.zeros(len(values))], axis=1)


def test_a_model_that_needs_it_is_told_the_spacing_of_each_crop() -> None:
    """Also where hopeless ones are left out of the second look: every other one is."""
    values = np.where(np.arange(40) % 2, np.linspace(0.5, 3, 40), -9.0)
    crops_hu = np.zeros((40, *CROP_SHAPE_IRC), dtype=np.int16)
    found = classify(_OfSpacing(), crops_hu, spacing_irc_mm=_spacings(values))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-values)), atol=1e-6)


def test_rows_of_a_store_have_the_spacing_of_their_own() -> None:
    crops = CropSet((np.zeros((6, *CROP_SHAPE_IRC), dtype=np.int16),), pd.DataFrame(index=range(6)))
    values = np.linspace(-2, 2, 6)
    rows = np.array([5, 0, 3])
    found = classify_rows(_OfSpacing(), crops, rows, _spacings(values))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-values[rows])), atol=1e-6)


def test_who_sees_voxels_only_is_not_told_the_spacing() -> None:
    model, crops_hu = _model(), _crops(3)
    told = classify(model, crops_hu, spacing_irc_mm=np.ones((3, 3)))
    np.testing.assert_array_equal(told, classify(model, crops_hu))
