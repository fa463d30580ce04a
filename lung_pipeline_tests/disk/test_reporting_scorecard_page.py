# SPDX-License-Identifier: Apache-2.0
"""The scorecard as a file: every figure stands on it, markup stays text, nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from html_pages import Page

from lung_pipeline.evaluation.detection.froc import Froc, froc, operating_point
from lung_pipeline.evaluation.detection.matching import match
from lung_pipeline.evaluation.ranking.malignancy import MalignancyFigures
from lung_pipeline.evaluation.readers import ReadersFigures
from lung_pipeline.evaluation.scorecard import (
    Scorecard,
    build_scorecard,
)
from lung_pipeline.evaluation.split_certificate import SplitCertificate
from lung_pipeline.learning.resampling import Estimate
from lung_pipeline.reporting.scores.plots import froc_svg
from lung_pipeline.reporting.scores.scorecard_page import write_scorecard_page

MADE_AT = "2026-01-02T03:04:05Z"

MALIGNANCY = MalignancyFigures(0.941, 0.919, 37, 83, 64, Estimate(0.022, 0.004, 0.041))
MID_SIZED = MalignancyFigures(0.871, 0.868, 31, 32, 45, Estimate(0.003, -0.027, 0.033))


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
        malignancy=MALIGNANCY,
        malignancy_6_to_20_mm=MID_SIZED,
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
        "Findings count from a score of 0.9 ",
        "1/8 1/4 1/2 1 2 4 8",
        "0.500 0.500 0.500 0.500 0.500 0.500 0.500",
        "highest sensitivity at no more than 4 false positives a scan",
        "nodules hit 1",
        "false positives 1",
        "Malignancy AUC 0.941 diameter alone: 0.919",
        "Model Diameter alone Difference 95 % interval Malignant Benign Patients",
        "All sizes 0.941 0.919 +0.022 +0.004 to +0.041 37 83 64",
        "6 to 20 mm 0.871 0.868 +0.003 -0.027 to +0.033 31 32 45",
        "All sizes: the model is better than the diameter.",
        "6 to 20 mm: the model is no better than the diameter, as far as can be told.",
        "Patients in two parts 0",
        "Patients in train 51",
        '"seed": 77',
        "subset3, subset5",
        "lung-nodule v3 0a1b",
        "c0ffee",
        MADE_AT,
    ):
        assert figure in page.text, figure


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (Estimate(0.03, 0.001, 0.06), "the model is better than the diameter."),
        (Estimate(0.03, 0.0, 0.06), "the model is no better than the diameter, as far as"),
        (Estimate(-0.03, -0.06, 0.0), "the model is no better than the diameter, as far as"),
        (Estimate(-0.03, -0.06, -0.001), "the model is worse than the diameter."),
        (Estimate(0.03, None, None), "too little to tell whether the model is better"),
        (Estimate(None, None, None), "no comparison, which takes a malignancy model"),
    ],
)
def test_scorecard_page_says_what_the_difference_comes_to(
    tmp_path: Path, difference: Estimate, sentence: str
) -> None:
    card, curve = scored()
    told = replace(card, malignancy=replace(MALIGNANCY, auc_difference=difference))
    assert f"All sizes: {sentence}" in scorecard_page(tmp_path, told, curve).text


def test_scorecard_page_says_by_which_rule_nodules_were_labelled(tmp_path: Path) -> None:
    card, curve = scored()
    assert "by the rule" not in scorecard_page(tmp_path, card, curve).text
    told = replace(card, provenance={"malignancy_rule": {"name": "mean", "version": 1}})
    page = scorecard_page(tmp_path, told, curve)
    assert "Malignant and benign by the rule mean (version 1)" in page.text


@pytest.mark.parametrize(
    ("provenance", "says"),
    [({"excluded_marks": None}, True), ({"excluded_marks": 0}, False), ({}, False)],
)
def test_scorecard_page_says_when_there_was_no_list_of_excluded_marks(
    tmp_path: Path, provenance: dict[str, object], says: bool
) -> None:
    card, curve = scored()
    page = scorecard_page(tmp_path, replace(card, provenance=provenance), curve)
    assert ("There was no annotations_excluded.csv" in page.text) == says


def test_scorecard_page_of_an_old_record_shows_what_it_has(tmp_path: Path) -> None:
    card, curve = scored()
    old = MalignancyFigures(0.9, 0.8, 3, 4)
    told = replace(card, malignancy=old, malignancy_6_to_20_mm=None)
    page = scorecard_page(tmp_path, told, curve)
    assert "All sizes 0.900 0.800 not measured not measured 3 4 not counted" in page.text
    assert "6 to 20 mm" not in page.text


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


@pytest.mark.parametrize(
    ("splits", "said", "warns"),
    [
        ({}, "Models of another split not known", False),
        ({"nodule": "the same"}, "Models of another split 0", False),
        ({"nodule": "not known"}, "Models of another split not known: nodule", False),
        ({"nodule": "another", "malignancy": "not known"}, "of another split nodule", True),
    ],
)
def test_scorecard_page_warns_of_models_that_may_have_seen_who_is_scored(
    tmp_path: Path, splits: dict[str, str], said: str, warns: bool
) -> None:
    card, curve = scored()
    told = replace(card, split=replace(card.split, split_of_models=splits))
    page = scorecard_page(tmp_path, told, curve)
    assert said in page.text
    assert ("worth nothing" in page.text) == warns


def test_the_same_curve_is_drawn_as_the_same_text() -> None:
    curve = scored()[1]
    drawn = froc_svg(curve, (0.5, 0.5), dark=False)
    assert drawn == froc_svg(curve, (0.5, 0.5), dark=False)
    assert drawn != froc_svg(curve, (0.5, 0.5), dark=True)
    assert drawn != froc_svg(curve, (0.5, None), dark=False)
