# SPDX-License-Identifier: Apache-2.0
"""The neuron's figures, to the digits in which the thesis prints them."""

from __future__ import annotations

import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.primer.neuron import (
    FIRST_B,
    FIRST_W,
    ITERATIONS,
    PAIRS,
    REPORT_EVERY,
    STEP_SIZE,
    Step,
    learn,
    mean_squared_error,
    predict,
)
from lung_pipeline.primer.table import as_text

PUBLISHED_COSTS = [
    "227.982250",
    "74.392002",
    "24.274565",
    "7.920939",
    "2.584651",
    "0.843387",
    "0.275202",
    "0.089800",
    "0.029302",
    "0.009562",
]
"""Every 10,000 iterations, as the thesis prints them."""


@pytest.fixture(scope="module")
def steps() -> tuple[Step, ...]:
    return learn()


def test_neuron_starts_where_the_thesis_does() -> None:
    assert (f"{FIRST_W:.6f}", f"{FIRST_B:.6f}") == ("0.840188", "0.394383")
    assert (STEP_SIZE, ITERATIONS, REPORT_EVERY) == (0.00001, 100_000, 10_000)
    assert len(PAIRS) == 8
    assert all(fahrenheit == celsius * 9 / 5 + 32 for celsius, fahrenheit in PAIRS)


def test_cost_of_knowing_nothing_is_4480() -> None:
    assert mean_squared_error(1, 0) == 4480
    assert mean_squared_error(1.8, 32) == 0


def test_cost_is_the_published_one_at_every_line(steps: tuple[Step, ...]) -> None:
    assert [f"{step.cost:.6f}" for step in steps] == PUBLISHED_COSTS
    assert [step.iteration for step in steps] == list(range(10_000, 100_001, 10_000))


@pytest.mark.parametrize(
    ("line", "w", "b"),
    [(0, "1.980511", "13.953147"), (4, "1.819220", "30.078449"), (9, "1.801169", "31.883127")],
)
def test_weight_and_bias_are_the_published_ones(
    steps: tuple[Step, ...], line: int, w: str, b: str
) -> None:
    assert (f"{steps[line].w:.6f}", f"{steps[line].b:.6f}") == (w, b)


def test_fifty_degrees_celsius_are_answered(steps: tuple[Step, ...]) -> None:
    assert f"{predict(steps[-1].w, steps[-1].b, 50):.2f}" == "121.94"


def test_first_step_is_the_one_worked_out_by_hand() -> None:
    # From w = 0, b = 0 each error is -fahrenheit: the slopes are -sum(f * c) and -sum(f).
    (step,) = learn(1, w=0.0, b=0.0)

    assert step.w == pytest.approx(STEP_SIZE * 50_880)
    assert step.b == pytest.approx(STEP_SIZE * 688)


def test_last_iteration_is_told_although_it_is_not_a_round_one() -> None:
    steps = learn(250, every=100)

    assert [step.iteration for step in steps] == [100, 200, 250]
    assert steps[-1] == learn(250, every=250)[0]


@pytest.mark.parametrize(("iterations", "every"), [(0, 1), (-5, 1), (10, 0)])
def test_no_iteration_at_all_is_refused(iterations: int, every: int) -> None:
    with pytest.raises(SettingError, match="at least 1"):
        learn(iterations, every=every)


@pytest.mark.parametrize("step_size", [0.0001, 0.000085])
def test_step_too_long_is_told_and_no_nan_is_returned(step_size: float) -> None:
    """With the shorter one the numbers are still finite, and their squares are not."""
    with pytest.raises(SettingError, match="step size"):
        learn(10_000, step_size=step_size)


def test_text_holds_every_published_figure(steps: tuple[Step, ...]) -> None:
    text = as_text(steps)

    rows = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert [row[1] for row in rows[:10]] == PUBLISHED_COSTS
    assert rows[9] == ["100000", "0.009562", "1.801169", "31.883127"]
    assert "4480" in text
    assert "121.94" in text
