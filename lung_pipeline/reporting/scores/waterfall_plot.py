# SPDX-License-Identifier: Apache-2.0
"""The waterfall as SVG: how many nodules are left after each stage, by diameter.

Belongs here: drawing. Does not belong here: the counts (``evaluation/lost_nodules/waterfall.py``).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.evaluation.lost_nodules.waterfall import (
    CALLED_BENIGN,
    ERODED,
    LOSSES,
    MERGED,
    NOT_MARKED,
    OFF_CENTRE,
    REJECTED,
    TOO_SMALL,
    Waterfall,
)
from lung_pipeline.reporting.scores.plots import as_svg, small_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT_AFTER = {
    NOT_MARKED: "marked",
    ERODED: "left by\nerosion",
    TOO_SMALL: "large\nenough",
    MERGED: "not\nmerged",
    OFF_CENTRE: "centred",
    REJECTED: "taken for\na nodule",
    CALLED_BENIGN: "called\nrightly",
}
"""What a nodule is that a stage did not lose."""

_INKS = {
    False: {"ink": "#3b444b", "paper": "#ffffff", "lost": "#b4541a"},
    True: {"ink": "#c3cad0", "paper": "#1a1f22", "lost": "#f2a65a"},
}
"""Colours by whether the page is dark."""

_SMALLEST, _LARGEST = 0.95, 0.25
"""Where on the colour map the bands begin and end: both ends keep their distance from the page."""


def waterfall_svg(waterfall: Waterfall, *, dark: bool) -> str:
    """A bar for all nodules and one for those left after each stage, stacked by diameter.

    Above each bar stands what is left, and over that what the stage lost. Bands have cividis's
    colours, which keep their order for colour-blind readers and in grey (Nunez et al. 2018,
    doi:10.1371/journal.pone.0199239).

    Args:
        waterfall: what is drawn; without a nodule only the axes are.
        dark: whether the page is dark.

    Returns:
        An SVG with a transparent ground; the same waterfall gives the same text.
    """
    with _inked(dark=dark):
        return as_svg(_draw(waterfall, dark=dark))


def waterfall_png(waterfall: Waterfall) -> bytes:
    """The same as a small PNG on white ground, for where no SVG is shown."""
    with _inked(dark=False):
        return small_png(_draw(waterfall, dark=False))


def nodules_left(waterfall: Waterfall) -> dict[str, list[int]]:
    """For each band of diameters its nodules: all, then those left after each of ``LOSSES``."""
    left = {}
    for band, counts in waterfall.by_diameter.items():
        lost = np.cumsum([0] + [counts[stage] for stage in LOSSES])
        left[band] = (sum(counts[stage] for stage in counts) - lost).tolist()
    return left


def _inked(*, dark: bool) -> AbstractContextManager[None]:
    import matplotlib as mpl

    settings: Any = {"svg.hashsalt": "waterfall", "font.size": 10, "text.color": _INKS[dark]["ink"]}
    return mpl.rc_context(settings)


def _draw(waterfall: Waterfall, *, dark: bool) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    left = nodules_left(waterfall)
    _draw_bars(axes, left, dark=dark)
    _draw_axes(axes, np.sum(list(left.values()), axis=0), _INKS[dark])
    return figure


def _draw_bars(axes: Axes, left: dict[str, list[int]], *, dark: bool) -> None:
    import matplotlib as mpl

    ink = _INKS[dark]
    shades = mpl.colormaps["cividis"](np.linspace(_SMALLEST, _LARGEST, len(left)))
    below = np.zeros(len(LOSSES) + 1)
    # The largest stand at the bottom: they are the fewest to be lost, so their edge stays level.
    for (band, counts), shade in reversed(list(zip(left.items(), shades, strict=True))):
        axes.bar(
            range(len(counts)),
            counts,
            bottom=below,
            color=shade,
            edgecolor=ink["paper"],
            linewidth=0.8,
            width=0.72,
            label=band,
        )
        below += counts


def _draw_axes(axes: Axes, totals: np.ndarray, ink: dict[str, str]) -> None:
    names = ["all", *(_LEFT_AFTER[stage] for stage in LOSSES)]
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, max(int(totals[0]), 1) * 1.12)
    axes.set_ylabel("nodules left", color=ink["ink"])
    for place, total in enumerate(totals.tolist()):
        _write_above(axes, place, total, f"{total}", 3, ink["ink"])
        lost = totals[place - 1] - total if place else 0
        if lost:
            _write_above(axes, place, total, f"−{lost}", 15, ink["lost"])
    # Each bar bears its number, so a scale would say it twice.
    axes.set_yticks([])
    axes.tick_params(colors=ink["ink"], length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False
    )


def _write_above(
    axes: Axes, place: int, height: int, text: str, points_above: int, color: str
) -> None:
    axes.annotate(
        text,
        (place, height),
        (0, points_above),
        textcoords="offset points",
        ha="center",
        color=color,
    )
