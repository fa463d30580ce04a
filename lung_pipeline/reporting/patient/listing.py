# SPDX-License-Identifier: Apache-2.0
"""The page that lists a subset's patients: with their names, and so in the home alone.

Belongs here: the list. Does not belong here: a patient's own report (``report.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY, Diagnosis
from lung_pipeline.reporting.pages import write_page

LISTING = "index.html"
"""Its name beside the reports."""


def write_listing(
    folder: Path,
    diagnoses: Sequence[Diagnosis],
    reports: Mapping[str, Path],
    told: Callable[[str], str],
    made_at: str,
) -> Path:
    """Write the list of a subset's patients beside their reports; returns its file.

    Args:
        folder: where the reports lie, a folder each.
        diagnoses: of each patient.
        reports: of each patient the report.
        told: what stands for a patient's name where it must not be told.
        made_at: when, as it stands on the page.
    """
    rows = [
        {
            "patient": one.patient_id,
            "told": told(one.patient_id),
            "verdict": one.verdict,
            "report": quote(reports[one.patient_id].relative_to(folder).as_posix()),
        }
        for one in diagnoses
    ]
    path = folder / LISTING
    write_page(
        path,
        "patients.html",
        subset=folder.name,
        rows=rows,
        made_at=made_at,
        research_only=RESEARCH_ONLY,
    )
    return path
