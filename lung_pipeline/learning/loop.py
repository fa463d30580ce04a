# SPDX-License-Identifier: Apache-2.0
"""One loop for all three models, readable top to bottom.

Belongs here: epochs, steps, keeping the best. Does not belong here: what a batch is, what the loss
is, where numbers are logged; these come in as functions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lung_pipeline.errors import DeviceError, ModelError
from lung_pipeline.learning.compiled import compiled
from lung_pipeline.learning.device import CPU, mixed_precision
from lung_pipeline.learning.epoch import (
    MICRO_BATCH,
    TRAINING_LOSS,
    VALIDATION_LOSS,
    Epoch,
    Validation,
    best_epoch,
)
from lung_pipeline.learning.memory import keep_freed_memory
from lung_pipeline.learning.portions import InPortions
from lung_pipeline.learning.schedule import Schedule
from lung_pipeline.learning.state import TrainingState, resume, write_checkpoint
from lung_pipeline.learning.watching import SILENT, Watcher

Batch = tuple[Tensor, ...]
"""Tensors on the model's device whose first axis is the sample."""

Loss = Callable[[nn.Module, Batch], Tensor]
"""The loss of a batch under a model."""

CLIPPED_GRADIENT_NORM = 5.0
"""Gradients are scaled down to this norm: one strange batch must not undo an epoch."""


def fit(
    model: nn.Module,
    schedule: Schedule,
    *,
    batches: Callable[[int], Iterable[Batch]],
    loss: Loss,
    validate: Callable[[nn.Module], Validation],
    watcher: Watcher = SILENT,
    checkpoint: Path | None = None,
) -> list[Epoch]:
    """Train the parameters that want gradients; the model ends with its best epoch's weights.

    Args:
        model: on its device already; changed in place.
        schedule: epochs, steps and rate.
        batches: gives the batches of an epoch by its number, ``schedule.steps_per_epoch`` of
            them, the same at every call.
        loss: of a whole batch, also where it goes through the model in portions.
        validate: judges the model on the validation part.
        watcher: told each epoch and step; epochs before an interruption are told again.
        checkpoint: a folder in which the state is kept after each epoch; where it is there
            already, the training goes on from it.

    Raises:
        ModelError: the training or validation loss is NaN or infinite, or the checkpoint is unfit.
        DeviceError: the device's memory does not hold a single sample's step.
    """
    if next(model.parameters()).device.type == CPU:
        keep_freed_memory()
    state = TrainingState.begin(model, schedule)
    if checkpoint is not None:
        resume(state, schedule, checkpoint)
    for epoch in state.history:
        watcher.end(epoch, ())
    if schedule.compiled:
        loss = compiled(loss, model)
    while not _is_over(state.history, schedule):
        number, started = len(state.history) + 1, time.monotonic()
        watcher.begin(number)
        learned = _learn(state, batches(number), loss, schedule, number, watcher)
        validation = _validated(state.judged, validate)
        _finite(validation.figures[VALIDATION_LOSS], f"validation loss in epoch {number}")
        figures = {TRAINING_LOSS: learned.loss, **validation.figures, **_portion(state)}
        # Plain numbers: Dagster refuses NumPy's, and would do so when all is learned.
        metrics = {name: float(value) for name, value in figures.items()}
        seconds = time.monotonic() - started
        state.history.append(
            Epoch(number, metrics, seconds, learned.num_samples, learned.seconds, learned.waiting_s)
        )
        if best_epoch(state.history).number == number:
            state.keep_best()
        if checkpoint is not None:
            write_checkpoint(state, schedule, checkpoint)
        watcher.end(state.history[-1], validation.examples)
    model.load_state_dict(state.best_weights)
    return state.history


@dataclass(slots=True)
class _Learned:
    """What one pass over the training samples gave."""

    loss: float = 0.0
    num_samples: int = 0
    seconds: float = 0.0
    waiting_s: float = 0.0


def _is_over(history: list[Epoch], schedule: Schedule) -> bool:
    """Whether all epochs are done, or the last ones brought nothing better."""
    if not history or not schedule.patience:
        return len(history) >= schedule.epochs
    stale = len(history) - best_epoch(history).number
    return len(history) >= schedule.epochs or stale >= schedule.patience


def _learn(
    state: TrainingState,
    batches: Iterable[Batch],
    loss: Loss,
    schedule: Schedule,
    number: int,
    watcher: Watcher,
) -> _Learned:
    """One pass over the training samples."""
    _prepare_to_learn(state.model)
    learned, started = _Learned(), time.monotonic()
    total = torch.zeros(())
    step = (number - 1) * schedule.steps_per_epoch
    for batch in _waited_for(batches, learned):
        for group in state.optimizer.param_groups:
            group["lr"] = schedule.rate_of(step)
        total = total.to(batch[0].device) + _take_step(state, batch, loss)
        learned.num_samples += len(batch[0])
        step += 1
        watcher.step(learned.num_samples, learned.waiting_s)
    # Asked once a pass: to look at a number on a card is to wait for the card.
    learned.loss = _finite(
        total.item() / schedule.steps_per_epoch, f"training loss in epoch {number}"
    )
    learned.seconds = time.monotonic() - started
    return learned


def _take_step(state: TrainingState, batch: Batch, loss: Loss) -> Tensor:
    """One step of the optimizer; smaller portions are tried where the memory ends."""
    while True:
        try:
            batch_loss = _gradients(state, batch, loss)
            break
        except torch.OutOfMemoryError:
            state.micro_batch = _halved(state.micro_batch or len(batch[0]))
            torch.cuda.empty_cache()
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    nn.utils.clip_grad_norm_(parameters, CLIPPED_GRADIENT_NORM)
    state.optimizer.step()
    if state.average is not None:
        state.average.update_parameters(state.model)
    return batch_loss


def _gradients(state: TrainingState, batch: Batch, loss: Loss) -> Tensor:
    """The loss of a batch; its gradients lie in the parameters afterwards."""
    state.optimizer.zero_grad()
    is_whole = not 0 < state.micro_batch < len(batch[0])
    model: Any = state.model if is_whole else InPortions(state.model, state.micro_batch)
    with mixed_precision(batch[0].device):
        batch_loss = loss(model, batch)
    batch_loss.backward()
    return batch_loss.detach()


def _portion(state: TrainingState) -> dict[str, float]:
    """The size of a portion, where batches were divided: it may not be the one that was set."""
    return {MICRO_BATCH: state.micro_batch} if state.micro_batch else {}


def _halved(micro_batch: int) -> int:
    if micro_batch == 1:
        raise DeviceError(
            value="out of memory",
            place="one sample of a batch",
            rule="the device must hold a step of one sample",
            cure="Take a smaller network, or another device.",
        )
    return -(-micro_batch // 2)


def _waited_for(batches: Iterable[Batch], learned: _Learned) -> Iterator[Batch]:
    """The batches, while the time spent waiting for them is added up."""
    iterator = iter(batches)
    while True:
        started = time.monotonic()
        batch = next(iterator, None)
        learned.waiting_s += time.monotonic() - started
        if batch is None:
            return
        yield batch


def _prepare_to_learn(model: nn.Module) -> None:
    """Training mode, but not for what is frozen: a frozen batch norm keeps its statistics too."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


@torch.inference_mode()
def _validated(model: nn.Module, validate: Callable[[nn.Module], Validation]) -> Validation:
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
