# SPDX-License-Identifier: Apache-2.0
"""A training that is stopped at any epoch ends as if it had not been."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lung_pipeline.errors import ModelError
from lung_pipeline.learning import state
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Epoch, Validation, best_epoch
from lung_pipeline.learning.examples import Example
from lung_pipeline.learning.loop import Batch, fit
from lung_pipeline.learning.schedule import Schedule
from lung_pipeline.learning.seeds import seeded, seeded_for
from lung_pipeline.learning.state import RECORD, TENSORS, TrainingState, resume, write_checkpoint

PLAN = Schedule(epochs=5, steps_per_epoch=4, learning_rate=0.05)


class _Network(nn.Module):
    """Has all that a checkpoint must keep: batch statistics, chance while learning, two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(3), nn.Linear(3, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


class _PowerCutError(Exception):
    """What ends a training in the middle."""


def _batches(epoch: int) -> Iterator[Batch]:
    rng = seeded_for(3, epoch)
    for _ in range(PLAN.steps_per_epoch):
        inputs = torch.from_numpy(rng.normal(size=(6, 3))).float()
        yield inputs, inputs.sum(1, keepdim=True)


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    return ((model(batch[0]).float() - batch[1]) ** 2).mean()


def _train(
    checkpoint: Path | None,
    plan: Schedule = PLAN,
    *,
    cut: tuple[int, int] | None = None,
    sign: float = 1.0,
) -> tuple[dict[str, Tensor], list[Epoch]]:
    """Train; ``cut`` is the epoch and the step before which the power goes.

    With a ``sign`` of -1 the best epoch is the one that learned least.
    """

    def batches(epoch: int) -> Iterator[Batch]:
        for step, batch in enumerate(_batches(epoch)):
            if cut == (epoch, step):
                raise _PowerCutError
            yield batch

    held_out = next(_batches(99))
    seeded(1)
    model = _Network()

    def validate(trained: nn.Module) -> Validation:
        return Validation({VALIDATION_LOSS: sign * _loss(trained, held_out).item()})

    history = fit(
        model, plan, batches=batches, loss=_loss, validate=validate, checkpoint=checkpoint
    )
    return model.state_dict(), history


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
@pytest.mark.parametrize("cut", [(1, 0), (1, 3), (2, 0), (3, 2), (5, 3)])
def test_interrupted_training_ends_with_the_same_weights_to_the_bit(
    tmp_path: Path, cut: tuple[int, int], average_decay: float
) -> None:
    plan = Schedule(**{**_fields(PLAN), "average_decay": average_decay})
    whole, history = _train(None, plan)
    with pytest.raises(_PowerCutError):
        _train(tmp_path / "state", plan, cut=cut)
    np.random.default_rng().random()
    torch.rand(7)  # whatever chance was used for in between
    resumed, continued = _train(tmp_path / "state", plan)
    assert _same(resumed, whole)
    assert [epoch.metrics for epoch in continued] == [epoch.metrics for epoch in history]


def _fields(schedule: Schedule) -> dict[str, object]:
    return {name: getattr(schedule, name) for name in schedule.__slots__}


def test_the_best_epoch_before_an_interruption_is_not_lost(tmp_path: Path) -> None:
    whole, history = _train(None, sign=-1)
    assert best_epoch(history).number < 3
    with pytest.raises(_PowerCutError):
        _train(tmp_path / "state", cut=(4, 0), sign=-1)
    assert _same(_train(tmp_path / "state", sign=-1)[0], whole)


def test_portions_that_were_found_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned_from = _Network.forward

    def with_little_memory(self: _Network, inputs: Tensor) -> Tensor:
        if self.training and len(inputs) > 2:
            raise torch.OutOfMemoryError
        return learned_from(self, inputs)

    with monkeypatch.context() as small:
        small.setattr(_Network, "forward", with_little_memory)
        with pytest.raises(_PowerCutError):
            _train(tmp_path / "state", cut=(3, 0))
    _, history = _train(tmp_path / "state")
    assert [epoch.metrics["train/micro_batch"] for epoch in history] == [2] * PLAN.epochs


def test_twice_interrupted_is_no_worse(tmp_path: Path) -> None:
    whole, _ = _train(None)
    for cut in ((2, 1), (4, 0)):
        with pytest.raises(_PowerCutError):
            _train(tmp_path / "state", cut=cut)
    assert _same(_train(tmp_path / "state")[0], whole)


def test_weights_that_lie_channels_last_go_on_to_the_bit(tmp_path: Path) -> None:
    """The optimizer takes weights and moments for alike in memory; a file has but one order."""

    def begun() -> TrainingState:
        torch.manual_seed(2)
        conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return TrainingState.begin(conv, PLAN)

    def step(learning: TrainingState) -> None:
        learning.optimizer.zero_grad()
        learning.model(images).square().sum().backward()
        learning.optimizer.step()

    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    first, second = begun(), begun()
    for _ in range(2):
        step(first)
    write_checkpoint(first, PLAN, tmp_path / "state")
    resume(second, PLAN, tmp_path / "state")
    for learning in (first, second):
        step(learning)
    assert _same(second.model.state_dict(), first.model.state_dict())


def test_finished_training_is_not_done_again(tmp_path: Path) -> None:
    weights, _ = _train(tmp_path / "state")
    told, _ = _train(tmp_path / "state", cut=(1, 0))  # the power never goes: no batch is asked for
    assert _same(told, weights)


class _Told:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def begin(self, epoch: int) -> None:
        self.told.append(("begin", epoch))

    def step(self, num_samples: int, waiting_s: float) -> None:
        pass

    def end(self, epoch: Epoch, examples: Sequence[Example]) -> None:
        self.told.append(("end", epoch.number))


def test_epochs_before_the_interruption_are_told_again(tmp_path: Path) -> None:
    with pytest.raises(_PowerCutError):
        _train(tmp_path / "state", cut=(4, 1))
    watcher = _Told()
    seeded(1)
    fit(
        _Network(),
        PLAN,
        batches=_batches,
        loss=_loss,
        validate=lambda trained: Validation({VALIDATION_LOSS: 1.0}),
        watcher=watcher,
        checkpoint=tmp_path / "state",
    )
    before = [("end", 1), ("end", 2), ("end", 3)]
    assert watcher.told == [*before, ("begin", 4), ("end", 4), ("begin", 5), ("end", 5)]


def test_checkpoint_of_another_schedule_is_refused(tmp_path: Path) -> None:
    _train(tmp_path / "state")
    longer = Schedule(**{**_fields(PLAN), "epochs": 9})
    with pytest.raises(ModelError, match="another schedule"):
        _train(tmp_path / "state", longer)


@pytest.mark.parametrize("name", [TENSORS, RECORD])
def test_damaged_checkpoint_is_refused_in_words(tmp_path: Path, name: str) -> None:
    _train(tmp_path / "state")
    file = tmp_path / "state" / name
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(ModelError, match="Remove the folder to begin the training anew"):
        _train(tmp_path / "state")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), PermissionError("not yours")])
def test_checkpoint_is_not_blamed_for_a_machine_in_trouble(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever removed it, as the refusal says, would lose a training that is whole."""
    _train(tmp_path / "state")

    def read(_: Path) -> dict[str, Tensor]:
        raise error

    monkeypatch.setattr(state, "load_file", read)
    with pytest.raises(type(error), match=str(error)):
        _train(tmp_path / "state")


def test_training_on_a_cpu_asks_nothing_of_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Tensor:
        msg = "CUDA out of memory"
        raise torch.OutOfMemoryError(msg)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", full)
    _train(tmp_path / "state")
    assert (tmp_path / "state" / TENSORS).is_file()


def test_no_half_checkpoint_is_ever_there(tmp_path: Path) -> None:
    _train(tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == sorted([TENSORS, RECORD])
