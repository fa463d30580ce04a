# SPDX-License-Identifier: Apache-2.0
"""The classifier's size and shape."""

from __future__ import annotations

import torch

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.crops.windows import CROP_SHAPE_IRC


def test_the_network_has_the_parameters_of_the_reference_design() -> None:
    assert sum(p.numel() for p in CropClassifier().parameters()) == 222_220


def test_two_logits_for_each_crop() -> None:
    with torch.inference_mode():
        logits = CropClassifier().eval()(torch.zeros(3, 1, *CROP_SHAPE_IRC))
    assert logits.shape == (3, 2)


def test_the_architecture_rebuilds_the_network() -> None:
    model = CropClassifier(first_channels=2)
    assert model.architecture == {"first_channels": 2}
    CropClassifier(**model.architecture).load_state_dict(model.state_dict())


def test_every_part_of_the_crop_matters() -> None:
    torch.manual_seed(1)
    crops = torch.randn(1, 1, *CROP_SHAPE_IRC).requires_grad_(requires_grad=True)
    CropClassifier().eval()(crops)[0, 1].backward()
    assert crops.grad is not None
    for corner in crops.grad[0, 0].abs().unfold(0, 16, 16).unfold(1, 24, 24).unfold(2, 24, 24):
        assert (corner.sum((-1, -2, -3)) > 0).all()
