# SPDX-License-Identifier: Apache-2.0
"""Portions of a batch, a running average, stopping early: each on a line that is learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from compilers import skip_without_a_compiler
from torch import Tensor, nn

from lung_pipeline.errors import DeviceError
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Epoch, Validation
from lung_pipeline.learning.loop import CLIPPED_GRADIENT_NORM, Batch, fit
from lung_pipeline.learning.schedule import Schedule
from lung_pipeline.learning.state import TrainingState

STEPS = 8


def _pairs(epoch: int) -> Iterator[Batch]:
    rng = np.random.default_rng(epoch)
    for _ in range(STEPS):
        inputs = torch.from_numpy(rng.uniform(-1, 1, (10, 1))).float()
        yield inputs, 2 * inputs + 1


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    inputs, wanted = batch
    return ((model(inputs).float() - wanted) ** 2).mean()


def _line() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(1, 1)


def _fit(
    model: nn.Module,
    schedule: Schedule,
    loss: object = _loss,
    losses: Sequence[float] = (1.0,),
) -> list[Epoch]:
    invented = iter(losses)
    return fit(
        model,
        schedule,
        batches=_pairs,
        loss=loss,  # type: ignore[arg-type]
        validate=lambda trained: Validation({VALIDATION_LOSS: next(invented)}),
    )


def _weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("micro_batch", [1, 3, 5, 10, 99])
def test_portions_add_up_to_the_gradient_of_the_batch(micro_batch: int) -> None:
    # 10 samples in portions of 3 are 3, 3, 3 and 1: each weighs by its samples.
    whole, portioned = _line(), _line()
    history = _fit(whole, Schedule(1, STEPS, 0.1))
    again = _fit(portioned, Schedule(1, STEPS, 0.1, micro_batch=micro_batch))
    torch.testing.assert_close(_weights(portioned), _weights(whole), rtol=2e-2, atol=2e-3)
    assert again[0].metrics["train/loss"] == pytest.approx(
        history[0].metrics["train/loss"], rel=2e-2
    )


def test_largest_portion_that_fits_is_found_and_kept() -> None:
    asked: list[int] = []

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        asked.append(len(inputs[0]))
        if len(inputs[0]) > 3:
            msg = "as a card says it"
            raise torch.OutOfMemoryError(msg)

    narrow, wide = _line(), _line()
    narrow.register_forward_pre_hook(look)
    (epoch,) = _fit(narrow, Schedule(1, STEPS, 0.1))
    (undivided,) = _fit(wide, Schedule(1, STEPS, 0.1))
    assert asked[:2] == [10, 5]
    assert asked[2:6] == [3, 3, 3, 1]
    assert max(asked[2:]) == 3
    # What was learned with is told with the figures, since no setting says it.
    assert epoch.metrics["train/micro_batch"] == 3
    assert "train/micro_batch" not in undivided.metrics
    torch.testing.assert_close(_weights(narrow), _weights(wide), rtol=2e-2, atol=2e-3)


def test_device_that_holds_not_one_sample_is_told_in_words() -> None:
    def loss(model: nn.Module, batch: Batch) -> Tensor:
        msg = "full"
        raise torch.OutOfMemoryError(msg)

    with pytest.raises(DeviceError, match="a step of one sample"):
        _fit(_line(), Schedule(1, STEPS, 0.1), loss)


@pytest.mark.parametrize(
    ("patience", "losses", "epochs"),
    [
        pytest.param(0, [3, 4, 5, 6, 7], 5, id="never stops"),
        pytest.param(2, [3, 4, 5, 6, 7], 3, id="two epochs without a better one"),
        pytest.param(2, [3, 4, 2, 3, 3, 1], 5, id="begins to count anew with each better one"),
        pytest.param(1, [3, 3, 1], 2, id="as good is not better"),
    ],
)
def test_learning_stops_when_nothing_better_comes(
    patience: int, losses: list[float], epochs: int
) -> None:
    history = _fit(_line(), Schedule(len(losses), STEPS, 0.1, patience=patience), losses=losses)
    assert len(history) == epochs


def test_running_average_is_what_is_judged_and_kept() -> None:
    judged: list[Tensor] = []

    def validate(trained: nn.Module) -> Validation:
        judged.append(_weights(trained).clone())
        return Validation({VALIDATION_LOSS: 1.0})

    plain, averaged = _line(), _line()
    begun = _weights(plain).clone()
    _fit(plain, Schedule(1, STEPS, 0.1))
    fit(
        averaged,
        Schedule(1, STEPS, 0.1, average_decay=0.9),
        batches=_pairs,
        loss=_loss,
        validate=validate,
    )
    assert torch.equal(_weights(averaged), judged[0])
    # It lags behind the weights it averages, which are those learned without it.
    moved, lagged = _weights(plain) - begun, _weights(averaged) - begun
    assert (lagged.abs() < moved.abs()).all()
    assert (lagged * moved > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("micro_batch", [0, 3])
def test_translated_model_learns_the_same_line(micro_batch: int) -> None:
    plain, compiled = _line(), _line()
    skip_without_a_compiler()
    _fit(plain, Schedule(1, STEPS, 0.1, micro_batch=micro_batch))
    _fit(compiled, Schedule(1, STEPS, 0.1, micro_batch=micro_batch, compiled=True))
    torch.testing.assert_close(_weights(compiled), _weights(plain), rtol=2e-2, atol=2e-3)


def test_weights_without_a_gradient_decay_as_the_schedule_says() -> None:
    # AdamW takes rate x decay of each weight at each step; a loss that asks for nothing adds none.
    model = _line()
    before = _weights(model)

    def nothing(model: nn.Module, batch: Batch) -> Tensor:
        return 0 * model(batch[0]).sum()

    schedule = Schedule(1, STEPS, 0.1, weight_decay=0.5, warmup_share=0)
    _fit(model, schedule, nothing)
    kept = torch.tensor([1 - schedule.rate_of(step) * 0.5 for step in range(STEPS)]).prod()
    torch.testing.assert_close(_weights(model), before * kept)


def test_each_step_learns_at_the_rate_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def rate_of(_: Schedule, step: int) -> float:
        asked.append(step)
        return 0.0

    monkeypatch.setattr(Schedule, "rate_of", rate_of)
    model = _line()
    before = _weights(model)
    _fit(model, Schedule(3, STEPS, 0.1), losses=(3.0, 2.0, 1.0))
    assert asked == list(range(3 * STEPS))
    assert torch.equal(_weights(model), before)


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps() -> None:
    [epoch] = _fit(
        _line(), Schedule(1, STEPS, 0.1), lambda model, batch: 0 * _loss(model, batch) + 3
    )
    assert epoch.metrics["train/loss"] == pytest.approx(3)


def test_a_steep_gradient_is_cut_to_the_norm() -> None:
    model = _line()
    _fit(model, Schedule(1, STEPS, 0.1), lambda model, batch: 1e6 * _loss(model, batch))
    gradients = [parameter.grad for parameter in model.parameters()]
    norm = torch.cat([one.flatten() for one in gradients if one is not None]).norm()
    assert norm == pytest.approx(CLIPPED_GRADIENT_NORM, rel=1e-4)


def test_the_average_of_a_batch_norms_statistics_follows_them() -> None:
    norm = nn.BatchNorm1d(1)
    state = TrainingState.begin(norm, Schedule(1, 1, 0.1, average_decay=0.9))
    assert state.average is not None
    state.average.update_parameters(norm)
    torch.as_tensor(norm.running_mean).fill_(1.0)
    state.average.update_parameters(norm)
    assert torch.as_tensor(state.judged.running_mean).item() == pytest.approx(0.1)
