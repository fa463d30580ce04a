# SPDX-License-Identifier: Apache-2.0
"""A small patient and the report on it, for tests of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from html_pages import Page

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.reporting.pages import inline_script
from lung_pipeline.reporting.patient.report import write_patient_report

GRID = VoxelGrid((12, 40, 40), (2.0, 1.0, 1.0), (-20.0, -20.0, -10.0))
VOLUMES = {"1.2.3": (np.full(GRID.shape_irc, -850, dtype=np.int16), GRID)}
MADE_AT = "2026-01-02T03:04:05Z"


def finding(**changed: object) -> Finding:
    plain = Finding("1.2.3", -3.25, 4.5, 1.75, 5.9, 24.5, 16.75, 6.25, 0.9375, 0.8125)
    return replace(plain, **changed)  # type: ignore[arg-type]


def diagnosis(*findings: Finding, **changed: object) -> Diagnosis:
    plain = Diagnosis(
        patient_id="patient-7",
        series_uids=("1.2.3",),
        verdict=Rule().verdict(findings),
        rule=Rule(),
        findings=findings,
        models={"nodule": "lung-nodule v3 0a1b"},
        inputs_sha256={"1.2.3": "feedbeef"},
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


def report(
    folder: Path,
    of: Diagnosis,
    truth: pd.DataFrame | None = None,
    volumes: Mapping[str, tuple[np.ndarray, VoxelGrid]] = VOLUMES,
    **more: Any,
) -> Page:
    path = folder / "deep" / "report.html"
    write_patient_report(path, diagnosis=of, volumes=volumes, truth=truth, made_at=MADE_AT, **more)
    return Page(path)


def runs_our_script_alone(page: Page) -> bool:
    """No script but our own, which the page's policy names by its hash, and no handler."""
    ours = inline_script("slices.js")
    return (
        page.scripts in ([], [str(ours.text)])
        and page.source.count("script-src") == len(page.scripts)
        and all(ours.source in page.source for _ in page.scripts)
        and not any(name.startswith("on") for name in page.attributes)
    )
