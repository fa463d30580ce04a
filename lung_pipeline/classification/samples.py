# SPDX-License-Identifier: Apache-2.0
"""Batches of crops on their device, each crop changed in its own way.

Belongs here: crops with labels, epoch by epoch. Does not belong here: which crops (``tasks.py``),
who reads them (``crops.loader``), and what is learned from them (``training.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.classification.settings import CropSettings
from lung_pipeline.classification.tasks import Task
from lung_pipeline.crops import augmentation
from lung_pipeline.crops.frame import Frame
from lung_pipeline.crops.loader import CropLoader
from lung_pipeline.crops.sampling import Rows
from lung_pipeline.learning.seeds import seeded_for

CropBatch = tuple[Tensor, ...]
"""Crops in HU (batch, 1, index, row, column) and labels (batch,). Where the task has it also what
readers said (batch, n), and how many times as large as it is each nodule is seen, (batch,)."""


class CropSamples:
    """The training crops of a task; to be closed, or used in a ``with`` statement."""

    def __init__(
        self, task: Task, settings: CropSettings, device: torch.device, network: CropNetwork
    ) -> None:
        """Nothing is read yet.

        Args:
            task: which crops, and what is true of them.
            settings: how many, and how they are changed.
            device: where they are to be.
            network: whom they are for.

        Raises:
            AnnotationError: a group with a share has no crops.
            SettingError: a share so small that nothing of it would ever be drawn.
        """
        truths = [torch.from_numpy(task.labels)]
        if task.said is not None:
            truths.append(torch.from_numpy(task.said).float())
        self._truths = [truth.to(device) for truth in truths]
        self._settings, self._device, self._network = settings, device, network
        self._spacing_irc_mm, self._has_words = task.spacing_irc_mm, task.said is not None
        self._loader = CropLoader(
            task.crops,
            task.train,
            batch_size=settings.batch_size,
            num_batches=settings.steps_per_epoch,
            seed=settings.seed,
            num_workers=settings.num_workers,
            pin_memory=device.type == "cuda",
        )

    def __enter__(self) -> CropSamples:
        return self

    def __exit__(self, *_: object) -> None:
        self._loader.close()

    def epoch(self, number: int) -> Iterator[CropBatch]:
        """The batches of an epoch, counted from 1; the same at every call."""
        rng = seeded_for(self._settings.seed, number)
        for rows, crops in self._loader.epoch(number):
            crops_hu = crops[:, None].to(self._device, non_blocking=True)
            drawn = augmentation.draw(len(rows), rng, self._settings)
            chosen = torch.from_numpy(rows).to(self._device)
            truths = [truth[chosen] for truth in self._truths]
            if self._has_words:
                truths.append(torch.from_numpy(drawn.scale).float().to(self._device))
            yield augmentation.apply(crops_hu, drawn, frame=self._frame(rows)), *truths

    def _frame(self, rows: Rows) -> Frame:
        spacing = None if self._spacing_irc_mm is None else self._spacing_irc_mm[rows]
        return self._network.frame(spacing)
