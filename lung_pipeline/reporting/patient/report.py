# SPDX-License-Identifier: Apache-2.0
"""The report on one patient: one file that a radiologist can open anywhere and check.

Belongs here: what stands on the page and in which order. Does not belong here: how it looks
(``templates/``), and any judgement: the verdict and its rule come in with the diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import (
    BENIGN,
    INCOMPLETE,
    MALIGNANT,
    NO_NODULE,
    NOT_ASSESSED,
    RESEARCH_ONLY,
    Diagnosis,
)
from lung_pipeline.diagnosis.verdict.rules import NoisyOr
from lung_pipeline.reporting.pages import inline_script, write_page
from lung_pipeline.reporting.patient.cards import Card, card, malignancy_in_words
from lung_pipeline.reporting.patient.outline import NODULE_RGB, OTHER_RGB
from lung_pipeline.reporting.patient.series_pictures import Beside, Pictures, Volumes, gather
from lung_pipeline.reporting.patient.shown import MOST_CARDS, MasksOf, Shown, in_order
from lung_pipeline.reporting.patient.truth import compare_with_readers

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 100
"""Findings below the threshold are listed up to this number; ``findings.csv`` has all."""

_VERDICTS_IN_WORDS = {
    MALIGNANT: "At least one nodule counts as malignant.",
    BENIGN: "Nodules were found; none of them counts as malignant.",
    NO_NODULE: "No finding counts as a nodule.",
    NOT_ASSESSED: "Nodules were found; their malignancy was not assessed, for lack of a model.",
    INCOMPLETE: "A series could not be looked at; what lies in it is not known.",
}
_CHANCES_IN_WORDS = _VERDICTS_IN_WORDS | {
    MALIGNANT: "All findings together make it likely that at least one is a malignant nodule.",
    BENIGN: "Nodules were found; all findings together do not make a malignant one likely.",
    NOT_ASSESSED: "Without a malignancy model it cannot be told whether a malignant one is likely.",
}
"""Of the rule that weighs all findings instead of counting nodules."""


def write_patient_report(
    path: Path,
    *,
    diagnosis: Diagnosis,
    volumes: Volumes,
    truth: pd.DataFrame | None,
    made_at: str,
    masks: MasksOf | None = None,
    true_masks: MasksOf | None = None,
    original_grids: Mapping[str, VoxelGrid] | None = None,
    shows_slices: bool = True,
) -> None:
    """Write the report on one patient as one self-contained HTML file.

    Args:
        path: the ``.html`` file; written whole or not at all.
        diagnosis: verdict, rule, findings, models.
        volumes: voxels and grid of each series; it is asked once for each series, so it may read
            them as it is asked. A series it does not have is reported without pictures.
        truth: readers' marks (series_uid, x_mm, y_mm, z_mm, diameter_mm), or None where unknown.
        made_at: when, in ISO 8601; printed as it is.
        masks: for each series the masks of its findings, in their order in the diagnosis; without
            them nothing is outlined.
        true_masks: for each series the voxels the readers marked; without them a mark is drawn as
            a ball of its diameter.
        original_grids: the files' own grids, by series; without them slices are counted from the
            feet instead of as the file counts them.
        shows_slices: whether the slices can be paged through, which is most of the file's bytes.

    Raises:
        ValueError: a series has another number of masks than of findings.
    """
    shown = in_order(diagnosis, masks)
    nodules, others = _parted(shown)
    marks, remarks = compare_with_readers(nodules, truth, diagnosis.series_uids)
    beside = Beside(original_grids or {}, marks, true_masks or {})
    pictures = gather(shown, volumes, diagnosis.series_uids, beside, shows_slices=shows_slices)
    cards = _cards(shown, diagnosis, pictures, remarks)
    write_page(
        path,
        "patient.html",
        diagnosis=diagnosis,
        verdict_in_words=_in_words(diagnosis),
        cards=cards[:MOST_CARDS],
        further=cards[MOST_CARDS:],
        others=[(finding, malignancy_in_words(finding)) for finding in others[:MOST_ROWS]],
        num_others=len(others),
        pictures=pictures,
        script=inline_script("slices.js") if pictures.stacks else None,
        marks=marks,
        num_missed=sum(mark.finding_number is None for mark in marks or ()),
        are_marks_balls=any(mark.series_uid not in beside.true_masks for mark in marks or ()),
        are_nodules_balls=any(s.mask is None for s in shown if s.number is not None),
        nodule_rgb=NODULE_RGB,
        other_rgb=OTHER_RGB,
        notice=RESEARCH_ONLY,
        made_at=made_at,
    )


def _in_words(diagnosis: Diagnosis) -> str:
    is_weighed = isinstance(diagnosis.rule, NoisyOr)
    words = _CHANCES_IN_WORDS if is_weighed else _VERDICTS_IN_WORDS
    return words.get(diagnosis.verdict, "")


def _parted(shown: Sequence[Shown]) -> tuple[list[Finding], list[Finding]]:
    nodules = [s.finding for s in shown if s.number is not None]
    return nodules, [s.finding for s in shown if s.number is None]


def _cards(
    shown: Sequence[Shown],
    diagnosis: Diagnosis,
    pictures: Pictures,
    remarks: Sequence[str] | None,
) -> list[Card]:
    return [
        card(
            s.number,
            s.finding,
            diagnosis.rule,
            pictures.cards.get(s.number, ()),
            pictures.slice_ids.get(s.number),
            None if remarks is None else remarks[s.number - 1],
        )
        for s in shown
        if s.number is not None
    ]
