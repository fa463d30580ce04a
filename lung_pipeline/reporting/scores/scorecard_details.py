# SPDX-License-Identifier: Apache-2.0
"""What stands behind a scorecard's headline, as tables and pictures for its page.

Belongs here: rows, sentences and plots of the details. Does not belong here: making a figure
(``evaluation/details.py``), and the page (``scorecard_page.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lung_pipeline.evaluation.details import Details
from lung_pipeline.evaluation.lost_nodules.waterfall import STAGES
from lung_pipeline.evaluation.ranking.calibrated import ModelCalibration
from lung_pipeline.evaluation.ranking.roc import RankingFigures
from lung_pipeline.learning.resampling import Estimate
from lung_pipeline.reporting.scores.plots import rate_in_words, svg_data_uri
from lung_pipeline.reporting.scores.roc_plots import precision_recall_svg, reliability_svg, roc_svg
from lung_pipeline.reporting.scores.waterfall_plot import waterfall_svg

Picture = dict[str, str]
"""An image for light and for dark pages, and what it shows in words."""


def details_on_page(details: Details) -> dict[str, Any]:
    """What the template of the details shows."""
    false_positives = details.false_positives
    return {
        "intervals": [
            (rate_in_words(rate), _interval(at)) for rate, at in details.froc.sensitivity
        ],
        "cpm": _interval(details.froc.cpm),
        "num_resamples": details.froc.num_resamples,
        "thresholds": details.thresholds,
        "confusion": details.confusion.as_rows(),
        "lies_on": [row for row in false_positives.as_rows() if row["findings"]],
        "num_false_positives": false_positives.num_false_positives,
        "waterfall": _waterfall(details),
        "rankings": _rankings(details),
        "calibration": [_calibration(step, one) for step, one in details.calibration.items()],
    }


def _waterfall(details: Details) -> dict[str, Any] | None:
    lost = details.waterfall
    if lost is None:
        return None
    rows = lost.as_rows()
    # A stage at which no nodule ended says nothing in thirty cells.
    stages = [stage for stage in STAGES if lost.stages[stage]]
    return {
        "picture": _picture(
            lambda dark: waterfall_svg(lost, dark=dark),
            "nodules left after each stage, by diameter",
        ),
        "stages": stages,
        "rows": [
            (row["by"], row["band"], row["nodules"], [row[stage] for stage in stages])
            for row in rows
        ],
    }


def _rankings(details: Details) -> list[dict[str, Any]]:
    malignancy = details.malignancy_ranking
    shown: list[tuple[str, RankingFigures, RankingFigures | None]] = [
        ("Nodules above false positives", details.nodule_ranking, None)
    ]
    if malignancy.model is not None:
        title = "Malignant above benign, beside the diameter"
        shown.append((title, malignancy.model, malignancy.diameter))
    return [_ranking(title, figures, ruler) for title, figures, ruler in shown]


def _ranking(title: str, figures: RankingFigures, ruler: RankingFigures | None) -> dict[str, Any]:
    return {
        "title": title,
        "roc": _picture(lambda dark: roc_svg(figures, ruler, dark=dark), f"ROC curve: {title}"),
        "precision_recall": _picture(
            lambda dark: precision_recall_svg(figures, ruler, dark=dark),
            f"precision and recall: {title}",
        ),
    }


def _calibration(step: str, one: ModelCalibration) -> dict[str, Any]:
    given, after = one.as_given, one.calibrated
    figures = {
        "expected calibration error": (given.ece, after.ece),
        "the same of perfect probabilities": (given.ece_by_chance, after.ece_by_chance),
        "Brier score": (given.brier.value, after.brier.value),
        "log loss": (given.log_loss, after.log_loss),
    }
    return {
        "step": step,
        "picture": _picture(
            lambda dark: reliability_svg(given, dark=dark), f"reliability of the {step} model"
        ),
        "rows": [(name, *map(_figure, pair)) for name, pair in figures.items()],
        "how": one.calibrator.how,
        "kind": one.calibrator.kind,
    }


def _picture(draw: Callable[[bool], str], shows: str) -> Picture:
    light, dark = (svg_data_uri(draw(is_dark)) for is_dark in (False, True))
    return {"light": light, "dark": dark, "shows": shows}


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "–"
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
