# SPDX-License-Identifier: Apache-2.0
"""The networks over crops, by name; the nodule model has one of them.

Belongs here: names. Does not belong here: networks. To add one, see docs/how-to/add-a-model.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from lung_pipeline.classification.network import CropClassifier, CropNetwork
from lung_pipeline.classification.residual import ResidualClassifier
from lung_pipeline.classification.settings import NetworkName
from lung_pipeline.learning.networks import built_by_name

NETWORKS: Mapping[NetworkName, type[CropNetwork]] = {
    "book": CropClassifier,
    "residual-se": ResidualClassifier,
}
"""What the setting ``network`` of the nodule model may say."""

OF_NODULE = tuple(NETWORKS.values())
"""What a nodule model may be, and what a malignancy model sees with."""


def network_named(name: str) -> CropNetwork:
    """A fresh network by its name, as large as it is by default.

    Raises:
        SettingError: there is none of that name.
    """
    return built_by_name(NETWORKS, name, "setting 'network' of the nodule model")
