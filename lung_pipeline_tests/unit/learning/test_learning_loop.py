# SPDX-License-Identifier: Apache-2.0
"""The loop on a problem whose answer is known: y = 2 x + 1."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lung_pipeline.errors import ModelError
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Epoch, Validation, best_epoch
from lung_pipeline.learning.examples import CropExamples, Example
from lung_pipeline.learning.loop import fit
from lung_pipeline.learning.schedule import Schedule
from lung_pipeline.learning.seeds import seeded, seeded_for

STEPS = 20

Pair = tuple[Tensor, Tensor]


def _loss(model: nn.Module, batch: Pair) -> Tensor:
    inputs, wanted = batch
    return ((model(inputs).float() - wanted) ** 2).mean()


def _pairs(rng: np.random.Generator, number: int = STEPS) -> Iterator[Pair]:
    for _ in range(number):
        inputs = torch.from_numpy(rng.uniform(-1, 1, (16, 1))).float()
        yield inputs, 2 * inputs + 1


def _fitted(seed: int, epochs: int = 6) -> tuple[nn.Linear, list[Epoch]]:
    seeded(seed)
    model = nn.Linear(1, 1)
    held_out = next(_pairs(np.random.default_rng(99)))
    history = fit(
        model,
        Schedule(epochs, STEPS, learning_rate=0.2),
        batches=lambda epoch: _pairs(seeded_for(seed, epoch)),
        loss=_loss,
        validate=lambda trained: Validation({VALIDATION_LOSS: _loss(trained, held_out).item()}),
    )
    return model, history


def _fit_with_validation(model: nn.Module, losses: Sequence[float]) -> list[dict[str, Tensor]]:
    """Train with invented validation losses; returns the weights as each epoch left them."""
    rng = np.random.default_rng(1)
    left: list[dict[str, Tensor]] = []

    def validate(trained: nn.Module) -> Validation:
        left.append({name: value.clone() for name, value in trained.state_dict().items()})
        return Validation({VALIDATION_LOSS: losses[len(left) - 1]})

    schedule = Schedule(len(losses), STEPS, learning_rate=0.05)
    fit(model, schedule, batches=lambda epoch: _pairs(rng), loss=_loss, validate=validate)
    return left


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_line_is_learned_and_the_loss_falls() -> None:
    model, history = _fitted(seed=1)
    assert model.weight.item() == pytest.approx(2, abs=0.05)
    assert model.bias.item() == pytest.approx(1, abs=0.05)
    losses = [epoch.metrics["train/loss"] for epoch in history]
    assert losses[-1] < 0.01 * losses[0]
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert all(epoch.seconds > 0 for epoch in history)


def test_speed_counts_samples_and_the_time_spent_waiting_for_them() -> None:
    def slow(epoch: int) -> Iterator[Pair]:
        for pair in _pairs(np.random.default_rng(epoch), 3):
            time.sleep(0.02)
            yield pair

    (epoch,) = fit(
        nn.Linear(1, 1),
        Schedule(1, 3, 0.1),
        batches=slow,
        loss=_loss,
        validate=lambda trained: Validation({VALIDATION_LOSS: 0.0}),
    )
    assert epoch.num_samples == 3 * 16
    assert 0.06 <= epoch.waiting_s <= epoch.learning_s <= epoch.seconds
    assert 0.5 < epoch.speed["speed/waiting_share"] < 1
    assert epoch.speed["speed/samples_per_second"] == pytest.approx(48 / epoch.learning_s)


def test_one_seed_gives_one_model_to_the_bit() -> None:
    (one, history), (again, repeated), (other, _) = (_fitted(seed, 2) for seed in (1, 1, 2))
    assert _equal(one.state_dict(), again.state_dict())
    assert [e.metrics for e in history] == [e.metrics for e in repeated]
    assert not _equal(one.state_dict(), other.state_dict())


@pytest.mark.parametrize(
    ("losses", "best"), [((3, 1, 2), 1), ((1, 2, 3), 0), ((3, 2, 1), 2), ((1, 1, 1), 0)]
)
def test_the_weights_of_the_best_epoch_are_kept(losses: tuple[float, ...], best: int) -> None:
    torch.manual_seed(1)
    model = nn.Linear(1, 1)
    left = _fit_with_validation(model, losses)
    assert _equal(model.state_dict(), left[best])
    assert not any(_equal(left[best], left[n]) for n in range(3) if n != best)
    history = [Epoch(n + 1, {VALIDATION_LOSS: loss}, 0.0) for n, loss in enumerate(losses)]
    assert best_epoch(history).number == best + 1


def test_validation_runs_in_inference_mode_and_training_in_training_mode() -> None:
    model, modes = nn.Linear(1, 1), []

    def loss(trained: nn.Module, batch: Pair) -> Tensor:
        modes.append((trained.training, torch.is_inference_mode_enabled()))
        return _loss(trained, batch)

    def validate(trained: nn.Module) -> Validation:
        modes.append((trained.training, torch.is_inference_mode_enabled()))
        return Validation({VALIDATION_LOSS: 0.0})

    rng = np.random.default_rng(1)
    fit(
        model,
        Schedule(2, 1, 0.1),
        batches=lambda epoch: _pairs(rng, 1),
        loss=loss,
        validate=validate,
    )
    assert modes == [(True, False), (False, True)] * 2


@dataclass
class _Watcher:
    """Writes down what it is told, and looks at a model while it is told."""

    model: nn.Module
    told: list[tuple[object, ...]] = field(default_factory=list)
    ended: list[Epoch] = field(default_factory=list)
    at_step: list[Tensor] = field(default_factory=list)

    def begin(self, epoch: int) -> None:
        self.told.append(("begin", epoch))

    def step(self, num_samples: int, waiting_s: float) -> None:
        self.told.append(("step", num_samples))
        self.at_step.append(next(self.model.parameters()).detach().clone())

    def end(self, epoch: Epoch, examples: Sequence[Example]) -> None:
        self.told.append(("end", epoch.number, *(example.name for example in examples)))
        self.ended.append(epoch)


def _example(name: str) -> Example:
    return CropExamples(name, "", np.zeros((0, 32, 48, 48), np.int16), np.zeros(0), ())


def test_epochs_and_steps_are_told_in_their_order() -> None:
    model, rng = nn.Linear(1, 1), np.random.default_rng(1)
    watcher = _Watcher(model)

    def batches(epoch: int) -> Iterator[Pair]:
        watcher.told.append(("batches", epoch))
        yield from _pairs(rng, 2)

    def validate(trained: nn.Module) -> Validation:
        watcher.told.append(("validate",))
        figures = {VALIDATION_LOSS: 1.0, "validation/f1": 0.5}
        return Validation(figures, (_example("misses"), _example("alarms")))

    history = fit(
        model,
        Schedule(2, 2, 0.1),
        batches=batches,
        loss=_loss,
        validate=validate,
        watcher=watcher,
    )
    assert watcher.told == [
        event
        for epoch in (1, 2)
        for event in (
            ("begin", epoch),
            ("batches", epoch),
            ("step", 16),
            ("step", 32),
            ("validate",),
            ("end", epoch, "misses", "alarms"),
        )
    ]
    assert watcher.ended == history
    assert set(history[0].metrics) == {"train/loss", VALIDATION_LOSS, "validation/f1"}
    # A step is told when it is taken, not before.
    assert len({weights.item() for weights in watcher.at_step}) == 4


def test_figures_of_an_epoch_are_plain_numbers() -> None:
    (epoch,) = fit(
        nn.Linear(1, 1),
        Schedule(1, 1, 0.1),
        batches=lambda epoch: _pairs(np.random.default_rng(epoch), 1),
        loss=_loss,
        validate=lambda trained: Validation({VALIDATION_LOSS: np.float64(1.0), "count": 3}),
    )
    assert {type(value) for value in epoch.metrics.values()} == {float}


def test_waiting_that_is_told_adds_up_to_that_of_the_epoch() -> None:
    waited: list[float] = []

    class Waiting(_Watcher):
        def step(self, num_samples: int, waiting_s: float) -> None:
            waited.append(waiting_s)

    def slow(epoch: int) -> Iterator[Pair]:
        for pair in _pairs(np.random.default_rng(epoch), 3):
            time.sleep(0.02)
            yield pair

    model = nn.Linear(1, 1)
    (epoch,) = fit(
        model,
        Schedule(1, 3, 0.1),
        batches=slow,
        loss=_loss,
        validate=lambda trained: Validation({VALIDATION_LOSS: 0.0}),
        watcher=Waiting(model),
    )
    assert all(told >= 0.02 * step for step, told in enumerate(waited, start=1))
    assert waited[-1] <= epoch.waiting_s


class _Normed(nn.Module):
    """A batch norm, a hidden layer and an output."""

    def __init__(self) -> None:
        super().__init__()
        self.eyes = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 4))
        self.head = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.eyes(inputs))


def test_what_is_frozen_stays_to_the_bit_its_batch_statistics_too() -> None:
    torch.manual_seed(1)
    model = _Normed()
    model.eyes.requires_grad_(requires_grad=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = _fit_with_validation(model, [2, 1])[-1]
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith("eyes.")}


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_training_loss_that_is_no_number_is_refused(broken: float) -> None:
    with pytest.raises(ModelError, match=r"training loss in epoch 1.*must stay finite"):
        fit(
            nn.Linear(1, 1),
            Schedule(1, 1, 0.1),
            batches=lambda epoch: [(torch.ones(1, 1),)],
            loss=lambda model, batch: model(batch[0]).float().sum() * broken,
            validate=lambda trained: Validation({VALIDATION_LOSS: 0.0}),
        )


def test_a_validation_loss_that_is_no_number_is_refused() -> None:
    # It is smaller than no other: the weights before training would be kept, in silence.
    with pytest.raises(ModelError, match="validation loss in epoch 2"):
        _fit_with_validation(nn.Linear(1, 1), [1.0, math.nan])
