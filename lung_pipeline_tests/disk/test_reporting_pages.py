# SPDX-License-Identifier: Apache-2.0
"""The two pages as files: every figure stands on them, markup stays text, nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.errors import LungPipelineError
from lung_pipeline.evaluation.froc import Froc, froc, operating_point
from lung_pipeline.evaluation.intervals import Estimate
from lung_pipeline.evaluation.matching import match
from lung_pipeline.evaluation.readers import ReadersFigures
from lung_pipeline.evaluation.scorecard import (
    Scorecard,
    SplitCertificate,
    build_scorecard,
    malignancy_figures,
)
from lung_pipeline.reporting.html import MOST_CARDS, write_patient_report
from lung_pipeline.reporting.plots import froc_svg
from lung_pipeline.reporting.scorecard_page import write_scorecard_page

GRID = VoxelGrid((12, 40, 40), (2.0, 1.0, 1.0), (-20.0, -20.0, -10.0))
VOLUMES = {"1.2.3": (np.full(GRID.shape_irc, -850, dtype=np.int16), GRID)}
MADE_AT = "2026-01-02T03:04:05Z"


class Page(HTMLParser):
    """What a browser would make of a page: its text, its tags, and all it would ask for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._texts: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._texts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "srcset", "href", "action")]

    def handle_data(self, data: str) -> None:
        self._texts.append(data)


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


def scored(name: str = "demo", num_nodules: int = 2) -> tuple[Scorecard, Froc]:
    """One nodule of two found at 0.9; one false positive at 0.4; two scans."""
    nodules = pd.DataFrame(
        {"series_uid": ["a", "b"], "x_mm": 0.0, "y_mm": 0.0, "z_mm": 0.0, "diameter_mm": 6.0}
    )
    findings = nodules.assign(score=[0.9, 0.4], x_mm=[1.0, 50.0])
    matches = match(findings, nodules.iloc[:num_nodules], series_uids=["a", "b"])
    curve = froc(matches, 2)
    card = build_scorecard(
        name=name,
        part="test",
        subsets=("subset3", "subset5"),
        num_patients=2,
        models={"nodule": "lung-nodule v3 0a1b"},
        matches=matches,
        curve=curve,
        point=operating_point(curve, 0.0),
        how_chosen="highest sensitivity at no more than 4 false positives a scan",
        malignancy=malignancy_figures([True, False, False], [9, 10, 4], [0.8, 0.7, 0.1]),
        split=SplitCertificate({"kind": "hash", "seed": 77}, {"train": 51, "test": 23}, 0),
        provenance={"code": "0.1.0", "tables": {"findings": "c0ffee"}},
        made_at=MADE_AT,
    )
    return card, curve


def scorecard_page(folder: Path, card: Scorecard, curve: Froc) -> Page:
    write_scorecard_page(card, folder / "scorecard.html", froc=curve)
    return Page(folder / "scorecard.html")


def test_scorecard_page_holds_every_figure(tmp_path: Path) -> None:
    page = scorecard_page(tmp_path, *scored())
    for figure in (
        "50.0%",
        "0.9000",
        "1/8 1/4 1/2 1 2 4 8",
        "0.500 0.500 0.500 0.500 0.500 0.500 0.500",
        "highest sensitivity at no more than 4 false positives a scan",
        "nodules hit 1",
        "false positives 1",
        "AUC of the malignancy model 1.000",
        "AUC of the diameter alone 0.500",
        "Patients in two parts 0",
        "Patients in train 51",
        '"seed": 77',
        "subset3, subset5",
        "lung-nodule v3 0a1b",
        "c0ffee",
        MADE_AT,
    ):
        assert figure in page.text, figure


READERS = ReadersFigures(
    rule={"name": "mean", "version": 1, "threshold": 3.5, "ties": "left out"},
    num_patients=190,
    num_unknown=31,
    num_unrated=32,
    num_left_out=33,
    num_malignant_called_malignant=41,
    num_malignant_called_benign=7,
    num_benign_called_malignant=9,
    num_benign_called_benign=37,
    sensitivity=Estimate(0.854, 0.728, 0.928),
    specificity=Estimate(0.804, 0.668, 0.893),
    auc_of_mean_rating=Estimate(0.876, None, None),
)


def test_scorecard_page_holds_the_readers_beside_the_diagnosis(tmp_path: Path) -> None:
    card, curve = scored()
    page = scorecard_page(tmp_path, replace(card, readers=READERS), curve)
    for figure in (
        "How good is the readers' rule?",
        "Rule says malignant 41 9",
        "Rule says benign 7 37",
        "Of 190 patients in the table of diagnoses",
        "31 with an unknown diagnosis, 32 without a rated reference nodule, 33 whose nodules",
        "Sensitivity 85.4% 72.8% to 92.8%",
        "Specificity 80.4% 66.8% to 89.3%",
        "AUC of the mean rating 0.876 not measured",
        "Shares of 94 patients",
        "AUC of the 127 with a rated nodule",
        "mean (version 1, threshold 3.5, ties left out)",
        "patients of all parts count",
    ):
        assert figure in page.text, figure


def test_scorecard_page_without_diagnoses_says_nothing_of_readers(tmp_path: Path) -> None:
    assert "readers' rule" not in scorecard_page(tmp_path, *scored()).text


def test_scorecard_page_says_when_no_patient_is_in_the_table(tmp_path: Path) -> None:
    card, curve = scored()
    nobody = replace(READERS, rule={"name": "two-of-readers"}, num_patients=0)
    page = scorecard_page(tmp_path, replace(card, readers=nobody), curve)
    assert "no patient of these subsets stands in the table of diagnoses" in page.text
    assert "Rule says malignant" not in page.text


def test_scorecard_page_asks_for_nothing_and_escapes(tmp_path: Path) -> None:
    page = scorecard_page(tmp_path, *scored(name="<script>1</script>"))
    assert {address.split(":")[0] for address in page.addresses} == {"data"}
    assert "script" not in page.tags
    assert "<script>1</script>" in page.text


def test_scorecard_page_says_what_was_not_measured(tmp_path: Path) -> None:
    page = scorecard_page(tmp_path, *scored(num_nodules=0))
    assert page.text.count("not measured") >= 9
    assert not re.search(r"\b(nan|None)\b", page.text)


def test_scorecard_page_warns_of_a_patient_in_two_parts(tmp_path: Path) -> None:
    card, curve = scored()
    leaking = replace(card, split=replace(card.split, patients_in_two_parts=4))
    assert "worth nothing" in scorecard_page(tmp_path, leaking, curve).text
    assert "worth nothing" not in scorecard_page(tmp_path, card, curve).text


def test_the_same_curve_is_drawn_as_the_same_text() -> None:
    curve = scored()[1]
    drawn = froc_svg(curve, (0.5, 0.5), dark=False)
    assert drawn == froc_svg(curve, (0.5, 0.5), dark=False)
    assert drawn != froc_svg(curve, (0.5, 0.5), dark=True)
    assert drawn != froc_svg(curve, (0.5, None), dark=False)
