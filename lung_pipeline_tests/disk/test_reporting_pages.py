# SPDX-License-Identifier: Apache-2.0
"""The report as a file: every figure stands on it, in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from patient_reports import (
    MADE_AT,
    diagnosis,
    finding,
    report,
)

from lung_pipeline.diagnosis.patient import INCOMPLETE, Rule, diagnosis_of
from lung_pipeline.diagnosis.verdict.readers import ReadersVerdict
from lung_pipeline.errors import LungPipelineError
from lung_pipeline.reporting.patient.shown import MOST_CARDS


def test_report_holds_every_figure_of_a_nodule(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding()))
    assert Rule().in_words() in page.text
    for figure in (
        "patient-7",
        "malignant",
        "6.2 mm",
        "0.938",
        "0.812",
        "-3.2, 4.5, 1.8",
        "5.9, 24.5, 16.8",
        "lung-nodule v3 0a1b",
        "feedbeef",
        "1.2.3",
        MADE_AT,
        "Research use only",
    ):
        assert figure in page.text, figure


def test_without_a_malignancy_model_it_says_not_assessed(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding(malignancy_probability=None)))
    assert "Malignancy probability not assessed" in page.text
    assert "for lack of a model" in page.text


def test_nodules_beyond_the_cards_stand_in_a_table(tmp_path: Path) -> None:
    nodules = [finding(malignancy_probability=p / 100, index=p + 0.5) for p in range(1, 16)]
    page = report(tmp_path, diagnosis(*nodules))
    assert page.tags.count("article") == MOST_CARDS
    assert "3 further nodules" in page.text
    # The most suspicious come first; the last card has 0.04, the table 0.03, 0.02 and 0.01.
    cards, _, table = page.text.partition("3 further nodules")
    assert "15.5, 24.5, 16.8" in cards
    assert all(f"{row}.5, 24.5, 16.8" in table for row in (1, 2, 3))


def test_findings_below_the_threshold_are_listed_apart(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding(nodule_probability=0.25)))
    assert "article" not in page.tags
    assert "no nodule" in page.text
    assert "1 with a nodule probability below 0.5" in page.text
    assert "0.250" in page.text


def test_a_patient_without_findings_gets_a_report(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis())
    assert "No finding counts as a nodule." in page.text
    assert "All 12 slices" in page.text
    assert page.tags.count("img") == 12
    assert "checkbox" not in page.source.partition("<main>")[2]


def test_readers_marks_stand_beside_the_nodules(tmp_path: Path) -> None:
    truth = pd.DataFrame(
        [
            ("1.2.3", -3.0, 4.5, 1.75, 7.5),
            ("1.2.3", 15.0, 4.5, 1.75, 8.5),
            ("of another patient", -3.0, 4.5, 1.75, 9.5),
        ],
        columns=["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"],
    )
    # The more suspicious is number 1 and off the marks; the more probable is number 2 and on one.
    off = finding(x_mm=-15.0, malignancy_probability=0.99, nodule_probability=0.6)
    page = report(tmp_path, diagnosis(finding(), off), truth)
    assert "1 of 2 marks have a nodule within their radius" in page.text
    assert "7.5 -3.0, 4.5, 1.8 nodule 2" in page.text
    assert "8.5 15.0, 4.5, 1.8 missed" in page.text
    assert "9.5" not in page.text.partition("Beside the readers")[2]
    first, _, second = page.text.partition("Nodule 2 ·")
    assert "no reference nodule here" in first
    assert "on a reference nodule" in second


def test_without_truth_nothing_is_said_of_readers(tmp_path: Path) -> None:
    assert "readers" not in report(tmp_path, diagnosis(finding())).text


def test_every_rule_and_the_readers_have_their_verdict(tmp_path: Path) -> None:
    readers = ReadersVerdict("benign", "two of the readers", ((1, 2, 3), ()), 0, "158.xml")
    of = diagnosis_of(
        "p",
        [finding()],
        inputs_sha256={"1.2.3": "feed"},
        models={},
        readers=readers,
        cautions=["Slices are thick."],
        seconds={"reading": 1.25, "looking": 2.5},
    )
    page = report(tmp_path, replace(of, peak_memory_bytes=1_230_000_000))
    for told in (
        "any-malignant-nodule (chosen) malignant",
        "noisy-or malignant probability 0.762",
        "readers benign 0 of 2 nodules malignant; ratings 1 2 3, none two of the readers · 158.xml",
        "Slices are thick.",
        of.thresholds_from,
        "Time: looking 2.50 s",
        "Time: together 3.75 s",
        "Memory at its peak 1.23 GB",
    ):
        assert told.replace(" ", "") in page.text.replace(" ", ""), told


def test_a_series_that_was_not_looked_at_is_named_with_its_reason(tmp_path: Path) -> None:
    of = diagnosis(verdict=INCOMPLETE, not_looked_at={"9.9.9": "slices are missing"})
    page = report(tmp_path, of)
    assert "A series could not be looked at" in page.text
    assert "The series 9.9.9 was not looked at: slices are missing" in page.text


def test_a_report_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    report(tmp_path, diagnosis(finding()))
    bad = pd.DataFrame(
        [("1.2.3", np.nan, 0.0, 0.0, 5.0)],
        columns=["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"],
    )
    with pytest.raises(LungPipelineError):
        report(tmp_path, diagnosis(finding(), patient_id="newer"), bad)
    left = list((tmp_path / "deep").iterdir())
    assert [path.name for path in left] == ["report.html"]
    assert "patient-7" in left[0].read_text(encoding="utf-8")
