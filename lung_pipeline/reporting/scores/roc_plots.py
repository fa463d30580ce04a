# SPDX-License-Identifier: Apache-2.0
"""ROC, precision-recall curve and reliability diagram as SVG, for light and for dark pages.

Belongs here: drawing. Does not belong here: the points that are drawn
(``evaluation/ranking/roc.py``, ``evaluation/ranking/calibration.py``), and FROC (``plots.py``).
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.evaluation.ranking.calibration import CalibrationFigures
from lung_pipeline.evaluation.ranking.roc import RankingFigures
from lung_pipeline.learning.resampling import Estimate
from lung_pipeline.reporting.scores.plots import INKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SQUARE_IN = (4.8, 4.8)
"""Inches of a picture whose axes are both shares."""

_TALL_IN = (4.8, 5.8)
"""Inches of one with counts below it."""


def roc_svg(figures: RankingFigures, ruler: RankingFigures | None = None, *, dark: bool) -> str:
    """The ROC curve with its pointwise 95 % band, and the ruler's curve beside it.

    Args:
        figures: the model's; where a class is missing only the axes are drawn.
        ruler: the diameter's on the same nodules, dashed; None draws none.
        dark: whether the page is dark.

    Returns:
        An SVG with a transparent ground; the same figures give the same text.
    """
    ink = INKS[dark]
    with _inked(ink, "roc"):
        figure, axes = _square()
        axes.plot([0, 1], [0, 1], **_by_chance(ink))
        if figures.roc_band:
            rate, low, high = np.array(figures.roc_band).T
            axes.fill_between(rate, low, high, color=ink["curve"], alpha=0.2, linewidth=0)
        for one, name, style in _drawn(figures, ruler, ink):
            if one.roc:
                label = f"{name}, area {_told(one.roc_auc)}"
                axes.plot(*np.array(one.roc).T, label=label, **style)
        _finish(axes, "false positive rate", "true positive rate", ink)
        return _as_svg(figure)


def precision_recall_svg(
    figures: RankingFigures, ruler: RankingFigures | None = None, *, dark: bool
) -> str:
    """The precision-recall curve in steps, over the precision of a score that knows nothing.

    AP is average precision. Arguments and result are those of ``roc_svg``.
    """
    ink = INKS[dark]
    with _inked(ink, "precision-recall"):
        figure, axes = _square()
        if figures.precision_recall and figures.share_positive is not None:
            axes.plot([0, 1], [figures.share_positive] * 2, **_by_chance(ink))
        for one, name, style in _drawn(figures, ruler, ink):
            if one.precision_recall:
                recall, precision = np.array(one.precision_recall).T
                label = f"{name}, AP {_told(one.average_precision)}"
                # A precision holds from the recall before it on: no lines between points.
                axes.step(recall, precision, where="pre", label=label, **style)
        _finish(axes, "recall", "precision", ink)
        return _as_svg(figure)


def reliability_svg(figures: CalibrationFigures, *, dark: bool) -> str:
    """What was so over what was said, with intervals, above the number of samples of each bin.

    Args:
        figures: what is drawn; empty bins have no point.
        dark: whether the page is dark.

    Returns:
        An SVG with a transparent ground; the same figures give the same text.
    """
    from matplotlib.figure import Figure

    ink = INKS[dark]
    with _inked(ink, "reliability"):
        figure = Figure(figsize=_TALL_IN, layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot([0, 1], [0, 1], **_by_chance(ink))
        _draw_bins(axes, figures, ink)
        _finish(axes, "", "share that is positive", ink)
        _draw_counts(below, figures, ink)
        return _as_svg(figure)


def _draw_bins(axes: Axes, figures: CalibrationFigures, ink: dict[str, str]) -> None:
    full = [one for one in figures.bins if one.mean_probability is not None]
    if not full:
        return
    said = [float(one.mean_probability or 0) for one in full]
    so = [float(one.share_positive.value or 0) for one in full]
    axes.vlines(
        [x for x, one in zip(said, full, strict=True) if one.share_positive.low is not None],
        [one.share_positive.low for one in full if one.share_positive.low is not None],
        [one.share_positive.high for one in full if one.share_positive.high is not None],
        color=ink["curve"],
        linewidth=6,
        alpha=0.25,
    )
    label = f"ECE {_figure(figures.ece)}, {_figure(figures.ece_by_chance)} by chance"
    axes.plot(said, so, "o-", color=ink["curve"], lw=2, ms=6, label=label, clip_on=False, zorder=3)
    axes.plot([], [], " ", label=f"Brier score {_told(figures.brier)}")


def _draw_counts(axes: Axes, figures: CalibrationFigures, ink: dict[str, str]) -> None:
    counts = [one.count for one in figures.bins]
    middles = [(one.low + one.high) / 2 for one in figures.bins]
    axes.bar(middles, counts, width=0.8 / max(len(counts), 1), color=ink["curve"], alpha=0.6)
    for middle, count in zip(middles, counts, strict=True):
        if count:
            axes.annotate(
                f"{count:,}",
                (middle, count),
                (0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    axes.set_ylim(0, max([*counts, 1]) * 1.25)
    axes.set_yticks([])
    axes.set_xlabel("probability that was given", color=ink["ink"])
    axes.set_ylabel("samples", color=ink["ink"])
    axes.tick_params(colors=ink["ink"], length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _inked(ink: dict[str, str], salt: str) -> AbstractContextManager[None]:
    import matplotlib as mpl

    return mpl.rc_context({"svg.hashsalt": salt, "font.size": 10, "text.color": ink["ink"]})


def _square() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SQUARE_IN, layout="constrained")
    return figure, figure.add_subplot()


def _by_chance(ink: dict[str, str]) -> dict[str, Any]:
    """How the line is drawn on which nothing is known, or all is right."""
    return {"color": ink["ink"], "linewidth": 1, "linestyle": ":", "zorder": 1}


def _drawn(
    figures: RankingFigures, ruler: RankingFigures | None, ink: dict[str, str]
) -> list[tuple[RankingFigures, str, dict[str, Any]]]:
    """The curves with name and style; they differ in more than colour."""
    curves: list[tuple[RankingFigures, str, dict[str, Any]]] = [
        (figures, "model", {"color": ink["curve"], "lw": 2, "zorder": 3})
    ]
    if ruler is not None:
        dashed = {"color": ink["mark"], "lw": 1.8, "ls": (0, (4, 2)), "zorder": 2}
        curves.append((ruler, "diameter alone", dashed))
    return curves


def _finish(axes: Axes, x_label: str, y_label: str, ink: dict[str, str]) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_xlabel(x_label, color=ink["ink"])
    axes.set_ylabel(y_label, color=ink["ink"])
    axes.tick_params(colors=ink["ink"], length=0)
    axes.grid(color=ink["faint"], linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        # Above the axes: a curve may lie in any corner.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2)


def _told(estimate: Estimate) -> str:
    interval = "" if estimate.low is None else f" ({estimate.low:.3f} to {estimate.high:.3f})"
    return _figure(estimate.value) + interval


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _as_svg(figure: Figure) -> str:
    svg = io.StringIO()
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    return svg.getvalue()
