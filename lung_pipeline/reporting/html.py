# SPDX-License-Identifier: Apache-2.0
"""The report on one patient: one file that a radiologist can open anywhere and check.

Belongs here: what stands on the page and in which order. Does not belong here: how it looks
(``templates/``), and any judgement: the verdict and its rule come in with the diagnosis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import (
    BENIGN,
    MALIGNANT,
    NO_NODULE,
    NOT_ASSESSED,
    RESEARCH_ONLY,
    Diagnosis,
    Rule,
)
from lung_pipeline.reporting.overlay import axial_slice, cutouts, data_uri, ring
from lung_pipeline.reporting.pages import write_page
from lung_pipeline.reporting.truth import compare_with_readers

if TYPE_CHECKING:
    import pandas as pd

MOST_CARDS = 12
"""More nodules than this follow as a table: nobody reads thirty cards."""

MOST_ROWS = 100
"""Findings below the threshold are listed up to this number; ``findings.csv`` has all."""

_VERDICTS_IN_WORDS = {
    MALIGNANT: "At least one nodule counts as malignant.",
    BENIGN: "Nodules were found; none of them counts as malignant.",
    NO_NODULE: "No finding counts as a nodule.",
    NOT_ASSESSED: "Nodules were found; their malignancy was not assessed, for lack of a model.",
}

Volumes = Mapping[str, tuple[VoxelsHu, VoxelGrid]]
"""For each series UID its voxels and grid, in canonical order."""


@dataclass(frozen=True, slots=True)
class Card:
    """One finding as the page shows it; texts are ready to print."""

    number: int
    """Its number in this report, from 1."""

    finding: Finding
    """The finding."""

    malignancy: str
    """Its malignancy probability, or "not assessed"."""

    counts_as: str
    """"malignant", "benign" or "not assessed", by the rule's threshold."""

    pictures: dict[str, str]
    """The three cut-outs as ``data:`` addresses; empty where the volume is not at hand."""

    readers: str | None
    """What the readers' marks say at this place; None where they are not known."""


Overview = dict[str, str | int | None]
"""The picture of the whole slice, and the number of the nodule on it (None: it is no nodule)."""


def write_patient_report(
    path: Path,
    *,
    diagnosis: Diagnosis,
    volumes: Volumes,
    truth: pd.DataFrame | None,
    made_at: str,
) -> None:
    """Write the report on one patient as one self-contained HTML file.

    Args:
        path: the ``.html`` file; written whole or not at all.
        diagnosis: verdict, rule, findings, models.
        volumes: voxels and grid of each series; it is asked once for each series, so it may read
            them as it is asked. A series it does not have is reported without pictures.
        truth: readers' marks (series_uid, x_mm, y_mm, z_mm, diameter_mm), or None where unknown.
        made_at: when, in ISO 8601; printed as it is.
    """
    rule = diagnosis.rule
    nodules = sorted(rule.nodules(diagnosis.findings), key=_most_suspicious_first)
    others = [f for f in diagnosis.findings if f.nodule_probability < rule.nodule_threshold]
    others.sort(key=lambda finding: -finding.nodule_probability)
    marks, remarks = compare_with_readers(nodules, truth, diagnosis.series_uids)
    pictures, overview = _pictures(nodules, others, volumes, diagnosis.series_uids)
    cards = [
        _card(number, finding, rule, pictures.get(number - 1, {}), remarks)
        for number, finding in enumerate(nodules, start=1)
    ]
    write_page(
        path,
        "patient.html",
        diagnosis=diagnosis,
        verdict_in_words=_VERDICTS_IN_WORDS.get(diagnosis.verdict, ""),
        cards=cards[:MOST_CARDS],
        further=cards[MOST_CARDS:],
        others=others[:MOST_ROWS],
        num_others=len(others),
        overview=overview,
        marks=marks,
        num_missed=sum(mark.finding_number is None for mark in marks or ()),
        notice=RESEARCH_ONLY,
        made_at=made_at,
    )


def _most_suspicious_first(finding: Finding) -> tuple[float, float]:
    malignancy = finding.malignancy_probability
    return (math.inf if malignancy is None else -malignancy, -finding.nodule_probability)


def _card(
    number: int,
    finding: Finding,
    rule: Rule,
    pictures: dict[str, str],
    remarks: Sequence[str] | None,
) -> Card:
    malignancy = finding.malignancy_probability
    if malignancy is None:
        counts_as, malignancy_text = NOT_ASSESSED, NOT_ASSESSED
    else:
        counts_as = MALIGNANT if malignancy >= rule.malignancy_threshold else BENIGN
        malignancy_text = f"{malignancy:.3f}"
    return Card(
        number=number,
        finding=finding,
        malignancy=malignancy_text,
        counts_as=counts_as,
        pictures=pictures,
        readers=None if remarks is None else remarks[number - 1],
    )


def _pictures(
    nodules: Sequence[Finding],
    others: Sequence[Finding],
    volumes: Volumes,
    series_uids: Sequence[str],
) -> tuple[dict[int, dict[str, str]], Overview | None]:
    """The cut-outs of the first nodules by their place in the list, and the overview."""
    largest = max(nodules or others, key=lambda finding: finding.diameter_mm, default=None)
    pictures: dict[int, dict[str, str]] = {}
    overview: Overview | None = None
    for uid in series_uids:
        shown = [i for i, f in enumerate(nodules[:MOST_CARDS]) if f.series_uid == uid]
        has_largest = largest is not None and largest.series_uid == uid
        if uid not in volumes or not (shown or has_largest):
            continue
        voxels_hu, grid = volumes[uid]
        for place in shown:
            pictures[place] = _cutouts(nodules[place], voxels_hu, grid)
        if largest is not None and has_largest:
            number = nodules.index(largest) + 1 if nodules else None
            overview = {"number": number, "picture": _overview(largest, voxels_hu, grid)}
    return pictures, overview


def _cutouts(finding: Finding, voxels_hu: VoxelsHu, grid: VoxelGrid) -> dict[str, str]:
    planes = cutouts(voxels_hu, _center_irc(finding, grid), grid.spacing_irc_mm)
    return {name: data_uri(ring(plane, finding.diameter_mm)) for name, plane in planes.items()}


def _overview(finding: Finding, voxels_hu: VoxelsHu, grid: VoxelGrid) -> str:
    """The whole slice through a finding; the ring is wider here, to be found at a glance."""
    index, row, column = _center_irc(finding, grid)
    _, row_mm, column_mm = grid.spacing_irc_mm
    pixel_mm = min(row_mm, column_mm)
    center_rc = (row * row_mm / pixel_mm, column * column_mm / pixel_mm)
    picture = axial_slice(voxels_hu, index, grid.spacing_irc_mm)
    return data_uri(ring(picture, finding.diameter_mm * 1.25 + 6, pixel_mm, center_rc))


def _center_irc(finding: Finding, grid: VoxelGrid) -> tuple[float, float, float]:
    """Where a finding lies in the canonical array; its own index, row, column are the file's."""
    index, row, column = grid.xyz_mm_to_irc([[finding.x_mm, finding.y_mm, finding.z_mm]])[0]
    return float(index), float(row), float(column)
