# SPDX-License-Identifier: Apache-2.0
"""The published weights in our classifier, on six real crops with published answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lung_pipeline.classification.inference import classify
from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.classification.reference import read_reference_classifier
from lung_pipeline.errors import ModelError
from lung_pipeline.segmentation.reference import read_reference_unet

PUBLISHED = [0.9929, 1.0, 0.9748, 0.9995, 0.0, 0.0]
"""Nodule probabilities of the reference design, in the order of crops.csv."""


def _weights(data: Path, kind: str) -> Path:
    [path] = (data / "reference_weights").glob(f"{kind}_*.state")
    return path


@pytest.fixture(scope="module")
def model(reference_data: Path) -> CropClassifier:
    return read_reference_classifier(_weights(reference_data, "cls"))


@pytest.fixture(scope="module")
def crops_hu(reference_data: Path) -> np.ndarray:
    files = pd.read_csv(reference_data / "crops" / "crops.csv")["file"]
    crops = []
    for file in files:
        with np.load(reference_data / "crops" / file, allow_pickle=False) as archive:
            crops.append(np.rint(archive["ct_chunk"]).astype(np.int16))
    return np.stack(crops)


def test_six_real_crops_have_their_published_probabilities(
    model: CropClassifier, crops_hu: np.ndarray
) -> None:
    assert crops_hu.shape == (6, 32, 48, 48)
    assert classify(model, crops_hu) == pytest.approx(PUBLISHED, abs=1e-3)


def test_what_is_seen_twice_is_plain_float32(model: CropClassifier, crops_hu: np.ndarray) -> None:
    with torch.inference_mode():
        logits = model(torch.from_numpy(crops_hu).float()[:, None])
    plain = logits.softmax(dim=1)[:, 1].numpy()
    np.testing.assert_allclose(classify(model, crops_hu)[:4], plain[:4], atol=1e-6)


def test_the_weights_of_another_network_are_refused(reference_data: Path) -> None:
    with pytest.raises(ModelError, match="those of CropClassifier"):
        read_reference_classifier(_weights(reference_data, "seg"))
    with pytest.raises(ModelError, match="those of UNet"):
        read_reference_unet(_weights(reference_data, "cls"))


def test_the_published_unet_fills_ours(reference_data: Path) -> None:
    unet = read_reference_unet(_weights(reference_data, "seg"))
    assert not unet.training
    assert sum(p.numel() for p in unet.parameters()) == 118_271
    assert unet.input_norm.running_mean.mean().item() < -100  # it has seen HU
