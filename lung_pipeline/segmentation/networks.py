# SPDX-License-Identifier: Apache-2.0
"""The networks that mark voxels, by name.

Each is an ``nn.Module`` with keyword arguments and a dictionary ``architecture`` that holds them.
It takes seven slices in HU, (batch, 7, row, column), any size, and gives logits, (batch, 1, row,
column); in training mode it may give more than one head, the finest first.

Belongs here: names. Does not belong here: networks. To add one, see docs/how-to/add-a-model.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from lung_pipeline.learning.networks import built_by_name
from lung_pipeline.segmentation.dynunet import DynamicUNet
from lung_pipeline.segmentation.settings import NetworkName
from lung_pipeline.segmentation.unet import UNet

NETWORKS: Mapping[NetworkName, type[nn.Module]] = {"unet": UNet, "dynunet": DynamicUNet}
"""What the setting ``network`` of the segmentation may say."""


def network_named(name: str) -> nn.Module:
    """A fresh network by its name, as large as it is by default.

    Raises:
        SettingError: there is none of that name, or what it needs is not installed.
    """
    return built_by_name(NETWORKS, name, "setting 'network' of the segmentation")
