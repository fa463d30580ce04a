# SPDX-License-Identifier: Apache-2.0
"""The scorecard as one page.

Belongs here: figures put into words. Does not belong here: making a figure (``evaluation``), and
drawing the curve (``plots.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
from lung_pipeline.evaluation.froc import Froc
from lung_pipeline.evaluation.intervals import Estimate
from lung_pipeline.evaluation.readers import ReadersFigures
from lung_pipeline.evaluation.scorecard import Scorecard
from lung_pipeline.reporting.pages import write_page
from lung_pipeline.reporting.plots import froc_svg, rate_in_words, svg_data_uri

UNKNOWN = "not measured"
"""Stands where a figure has nothing to be measured on."""


def write_scorecard_page(scorecard: Scorecard, path: Path, *, froc: Froc) -> None:
    """Write a scorecard as one self-contained HTML file.

    Args:
        scorecard: the record.
        path: the ``.html`` file; written whole or not at all.
        froc: the curve the record was made from.
    """
    detection, malignancy = scorecard.detection, scorecard.malignancy
    point = (detection.fp_per_scan, detection.sensitivity)
    write_page(
        path,
        "scorecard.html",
        card=scorecard,
        cpm=_figure(detection.cpm),
        sensitivity=_share(detection.sensitivity),
        fp_per_scan=f"{detection.fp_per_scan:.2f}",
        threshold=_figure(detection.threshold, digits=4),
        auc=_figure(malignancy.auc),
        auc_of_diameter=_figure(malignancy.auc_of_diameter),
        rates=[(rate_in_words(rate), _figure(value)) for rate, value in detection.froc],
        provenance=json.dumps(scorecard.provenance, indent=2, ensure_ascii=False, default=str),
        split_rule=json.dumps(scorecard.split.rule, ensure_ascii=False, default=str),
        readers=None if scorecard.readers is None else _readers(scorecard.readers),
        notice=RESEARCH_ONLY,
        plot_light=svg_data_uri(froc_svg(froc, point, dark=False)),
        plot_dark=svg_data_uri(froc_svg(froc, point, dark=True)),
    )


def _readers(readers: ReadersFigures) -> dict[str, Any]:
    """What the section on the readers' rule shows: the rule and each figure in words."""
    settings = [f"{key} {value}" for key, value in readers.rule.items() if key != "name"]
    shares = {"Sensitivity": readers.sensitivity, "Specificity": readers.specificity}
    rows = [(name, _share(one.value), _between(one, _share)) for name, one in shares.items()]
    auc = readers.auc_of_mean_rating
    return {
        "figures": readers,
        "rule": readers.rule.get("name", "not recorded"),
        "settings": f"({', '.join(settings)})" if settings else "",
        "rows": [*rows, ("AUC of the mean rating", _figure(auc.value), _between(auc, _figure))],
    }


def _between(estimate: Estimate, in_words: Callable[[float | None], str]) -> str:
    if estimate.low is None:
        return UNKNOWN
    return f"{in_words(estimate.low)} to {in_words(estimate.high)}"


def _figure(value: float | None, digits: int = 3) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1%}"
