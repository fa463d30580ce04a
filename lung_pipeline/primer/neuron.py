# SPDX-License-Identifier: Apache-2.0
"""One neuron, ``fahrenheit = w * celsius + b``, taught by gradient descent from eight pairs.

Every training of this package does what the eight lines of ``_descended`` do: predict, compare,
step against the gradient. Here it can be followed with pencil and paper.

Plain Python floats in a fixed order of sums, so the figures are the same on every machine, and
faster than NumPy or torch would be on eight numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from lung_pipeline.errors import SettingError

PAIRS = (
    (-40.0, -40.0),
    (-20.0, -4.0),
    (0.0, 32.0),
    (20.0, 68.0),
    (40.0, 104.0),
    (60.0, 140.0),
    (80.0, 176.0),
    (100.0, 212.0),
)
"""What the neuron learns from: degrees Celsius and the same temperature in Fahrenheit."""

_C_RANDOM_TOP = 2**31 - 1

FIRST_W = 1_804_289_383 / _C_RANDOM_TOP
"""The first weight, 0.840188: the first number that C's ``rand()`` gives with glibc."""

FIRST_B = 846_930_886 / _C_RANDOM_TOP
"""The first bias, 0.394383: the second such number.

The thesis prints both rounded to six digits; from the rounded ones the first cost of its table
would end in 49, not in 50.
"""

STEP_SIZE = 0.00001
"""How far a step goes along the gradient, summed over the pairs; above 0.000083 it diverges."""

ITERATIONS = 100_000
"""How many steps the thesis takes."""

REPORT_EVERY = 10_000
"""How many steps lie between two lines of its table."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where the neuron stands after some iterations."""

    iteration: int
    """How many steps were taken."""

    cost: float
    """The mean squared error over the pairs, square degrees Fahrenheit."""

    w: float
    """The weight; 1.8 is right."""

    b: float
    """The bias; 32 is right."""


def predict(w: float, b: float, celsius: float) -> float:
    """What the neuron takes for the temperature in Fahrenheit."""
    return w * celsius + b


def mean_squared_error(w: float, b: float) -> float:
    """The cost of a weight and a bias over ``PAIRS``; 4480 for w = 1, b = 0."""
    errors = [predict(w, b, x) - y for x, y in PAIRS]
    # Where the neuron diverged a product is infinite; a power would raise OverflowError.
    return sum(error * error for error in errors) / len(PAIRS)


def learn(
    iterations: int = ITERATIONS,
    *,
    every: int = REPORT_EVERY,
    step_size: float = STEP_SIZE,
    w: float = FIRST_W,
    b: float = FIRST_B,
) -> tuple[Step, ...]:
    """Descend the gradient and tell where the neuron stands, every so many iterations.

    The gradient is that of half the squared error, summed over the pairs: the thesis leaves out
    the factor 2, and with its step size only this gives its figures.

    Args:
        iterations: how many steps to take, at least 1.
        every: how many of them lie between two results, at least 1; the last is always told.
        step_size: by how much the gradient is multiplied.
        w: the weight to start from.
        b: the bias to start from.

    Raises:
        SettingError: a number of steps below 1, or a step size that makes the neuron diverge.
    """
    _check(iterations, every)
    stops = [*range(0, iterations, every), iterations]
    steps = []
    for start, stop in pairwise(stops):
        w, b = _descended(w, b, stop - start, step_size)
        cost = mean_squared_error(w, b)
        if not cost < _DIVERGED:
            raise _diverged(step_size, stop)
        steps.append(Step(iteration=stop, cost=cost, w=w, b=b))
    return tuple(steps)


_DIVERGED = 1e12


def _descended(w: float, b: float, iterations: int, step_size: float) -> tuple[float, float]:
    for _ in range(iterations):
        slope_w = slope_b = 0.0
        for celsius, fahrenheit in PAIRS:
            error = w * celsius + b - fahrenheit
            slope_w += error * celsius
            slope_b += error
        w -= step_size * slope_w
        b -= step_size * slope_b
    return w, b


def _check(iterations: int, every: int) -> None:
    if min(iterations, every) < 1:
        raise SettingError(
            value=f"{iterations} and {every}",
            place="primer",
            rule="the iterations, and those between two results, must be at least 1",
            cure=f"The thesis takes {ITERATIONS} and {REPORT_EVERY}.",
        )


def _diverged(step_size: float, iteration: int) -> SettingError:
    return SettingError(
        value=f"{step_size:g}, with which it grew without end by iteration {iteration}",
        place="primer, step size",
        rule="the step must be small enough for the cost to fall",
        cure=f"Take a smaller one; {STEP_SIZE:g} is the thesis'.",
    )
