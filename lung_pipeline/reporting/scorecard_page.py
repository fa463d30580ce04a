# SPDX-License-Identifier: Apache-2.0
"""The scorecard as one page.

Belongs here: figures put into words. Does not belong here: making a figure (``evaluation``), and
drawing the curve (``plots.py``).
"""

from __future__ import annotations

import json
from pathlib import Path

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
from lung_pipeline.evaluation.froc import Froc
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
        notice=RESEARCH_ONLY,
        plot_light=svg_data_uri(froc_svg(froc, point, dark=False)),
        plot_dark=svg_data_uri(froc_svg(froc, point, dark=True)),
    )


def _figure(value: float | None, digits: int = 3) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1%}"
