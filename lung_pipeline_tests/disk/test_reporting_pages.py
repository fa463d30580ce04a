# SPDX-License-Identifier: Apache-2.0
"""The report as a file: every figure stands on it, markup stays text, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_pages import Page

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.errors import LungPipelineError
from lung_pipeline.reporting.html import MOST_CARDS, write_patient_report

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
) -> Page:
    path = folder / "deep" / "report.html"
    write_patient_report(path, diagnosis=of, volumes=volumes, truth=truth, made_at=MADE_AT)
    return Page(path)


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


def test_report_shows_three_planes_and_the_overview(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding()))
    assert page.tags.count("img") == 4
    assert all(plane in page.text for plane in ("axial", "coronal", "sagittal"))


def test_report_asks_for_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding(), finding(nodule_probability=0.1)))
    assert {address.split(":")[0] for address in page.addresses} <= {"data", "#nodule-1"}
    assert "script" not in page.tags
    assert "default-src 'none'" in page.source


@pytest.mark.parametrize("field", ["patient_id", "models", "inputs_sha256", "verdict"])
def test_markup_in_a_value_stays_text(tmp_path: Path, field: str) -> None:
    evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
    value = evil if field in ("patient_id", "verdict") else {"1.2.3": evil}
    page = report(tmp_path, diagnosis(finding(), **{field: value}))
    assert "script" not in page.tags
    assert not any(address.startswith("x") for address in page.addresses)
    assert evil in page.text


def test_markup_in_a_series_uid_stays_text(tmp_path: Path) -> None:
    evil = "</style><script>1</script>"
    two = diagnosis(finding(series_uid=evil), series_uids=(evil, "1.2.3"))
    page = report(tmp_path, two, volumes={evil: VOLUMES["1.2.3"]})
    assert "script" not in page.tags
    assert page.text.count(evil) == 2


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
    assert "img" not in page.tags


def test_a_series_without_its_volume_is_reported_without_pictures(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding()), volumes={})
    assert "img" not in page.tags
    assert "No pictures" in page.text


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
    assert "no readers' mark here" in first
    assert "on a readers' mark" in second


def test_without_truth_nothing_is_said_of_readers(tmp_path: Path) -> None:
    assert "readers" not in report(tmp_path, diagnosis(finding())).text


class Counted(Mapping[str, tuple[np.ndarray, VoxelGrid]]):
    """Volumes that count how often they are read."""

    reads = 0

    def __getitem__(self, uid: str) -> tuple[np.ndarray, VoxelGrid]:
        self.reads += 1
        return VOLUMES[uid]

    def __contains__(self, uid: object) -> bool:
        return uid in VOLUMES

    def __iter__(self) -> Iterator[str]:
        return iter(VOLUMES)

    def __len__(self) -> int:
        return len(VOLUMES)


def test_each_volume_is_read_once(tmp_path: Path) -> None:
    volumes = Counted()
    report(tmp_path, diagnosis(finding(), finding(x_mm=9.0), finding(x_mm=-9.0)), volumes=volumes)
    assert volumes.reads == 1


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
