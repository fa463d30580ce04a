# SPDX-License-Identifier: Apache-2.0
"""The comparison of two sets of models as files: a record, and a page with the crops of nodules.

Belongs here: what stands where. Does not belong here: words (``comparison_words.py``) and pictures
(``changed_crops.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
from lung_pipeline.evaluation.comparison.changed_nodules import ChangedNodule
from lung_pipeline.evaluation.comparison.comparison import (
    CPM,
    FP_PER_SCAN,
    MALIGNANCY_AUC_OF_FOUND,
    Comparison,
)
from lung_pipeline.home import Home
from lung_pipeline.reporting.pages import write_page
from lung_pipeline.reporting.scores.changed_crops import pictures_of
from lung_pipeline.reporting.scores.comparison_words import NAMES, kind, lines, place, score
from lung_pipeline.writing import written_whole

RECORD, PAGE = "comparison.json", "comparison.html"

MOST_SHOWN = 60
"""Nodules of each kind that stand on the page, the largest; all are in the record. Sixty crops are
150 kB."""

_TONES = {"better": "tone-benign", "worse": "tone-malignant", "within noise": "tone-not-assessed"}
"""Green, red and amber, always beside the word."""


def write_comparison(
    home: Home,
    comparison: Comparison,
    folder: Path,
    verdict: str = "",
    told: Callable[[str], str] = str,
) -> Path:
    """Write the record and the page into a folder; returns the page.

    Args:
        home: where the crops lie.
        comparison: what differs.
        folder: made where it is missing; each file is written whole or not at all.
        verdict: what was decided upon it, in words; empty where nothing was.
        told: what stands for the name of a patient or a scan where it must not be told.
    """
    shown = [*comparison.won[:MOST_SHOWN], *comparison.lost[:MOST_SHOWN]]
    names = {one.candidate_id: _under(one, told).candidate_id for one in shown}
    pictures = {names[known]: picture for known, picture in pictures_of(home, shown).items()}
    won, lost = (
        tuple(_under(one, told) for one in group) for group in (comparison.won, comparison.lost)
    )
    comparison = replace(comparison, won=won, lost=lost)
    with written_whole(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(comparison.as_json(), indent=2) + "\n")
    write_comparison_page(comparison, folder / PAGE, pictures, verdict)
    return folder / PAGE


def _under(nodule: ChangedNodule, told: Callable[[str], str]) -> ChangedNodule:
    """A nodule under the names that may be told; a candidate is called after its series."""
    series = told(nodule.series_uid)
    return replace(
        nodule,
        patient_id=told(nodule.patient_id),
        series_uid=series,
        candidate_id=nodule.candidate_id.replace(nodule.series_uid, series),
    )


def write_comparison_page(
    comparison: Comparison, path: Path, pictures: Mapping[str, str], verdict: str = ""
) -> None:
    """Write a comparison as one self-contained HTML file.

    Args:
        comparison: the record.
        path: the ``.html`` file; written whole or not at all.
        pictures: for each candidate's id its crop as a ``data:`` address; some may be missing.
        verdict: what was decided upon it, in words; empty where nothing was.
    """
    told = {line.name: line for line in lines(comparison)}
    above = [told[NAMES[name]] for name in (CPM, MALIGNANCY_AUC_OF_FOUND, FP_PER_SCAN)]
    write_page(
        path,
        "comparison.html",
        comparison=comparison,
        sides=[("A", comparison.a), ("B", comparison.b)],
        headlines=above,
        lines=lines(comparison),
        tones=_TONES,
        groups=[
            _group("Won", "B finds these, A does not.", comparison.won, pictures),
            _group("Lost", "A finds these, B does not.", comparison.lost, pictures),
        ],
        verdict=verdict,
        notice=RESEARCH_ONLY,
    )


def _group(
    title: str, meaning: str, nodules: Sequence[ChangedNodule], pictures: Mapping[str, str]
) -> dict[str, Any]:
    """What a section on nodules shows."""
    return {
        "title": title,
        "meaning": meaning,
        "num": len(nodules),
        "num_left_out": max(len(nodules) - MOST_SHOWN, 0),
        "nodules": [_card(one, pictures.get(one.candidate_id)) for one in nodules[:MOST_SHOWN]],
    }


def _card(nodule: ChangedNodule, picture: str | None) -> dict[str, Any]:
    return {
        "id": nodule.candidate_id,
        "picture": picture,
        "diameter": f"{nodule.diameter_mm:.1f} mm",
        "kind": kind(nodule),
        "is_malignant": nodule.is_malignant,
        "place": place(nodule),
        "patient": nodule.patient_id,
        "scores": (("A", score(nodule.score_a)), ("B", score(nodule.score_b))),
    }
