# SPDX-License-Identifier: Apache-2.0
"""A FROC curve as a picture of its own, with the band of its bootstrap.

Belongs here: drawing for a file. Does not belong here: the curve of a scorecard's page
(``plots.py``), whose axes this one shares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.evaluation.detection.froc import FP_RATES
from lung_pipeline.evaluation.detection.froc_figures import FrocFigures
from lung_pipeline.evaluation.detection.froc_scoring import ScoredDetections
from lung_pipeline.reporting.scores.plots import CURVE_POINTS, INKS, draw_froc_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def froc_figure(scored: ScoredDetections) -> Figure:
    """The curve from 1/8 to 8 false positives a scan on white ground, 1280 x 880 pixels.

    The band holds at each rate by itself. The same detections give the same picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ink, curve, band = INKS[False], scored.curve, scored.band
    figure = Figure(figsize=(6.4, 4.4), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw_froc_axes(axes, ink)
    if band is not None:
        axes.fill_between(
            band.fp_per_scan,
            band.low,
            band.high,
            color=ink["curve"],
            alpha=0.2,
            linewidth=0,
            label=f"95 % interval, {scored.figures.num_resamples:,} draws of patients",
        )
    # The curve is linear between thousands of points, so more of them change no pixel.
    rates = np.geomspace(FP_RATES[0], FP_RATES[-1], CURVE_POINTS)
    axes.plot(rates, [curve.sensitivity_at(rate) for rate in rates], color=ink["curve"], lw=2)
    at_rates = [curve.sensitivity_at(rate) for rate in FP_RATES]
    axes.plot(FP_RATES, at_rates, "o", ms=5, color=ink["curve"], label="the seven rates")
    axes.set_title(_title(scored.figures), loc="left", color=ink["ink"], fontsize=11)
    axes.legend(loc="lower right", frameon=False, labelcolor=ink["ink"])
    return figure


def _title(figures: FrocFigures) -> str:
    cpm = figures.cpm
    interval = "" if cpm.low is None else f" ({cpm.low:.3f} to {cpm.high:.3f})"
    return (
        f"CPM {cpm.value:.3f}{interval}, {figures.num_nodules:,} nodules"
        f" in {figures.num_series:,} scans"
    )
