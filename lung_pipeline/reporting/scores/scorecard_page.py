# SPDX-License-Identifier: Apache-2.0
"""The scorecard as one page.

Belongs here: figures put into words. Does not belong here: making a figure (``evaluation``), and
drawing the curve (``plots.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
from lung_pipeline.evaluation.detection.froc import Froc
from lung_pipeline.evaluation.ranking.malignancy import MalignancyFigures
from lung_pipeline.evaluation.readers import ReadersFigures
from lung_pipeline.evaluation.scorecard import Scorecard
from lung_pipeline.evaluation.split_certificate import UNKNOWN_SPLIT, SplitCertificate
from lung_pipeline.learning.resampling import Estimate
from lung_pipeline.reporting.pages import write_page
from lung_pipeline.reporting.scores.plots import froc_svg, rate_in_words, svg_data_uri
from lung_pipeline.reporting.scores.scorecard_details import details_on_page

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
        threshold=_score(detection.threshold),
        auc=_figure(malignancy.auc),
        auc_of_diameter=_figure(malignancy.auc_of_diameter),
        # A record that does not say is of an earlier version.
        has_no_marks=scorecard.provenance.get("excluded_marks", "not recorded") is None,
        ruler=_ruler(scorecard),
        labelled_by=" ".join(
            _rule(scorecard.provenance.get("malignancy_rule") or {"name": ""})
        ).strip(),
        rates=[(rate_in_words(rate), _figure(value)) for rate, value in detection.froc],
        provenance=json.dumps(scorecard.provenance, indent=2, ensure_ascii=False, default=str),
        split_rule=json.dumps(scorecard.split.rule, ensure_ascii=False, default=str),
        models_of_another_split=_models_of_another_split(scorecard.split),
        readers=None if scorecard.readers is None else _readers(scorecard.readers),
        details=None if scorecard.details is None else details_on_page(scorecard.details),
        notice=RESEARCH_ONLY,
        plot_light=svg_data_uri(froc_svg(froc, point, dark=False)),
        plot_dark=svg_data_uri(froc_svg(froc, point, dark=True)),
    )


def _models_of_another_split(split: SplitCertificate) -> str:
    """Which models may have seen who is scored: their steps, or how many, or that it is unknown."""
    if split.models_of_another_split:
        return ", ".join(split.models_of_another_split)
    if split.num_models_of_another_split is not None:
        return str(split.num_models_of_another_split)
    unknown = ", ".join(split.models_of_unknown_split)
    return f"{UNKNOWN_SPLIT}: {unknown}" if unknown else UNKNOWN_SPLIT


def _ruler(scorecard: Scorecard) -> dict[str, Any]:
    """What the section on malignancy shows: a row and a sentence for each range of sizes."""
    ranges = {"All sizes": scorecard.malignancy, "6 to 20 mm": scorecard.malignancy_6_to_20_mm}
    known = {name: figures for name, figures in ranges.items() if figures is not None}
    return {
        "headings": list(_beside_the_ruler(scorecard.malignancy)),
        "rows": [(name, list(_beside_the_ruler(one).values())) for name, one in known.items()],
        "sentences": [f"{name}: {_verdict(one)}" for name, one in known.items()],
    }


def _beside_the_ruler(figures: MalignancyFigures) -> dict[str, str | int]:
    """The cells of one row under their headings."""
    difference, patients = figures.auc_difference, figures.num_patients
    return {
        "Model": _figure(figures.auc),
        "Diameter alone": _figure(figures.auc_of_diameter),
        "Difference": _signed(difference.value),
        "95 % interval": _between(difference, _signed),
        "Malignant": figures.num_malignant,
        "Benign": figures.num_benign,
        "Patients": "not counted" if patients is None else patients,
    }


def _verdict(figures: MalignancyFigures) -> str:
    """What the difference from the diameter comes to, as the end of a sentence."""
    difference = figures.auc_difference
    if difference.value is None:
        return "no comparison, which takes a malignancy model and nodules of both kinds."
    if difference.low is None or difference.high is None:
        return "too little to tell whether the model is better than the diameter."
    if difference.low > 0:
        return "the model is better than the diameter."
    if difference.high < 0:
        return "the model is worse than the diameter."
    return "the model is no better than the diameter, as far as can be told."


def _readers(readers: ReadersFigures) -> dict[str, Any]:
    """What the section on the readers' rule shows: the rule and each figure in words."""
    name, settings = _rule(readers.rule)
    shares = {"Sensitivity": readers.sensitivity, "Specificity": readers.specificity}
    rows = [(name, _share(one.value), _between(one, _share)) for name, one in shares.items()]
    auc = readers.auc_of_mean_rating
    return {
        "figures": readers,
        "rule": name,
        "settings": settings,
        "rows": [*rows, ("AUC of the mean rating", _figure(auc.value), _between(auc, _figure))],
    }


def _rule(rule: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a rule for malignancy, and its settings in brackets."""
    settings = [f"{key} {value}" for key, value in rule.items() if key != "name"]
    return rule.get("name", "not recorded"), f"({', '.join(settings)})" if settings else ""


def _between(estimate: Estimate, in_words: Callable[[float | None], str]) -> str:
    if estimate.low is None:
        return UNKNOWN
    return f"{in_words(estimate.low)} to {in_words(estimate.high)}"


def _figure(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _score(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4g}"


def _signed(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+.3f}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1%}"
