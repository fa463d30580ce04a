# SPDX-License-Identifier: Apache-2.0
"""Settings of the three trainings for a machine: the demo's, a laptop's, one GPU's.

A profile says only what differs from the defaults, which are those of a GPU and LUNA16. What a
training was really given, defaults included, stands on its model card.
"""

from collections.abc import Mapping
from typing import Any

Profile = Mapping[str, Mapping[str, Any]]
"""For each model asset its settings."""

DEMO: Profile = {
    "segmentation_model": {
        "epochs": 4,
        "steps_per_epoch": 100,
        "batch_size": 32,
        "learning_rate": 6e-3,
    },
    "nodule_model": {
        "network": "residual-se",
        "epochs": 4,
        "steps_per_epoch": 60,
        "batch_size": 24,
        "learning_rate": 2e-3,
    },
    "malignancy_model": {
        "epochs": 3,
        "steps_per_epoch": 30,
        "batch_size": 24,
        "learning_rate": 1e-3,
        "depth": 3,
        "malignant_share": 0.45,
        "benign_share": 0.45,
    },
}
"""Learns phantoms on two cores in about two minutes; shows that all works, and little else."""

LAPTOP: Profile = {
    "segmentation_model": {
        "epochs": 4,
        "steps_per_epoch": 150,
        "batch_size": 32,
        "learning_rate": 6e-3,
    },
    "nodule_model": {
        "network": "residual-se",
        "epochs": 3,
        "steps_per_epoch": 100,
        "batch_size": 32,
        "learning_rate": 2e-3,
    },
    "malignancy_model": {
        "epochs": 18,
        "steps_per_epoch": 100,
        "batch_size": 32,
        "learning_rate": 4e-3,
        "scaling": 0.1,
        "average_decay": 0.98,
        "depth": 3,
        "malignant_share": 0.45,
        "benign_share": 0.45,
        "judged_by": "characteristics",
    },
}
"""Learns phantoms on two cores within a quarter of an hour, well enough to be judged by."""

GPU: Profile = {
    "segmentation_model": {"device": "cuda"},
    "nodule_model": {"device": "cuda"},
    "malignancy_model": {"device": "cuda"},
}
"""The defaults, made for LUNA16, on a CUDA card; refused where there is none."""

PROFILES: Mapping[str, Profile] = {"demo": DEMO, "laptop": LAPTOP, "gpu": GPU}
"""The profiles by name."""


def run_config(profile: Profile) -> dict[str, Any]:
    """A profile as Dagster's run config, which the Launchpad shows and a person may change."""
    return {"ops": {asset: {"config": dict(knobs)} for asset, knobs in profile.items()}}
