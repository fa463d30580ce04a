# SPDX-License-Identifier: Apache-2.0
"""The book's published U-Net weights in our U-Net: our module, their numbers."""

from __future__ import annotations

from pathlib import Path

from lung_pipeline.learning.foreign import read_foreign_state, renamed
from lung_pipeline.segmentation.unet import UNet

_NAMES = (
    (r"input_batchnorm\.", "input_norm."),
    (r"unet\.down_path\.(\d)\.block\.0\.", r"down.\1.conv1."),
    (r"unet\.down_path\.(\d)\.block\.2\.", r"down.\1.norm1."),
    (r"unet\.down_path\.(\d)\.block\.3\.", r"down.\1.conv2."),
    (r"unet\.down_path\.(\d)\.block\.5\.", r"down.\1.norm2."),
    (r"unet\.up_path\.(\d)\.up\.", r"up.\1.upsample."),
    (r"unet\.up_path\.(\d)\.conv_block\.block\.0\.", r"up.\1.convs.conv1."),
    (r"unet\.up_path\.(\d)\.conv_block\.block\.2\.", r"up.\1.convs.norm1."),
    (r"unet\.up_path\.(\d)\.conv_block\.block\.3\.", r"up.\1.convs.conv2."),
    (r"unet\.up_path\.(\d)\.conv_block\.block\.5\.", r"up.\1.convs.norm2."),
    (r"unet\.last\.", "last."),
)


def read_reference_unet(path: Path) -> UNet:
    """The U-Net with the published weights (118,271 parameters), ready to infer.

    Raises:
        ModelError: the file is no checkpoint, or not of this network.
    """
    model = UNet()
    renamed(read_foreign_state(path), _NAMES, into=model, place=path)
    return model.eval()
