# SPDX-License-Identifier: Apache-2.0
"""The neuron's way as a picture: how the cost falls, and how the line finds the points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lung_pipeline.primer.neuron import FIRST_B, FIRST_W, PAIRS, Step, mean_squared_error, predict
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, BLUE, PALE, RED = "#1f2933", "#1f5fa8", "#9db8d6", "#c8442f"
"""Text and frame, the result, the way there, and the points to learn."""


def write_plot(steps: Sequence[Step], path: Path) -> None:
    """Write a PNG, 1600 x 720 pixels: the cost on the left, the line on the right.

    No window is opened and no global state of matplotlib is touched.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    spacious = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15, wspace=0.05)
    figure = Figure(figsize=(10, 4.5), dpi=160, layout=spacious)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_cost(left, steps)
    _draw_lines(right, steps)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_cost(axes: Axes, steps: Sequence[Step]) -> None:
    # The start is a point of its own: between it and the first step told, the cost falls on no
    # straight line.
    start = mean_squared_error(FIRST_W, FIRST_B)
    axes.semilogy([0], [start], color=PALE, marker="o", clip_on=False)
    _note(axes, f"{start:,.0f} at the start", (0, start), (10, 0), "left", "center")
    iterations, costs = [step.iteration for step in steps], [step.cost for step in steps]
    axes.semilogy(iterations, costs, color=BLUE, marker="o", markersize=5, clip_on=False, zorder=3)
    last = steps[-1]
    _note(axes, f"{last.cost:.6f}", (last.iteration, last.cost), (-10, 0), "right", "top")
    axes.set_xlim(left=0, right=last.iteration)
    axes.set_ylim(bottom=min(costs) / 5, top=start * 3)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    _finish(axes, "The cost falls", "iterations", "mean squared error")


def _draw_lines(axes: Axes, steps: Sequence[Step]) -> None:
    last = steps[-1]
    ends = [PAIRS[0][0] - 10, PAIRS[-1][0] + 10]
    ways = [(FIRST_W, FIRST_B), *((step.w, step.b) for step in steps[:-1])]
    for w, b in ways:
        axes.plot(ends, [predict(w, b, x) for x in ends], color=PALE, linewidth=1)
    at_80 = (80.0, predict(FIRST_W, FIRST_B, 80.0))
    _note(axes, "at the start", at_80, (0, -10), "left", "top")
    label = f"{last.w:.6f} · celsius + {last.b:.6f}"
    axes.plot(ends, [predict(last.w, last.b, x) for x in ends], color=BLUE, label=label)
    celsius, fahrenheit = zip(*PAIRS, strict=True)
    axes.scatter(celsius, fahrenheit, color=RED, s=28, zorder=3, label="the eight pairs")
    axes.legend(frameon=False, loc="upper left", labelcolor=INK)
    axes.set_xlim(*ends)
    _finish(axes, "The line finds the points", "degrees Celsius", "degrees Fahrenheit")


def _note(
    axes: Axes,
    text: str,
    point: tuple[float, float],
    offset: tuple[float, float],
    ha: Literal["left", "right"],
    va: Literal["center", "top"],
) -> None:
    axes.annotate(
        text, point, xytext=offset, textcoords="offset points", ha=ha, va=va, color=INK, fontsize=9
    )


def _finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, loc="left", color=INK, fontsize=13, pad=12)
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.tick_params(colors=INK)
    axes.grid(visible=True, which="major", color="#e4e8ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
