# SPDX-License-Identifier: Apache-2.0
"""What models, aliases and experiments are called; free of MLflow, so that naming one is cheap."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SEGMENTATION, NODULE, MALIGNANCY = "segmentation", "nodule", "malignancy"
"""The steps that have a model."""

STEPS = (SEGMENTATION, NODULE, MALIGNANCY)

REGISTERED: Mapping[str, str] = MappingProxyType({step: f"lung-{step}" for step in STEPS})
"""The registered model of each step."""

CHAMPION, CHALLENGER, REFERENCE = "champion", "challenger", "reference"
"""The model that is in use; the newest that was trained; the book's published weights."""

SCORING = "lung-evaluation"
"""The experiment of scorecards and revalidations; trainings have their model's name."""

PRIMER = "lung-primer"
"""The experiment of the one-neuron example."""


def model_uri(step: str, alias: str) -> str:
    """The MLflow address of a step's model by alias."""
    return f"models:/{REGISTERED[step]}@{alias}"
