# SPDX-License-Identifier: Apache-2.0
"""Registered models whose answers are known: what is bright is a nodule, each with the same odds.

Unlike ``dense_networks`` they are of the networks that a registry holds, so that a command or
another process can load them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import ModelCard, write_model
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, UNet
from lung_pipeline.tracking.names import CHAMPION, MALIGNANCY, NODULE, SEGMENTATION
from lung_pipeline.tracking.registry import register
from lung_pipeline.tracking.runs import run

NODULE_LOGIT, MALIGNANCY_LOGIT = 2.0, 1.0
"""Of every finding."""


def register_bright_models(home: Home) -> None:
    """Make three champions: marks all above -400 HU, and judges everything alike."""
    networks = {
        SEGMENTATION: _bright(),
        NODULE: _sure(NODULE_LOGIT),
        MALIGNANCY: _sure(MALIGNANCY_LOGIT),
    }
    for step, network in networks.items():
        card = ModelCard(type(network).__name__, network.architecture, f"{step} of a test")
        with (
            tempfile.TemporaryDirectory() as scratch,
            run(home, f"lung-{step}", "training") as opened,
        ):
            folder = Path(scratch) / step
            sha256 = write_model(folder, network, card).weights_sha256
            register(opened, step, folder, sha256, CHAMPION)


def _bright() -> UNet:
    """The logit is (HU + 400) / 100 of the voxel itself."""
    network = UNet(depth=1, first_filters=1)
    (only,) = network.down
    with torch.no_grad():
        for convolution in (only.conv1, only.conv2, network.last):
            convolution.weight.zero_()
            convolution.bias.zero_()
        only.conv1.weight[0, CONTEXT_SLICES, 1, 1] = 0.01
        only.conv1.bias[0] = 10.0
        only.conv2.weight[0, 0, 1, 1] = 1.0
        network.last.weight[0, 0, 0, 0] = 1.0
        network.last.bias[0] = -6.0
    return network


def _sure(logit: float) -> CropClassifier:
    network = CropClassifier(first_channels=1)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([0.0, logit]))
    return network
