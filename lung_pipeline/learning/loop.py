# SPDX-License-Identifier: Apache-2.0
"""One loop for all three models, readable top to bottom.

Belongs here: epochs, steps, keeping the best. Does not belong here: what a batch is, what the loss
is, where numbers are logged; these come in as functions.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lung_pipeline.errors import ModelError
from lung_pipeline.learning.device import mixed_precision

Batch = TypeVar("Batch")

VALIDATION_LOSS = "validation/loss"
"""The metric by which the best epoch is chosen, the lowest being the best."""

CLIPPED_GRADIENT_NORM = 5.0
"""Gradients are scaled down to this norm: one strange batch must not undo an epoch."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the samples gave."""

    number: int
    """From 1."""

    metrics: Mapping[str, float]
    """``train/loss`` and whatever the validation gave."""

    seconds: float
    """How long it took, validation included."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int
    """Passes over the samples."""

    steps_per_epoch: int
    """Batches in a pass."""

    learning_rate: float
    """The highest: after a warm-up, before a cosine down to nothing (Smith 2018, 1803.09820)."""

    weight_decay: float = 1e-4
    """Of AdamW (Loshchilov and Hutter, 1711.05101)."""


def fit(
    model: nn.Module,
    schedule: Schedule,
    *,
    batches: Callable[[], Iterable[Batch]],
    loss: Callable[[nn.Module, Batch], Tensor],
    validate: Callable[[nn.Module], Mapping[str, float]],
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the parameters that want gradients; the model ends with its best epoch's weights.

    Args:
        model: on its device already; changed in place.
        schedule: epochs, steps and rate.
        batches: gives the batches of one epoch, ``schedule.steps_per_epoch`` of them.
        loss: the mean loss of a batch.
        validate: metrics on the validation part, ``validation/loss`` among them.
        on_epoch: told each epoch as it ends.

    Raises:
        ModelError: the training or validation loss is NaN or infinite.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=schedule.learning_rate,
        total_steps=schedule.epochs * schedule.steps_per_epoch,
    )
    history: list[Epoch] = []
    best_loss, best_weights = math.inf, copy.deepcopy(model.state_dict())
    for number in range(1, schedule.epochs + 1):
        started = time.monotonic()
        _prepare_to_learn(model)
        total = 0.0
        for batch in batches():
            optimizer.zero_grad()
            batch_loss = _loss_in_mixed_precision(model, loss, batch)
            batch_loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIPPED_GRADIENT_NORM)
            optimizer.step()
            rate.step()
            total += _finite(batch_loss.item(), f"training loss in epoch {number}")
        metrics = {"train/loss": total / schedule.steps_per_epoch, **_validated(model, validate)}
        history.append(Epoch(number, metrics, time.monotonic() - started))
        on_epoch(history[-1])
        loss_now = _finite(metrics[VALIDATION_LOSS], f"validation loss in epoch {number}")
        if loss_now < best_loss:
            best_loss, best_weights = loss_now, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    return history


def best_epoch(history: Iterable[Epoch]) -> Epoch:
    """The epoch whose weights were kept: the first with the lowest validation loss."""
    return min(history, key=lambda epoch: epoch.metrics[VALIDATION_LOSS])


def _prepare_to_learn(model: nn.Module) -> None:
    """Training mode, but not for what is frozen: a frozen batch norm keeps its statistics too."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _loss_in_mixed_precision(
    model: nn.Module, loss: Callable[[nn.Module, Batch], Tensor], batch: Batch
) -> Tensor:
    with mixed_precision(next(model.parameters()).device):
        return loss(model, batch)


@torch.inference_mode()
def _validated(
    model: nn.Module, validate: Callable[[nn.Module], Mapping[str, float]]
) -> Mapping[str, float]:
    model.eval()
    return validate(model)


def _finite(loss: float, place: str) -> float:
    if not math.isfinite(loss):
        raise ModelError(
            value=loss,
            place=place,
            rule="the loss must stay finite",
            cure="Lower the learning rate, or look for broken samples.",
        )
    return loss
