# SPDX-License-Identifier: Apache-2.0
"""All that changes while a model learns, and how it is kept so that a killed training goes on.

A checkpoint is a folder, written whole or not at all: tensors as safetensors, the rest as JSON.
Nothing in it is ever unpickled. With it a training ends, on a CPU, with the same weights to the bit
as one that was never interrupted, provided that the batches of an epoch follow from its number.

Belongs here: the state and its form on disk. Does not belong here: how it changes (``loop.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lung_pipeline.errors import ModelError
from lung_pipeline.learning.epoch import Epoch
from lung_pipeline.learning.schedule import Schedule
from lung_pipeline.remote.copies import at_hand
from lung_pipeline.remote.places import is_remote
from lung_pipeline.writing import written_whole

TENSORS, RECORD = "tensors.safetensors", "state.json"
"""The two files of a checkpoint."""

_CPU_RANDOM, _CUDA_RANDOM = "random/cpu", "random/cuda"

_UNFIT = (FileNotFoundError, ValueError, TypeError, LookupError, RuntimeError, SafetensorError)
"""What a checkpoint that is damaged or another model's gives when it is read."""


@dataclass(slots=True)
class TrainingState:
    """A model that learns, and what it remembers between steps."""

    model: nn.Module
    """On its device; its parameters change in place."""

    optimizer: torch.optim.Optimizer
    """Over the parameters that want gradients."""

    average: AveragedModel | None
    """The running average of the weights, where the schedule asks for one."""

    micro_batch: int
    """Samples that go through the model at once; 0: a whole batch."""

    history: list[Epoch] = field(default_factory=list)
    """The epochs so far."""

    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """The weights of the best epoch so far."""

    @classmethod
    def begin(cls, model: nn.Module, schedule: Schedule) -> TrainingState:
        """The state before the first step."""
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            learning,
            lr=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        average = None
        if schedule.average_decay:
            averaging = get_ema_multi_avg_fn(schedule.average_decay)
            average = AveragedModel(model, multi_avg_fn=averaging, use_buffers=True)
        return cls(model, optimizer, average, schedule.micro_batch)

    @property
    def judged(self) -> nn.Module:
        """The model that is validated and kept: the average where there is one."""
        return self.model if self.average is None else self.average.module

    def keep_best(self) -> None:
        """Remember the weights as they are."""
        weights = self.judged.state_dict()
        self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}


def write_checkpoint(state: TrainingState, schedule: Schedule, folder: Path) -> None:
    """Keep the state after an epoch, whole or not at all; an older one is replaced."""
    record = {
        "schedule": asdict(schedule),
        "micro_batch": state.micro_batch,
        "history": [asdict(epoch) for epoch in state.history],
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in _tensors(state).items()}
    with written_whole(folder) as temporary:
        temporary.mkdir()
        # By Python, whose errors say what a full disk is; the library has one of its own.
        (temporary / TENSORS).write_bytes(save(tensors))
        (temporary / RECORD).write_text(json.dumps(record) + "\n")


def resume(state: TrainingState, schedule: Schedule, folder: Path) -> None:
    """Bring a state that has just begun to where a checkpoint left it; none is fine too.

    Raises:
        ModelError: the checkpoint is damaged, or of another schedule or model.
    """
    # In an object store a writer that was killed may leave tensors without their record.
    if not (folder / RECORD).is_file() if is_remote(folder) else not folder.is_dir():
        return
    try:
        record = json.loads((folder / RECORD).read_text())
        with at_hand(folder / TENSORS) as file:
            tensors = load_file(file)
        if record["schedule"] != asdict(schedule):
            raise _unfit(folder, "another schedule")
        _restore(state, tensors)
        state.micro_batch = int(record["micro_batch"])
        state.history = [Epoch(**epoch) for epoch in record["history"]]
    except torch.OutOfMemoryError:
        raise  # the checkpoint is not to blame, nor for a disk that cannot be reached
    except _UNFIT as error:
        raise _unfit(folder, type(error).__name__) from error


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """Every tensor of a state under a name of its own."""
    parts: dict[str, dict[str, Tensor]] = {
        "model": state.model.state_dict(),
        "best": state.best_weights,
        "average": {} if state.average is None else state.average.state_dict(),
    }
    for number, slots in state.optimizer.state_dict()["state"].items():
        parts[f"optimizer/{number}"] = slots
    named = {f"{part}/{name}": t for part, group in parts.items() for name, t in group.items()}
    named[_CPU_RANDOM] = torch.get_rng_state()
    if _is_on_cuda(state):
        named[_CUDA_RANDOM] = torch.cuda.get_rng_state()
    return named


def _restore(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "average": {}}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        if part == "optimizer":
            number, _, slot = rest.partition("/")
            slots.setdefault(int(number), {})[slot] = tensor
        elif part in parts:
            parts[part][rest] = tensor
    state.model.load_state_dict(parts["model"])
    state.best_weights = parts["best"]
    if state.average is not None:
        state.average.load_state_dict(parts["average"])
    groups: Any = state.optimizer.state_dict()["param_groups"]
    learning = [p for group in state.optimizer.param_groups for p in group["params"]]
    for place, moments in slots.items():
        laid_out = {slot: _laid_out_as(learning[place], moment) for slot, moment in moments.items()}
        slots[place] = laid_out
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    torch.set_rng_state(tensors[_CPU_RANDOM])
    if _CUDA_RANDOM in tensors and _is_on_cuda(state):
        torch.cuda.set_rng_state(tensors[_CUDA_RANDOM])


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """A moment in memory as its weights are: the fused optimizer takes the two for alike there."""
    if moment.ndim == 0:  # the number of steps
        return moment
    out = torch.empty_like(parameter, requires_grad=False)
    return out.copy_(moment.reshape(parameter.shape))


def _is_on_cuda(state: TrainingState) -> bool:
    """Not whether there is a card: to ask one that is full for its random state is an error."""
    return next(state.model.parameters()).is_cuda


def _unfit(folder: Path, found: str) -> ModelError:
    return ModelError(
        value=found,
        place=folder,
        rule="a checkpoint must be whole, and of this model and schedule",
        cure="Remove the folder to begin the training anew.",
    )
