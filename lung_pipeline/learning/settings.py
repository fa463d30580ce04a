# SPDX-License-Identifier: Apache-2.0
"""The settings every training has, checked where they enter.

Free of torch, so that a user interface can show them without paying for it. The docstring under a
field is the text a person reads beside it in Dagster's Launchpad.
"""

from __future__ import annotations

from dataclasses import fields

from pydantic import BaseModel, ConfigDict, Field

from lung_pipeline.learning.schedule import Schedule


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

    weight_decay: float = Field(default=1e-4, ge=0)
    """How strongly weights are pulled to nothing (AdamW)."""

    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of all steps in which the rate rises to its highest."""

    patience: int = Field(default=0, ge=0)
    """Stop after so many epochs without a better validation loss; 0: never."""

    average_decay: float = Field(default=0.0, ge=0, lt=1)
    """Keep a running average of the weights, such as 0.999, and judge that; 0: no average."""

    micro_batch: int = Field(default=0, ge=0)
    """Samples that go through the model at once: each portion goes twice, half as much time again
    and more, with batch norms of its own; 0: a whole batch, less where memory ends."""

    compiled: bool = False
    """Translate the model with torch.compile first: minutes once, then faster steps."""

    seed: int = Field(default=1, ge=0)
    """Of weights, samples and augmentation."""

    device: str = "auto"
    """Where to train: cuda (fails where there is none), cpu, or auto (cuda where there is one)."""

    def schedule(self) -> Schedule:
        """The plan of the training these settings ask for."""
        return Schedule(**{f.name: getattr(self, f.name) for f in fields(Schedule)})
