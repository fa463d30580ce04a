# SPDX-License-Identifier: Apache-2.0
"""Curves as SVG and PNG, in ink for light and for dark pages.

Belongs here: drawing. Does not belong here: the points that are drawn.
"""

from __future__ import annotations

import base64
import io
import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.evaluation.detection.froc import FP_RATES, Froc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INKS = {
    False: {"ink": "#3b444b", "faint": "#d9dcd6", "curve": "#1f6f8b", "mark": "#b4541a"},
    True: {"ink": "#c3cad0", "faint": "#363d43", "curve": "#6fc3df", "mark": "#f2a65a"},
}
"""Colours by whether the page is dark; blue and orange stay apart for colour-blind readers."""

PNG_COLOURS = 64
"""Enough for two inks and their edges."""

CURVE_POINTS = 513
"""Points of a drawn curve, an even walk in octaves."""


def froc_svg(curve: Froc, point: tuple[float, float | None], *, dark: bool) -> str:
    """The FROC curve from 1/8 to 8 false positives a scan, with the operating point.

    Args:
        curve: what is drawn; where there are no nodules only the axes are.
        point: false positives a scan and sensitivity of the operating point; a point left of the
            axis stands on its edge, one without a sensitivity is not drawn.
        dark: whether the page is dark.

    Returns:
        An SVG with a transparent ground; the same curve gives the same text.
    """
    with _inked(dark=dark):
        return as_svg(_draw_froc(curve, point, INKS[dark]))


def froc_png(curve: Froc, point: tuple[float, float | None]) -> bytes:
    """The same as a small PNG on white ground, for where no SVG is shown."""
    with _inked(dark=False):
        return small_png(_draw_froc(curve, point, INKS[False]))


def as_svg(figure: Figure) -> str:
    """A figure as SVG with a transparent ground and without a date."""
    svg = io.StringIO()
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    return svg.getvalue()


def small_png(figure: Figure) -> bytes:
    """A figure as a PNG of few colours: Dagster's event log keeps it for ever."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100, facecolor="white")
    reduced = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(PNG_COLOURS).save(reduced, "png", optimize=True)
    return reduced.getvalue()


def svg_data_uri(svg: str) -> str:
    """An SVG inside a ``data:`` address, so that a page needs no other file."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def rate_in_words(rate: float) -> str:
    """A rate as LUNA16 writes it.

    >>> [rate_in_words(rate) for rate in (0.125, 0.5, 8.0)]
    ['1/8', '1/2', '8']
    """
    return f"1/{round(1 / rate)}" if rate < 1 else f"{rate:g}"


def _inked(*, dark: bool) -> AbstractContextManager[None]:
    import matplotlib as mpl

    settings: Any = {"svg.hashsalt": "froc", "font.size": 10, "text.color": INKS[dark]["ink"]}
    return mpl.rc_context(settings)


def _draw_froc(curve: Froc, point: tuple[float, float | None], ink: dict[str, str]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    draw_froc_axes(axes, ink)
    # An even walk in octaves: the curve is piecewise linear between thousands of scores.
    rates = np.geomspace(FP_RATES[0], FP_RATES[-1], CURVE_POINTS)
    axes.plot(rates, [curve.sensitivity_at(r) for r in rates], color=ink["curve"], lw=2)
    at_rates = [curve.sensitivity_at(rate) for rate in FP_RATES]
    axes.plot(FP_RATES, at_rates, "o", ms=5, color=ink["curve"], label="the seven rates")
    _draw_operating_point(axes, point, ink["mark"])
    axes.legend(loc="lower right", frameon=False)
    return figure


def draw_froc_axes(axes: Axes, ink: dict[str, str]) -> None:
    """Axes of a FROC curve: the seven rates on a logarithmic axis, sensitivity from 0 to 1."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(FP_RATES[0] / 1.12, FP_RATES[-1] * 1.12)
    axes.set_ylim(0, 1.02)
    axes.set_xticks(FP_RATES, [rate_in_words(rate) for rate in FP_RATES])
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.minorticks_off()
    axes.set_xlabel("false positives a scan", color=ink["ink"])
    axes.set_ylabel("sensitivity", color=ink["ink"])
    axes.tick_params(colors=ink["ink"], length=0)
    axes.grid(color=ink["faint"], linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_operating_point(axes: Axes, point: tuple[float, float | None], color: str) -> None:
    fp_per_scan, sensitivity = point
    if sensitivity is None or math.isnan(sensitivity):
        return
    shown_at = min(max(fp_per_scan, FP_RATES[0]), FP_RATES[-1])
    axes.plot([shown_at], [sensitivity], "D", ms=9, color=color, label="operating point")
