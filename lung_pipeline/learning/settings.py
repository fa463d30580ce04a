# SPDX-License-Identifier: Apache-2.0
"""The settings every training has, checked where they enter.

Free of torch, so that a user interface can show them without paying for it. The docstring under a
field is the text a person reads beside it in Dagster's Launchpad.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrainingSettings(BaseModel):
    """How long, how fast, from which seed and where a model is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    epochs: int = Field(default=30, ge=1)
    """Passes; the best one's weights are kept."""

    steps_per_epoch: int = Field(default=1000, ge=1)
    """Batches a pass: an epoch is a number of samples, not of nodules."""

    batch_size: int = Field(default=32, ge=1)
    """Samples in a batch."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest rate of the schedule."""

    seed: int = 1
    """Of weights, samples and augmentation."""

    device: str = "auto"
    """Where to train: cuda (fails where there is none), cpu, or auto (cuda where there is one)."""
