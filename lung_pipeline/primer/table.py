# SPDX-License-Identifier: Apache-2.0
"""The neuron's way as the text that ``lung-pipeline primer`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from lung_pipeline.primer.neuron import Step, mean_squared_error, predict

QUESTION_CELSIUS = 50.0
"""The temperature that the neuron is asked for when it has learnt; it was not among the pairs."""


def as_text(steps: Sequence[Step]) -> str:
    """A table of iteration, cost, w and b, with the cost to beat above and an answer below."""
    last = steps[-1]
    answer = predict(last.w, last.b, QUESTION_CELSIUS)
    lines = [
        "One neuron learns Fahrenheit from Celsius: fahrenheit = w * celsius + b",
        f"Before learning, with w = 1 and b = 0, the cost is {mean_squared_error(1, 0):.0f}.",
        "",
        f"{'iteration':>9}  {'cost':>12}  {'w':>9}  {'b':>10}",
        *(f"{s.iteration:>9}  {s.cost:>12.6f}  {s.w:>9.6f}  {s.b:>10.6f}" for s in steps),
        "",
        f"{QUESTION_CELSIUS:g} degrees Celsius are {answer:.2f} degrees Fahrenheit (122 is right).",
    ]
    return "\n".join(lines)
