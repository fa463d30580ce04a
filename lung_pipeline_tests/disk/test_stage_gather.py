# SPDX-License-Identifier: Apache-2.0
"""What the stages wrote for each subset is laid beside the truth, and unfit tables are refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from xls_files import HEADER, write_xls

from lung_pipeline.annotations.candidates import COLUMNS
from lung_pipeline.annotations.diagnoses import DIAGNOSES_FILE
from lung_pipeline.annotations.subset import CANDIDATES, SERIES
from lung_pipeline.diagnosis.findings import Finding, findings_table
from lung_pipeline.errors import AnnotationError, StoreError
from lung_pipeline.evaluation.gather import evaluation_of, gather
from lung_pipeline.evaluation.split_certificate import split_certificate
from lung_pipeline.home import Home
from lung_pipeline.tables import read_table, write_table

MODELS = {"segmentation": "lung-segmentation v1 (aa)", "nodule": "lung-nodule v1 (bb)"}
RULE = {"seed": 20, "train": 0.7, "validation": 0.15}


def _candidate(series_uid: str, *, is_nodule: bool, x_mm: float = 0.0) -> dict[str, object]:
    return {
        "candidate_id": f"{series_uid}:{x_mm:g}",
        "series_uid": series_uid,
        "patient_id": series_uid.upper(),
        "is_nodule": is_nodule,
        "x_mm": x_mm,
        "y_mm": 0.0,
        "z_mm": 0.0,
        "diameter_mm": 8.0 if is_nodule else float("nan"),
        "is_malignant": True if is_nodule else None,
        "num_readers": 3,
        "ratings": "4,4,4",
        "expected_suspicious": 0.875,
        "is_borderline": False,
        "ratings_from": "csv",
        "lidc_nodule": -1,
    }


def _finding(series_uid: str, x_mm: float, probability: float) -> Finding:
    return Finding(series_uid, x_mm, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0, probability, None)


def _write_subset(
    home: Home,
    subset: str,
    series: dict[str, str],
    candidates: list[dict[str, object]],
    findings: list[Finding],
    models: dict[str, str],
) -> None:
    """The tables of one subset; ``series`` gives each its part."""
    uids, parts = list(series), list(series.values())
    patients = [uid.upper() for uid in uids]
    table = pd.DataFrame({"series_uid": uids, "patient_id": patients, "part": parts}, dtype="str")
    write_table(table, home.manifest(SERIES, subset), {"split": RULE})
    rows = [{**row, "subset": subset, "part": series[str(row["series_uid"])]} for row in candidates]
    write_table(
        pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS),
        home.manifest(CANDIDATES, subset),
        {"split": RULE},
    )
    write_table(findings_table(findings), home.findings(subset), {"models": models})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """subset0: a (validation, one nodule found), b (test, no nodule, one false alarm).

    subset1: c (test, one nodule, nothing found) and no finding at all.
    """
    made = Home.at(tmp_path)
    made.raw.mkdir()
    _write_subset(
        made,
        "subset0",
        {"a": "validation", "b": "test"},
        [_candidate("a", is_nodule=True), _candidate("b", is_nodule=False)],
        [_finding("a", 1.0, 0.75), _finding("b", 5.0, 0.25)],
        MODELS,
    )
    _write_subset(made, "subset1", {"c": "test"}, [_candidate("c", is_nodule=True)], [], MODELS)
    return made


def test_nodules_series_and_findings_of_all_subsets_lie_side_by_side(home: Home) -> None:
    evaluation = gather(home, ["subset0", "subset1"])
    assert evaluation.subsets == ("subset0", "subset1")
    assert evaluation.series["series_uid"].tolist() == ["a", "b", "c"]
    assert evaluation.nodules["series_uid"].tolist() == ["a", "c"]
    assert evaluation.findings[["series_uid", "score"]].to_numpy().tolist() == [
        ["a", 0.75],
        ["b", 0.25],
    ]
    assert evaluation.models == MODELS
    assert evaluation.excluded is None
    assert evaluation.num_excluded is None


def test_series_without_findings_and_without_nodules_are_looked_at_too(home: Home) -> None:
    matches = gather(home, ["subset0", "subset1"]).matched()
    assert matches.series_uids == ("a", "b", "c")
    assert matches.silent_series_uids == ("c",)
    assert matches.counts["hits"] == matches.counts["missed"] == 1
    assert matches.counts["false_positives"] == 1


def test_part_holds_its_own_patients_alone(home: Home) -> None:
    scored = gather(home, ["subset0", "subset1"]).of_part("test")
    assert scored.series["series_uid"].tolist() == ["b", "c"]
    assert scored.nodules["series_uid"].tolist() == ["c"]
    assert scored.findings["series_uid"].tolist() == ["b"]
    assert scored.num_patients == 2
    assert scored.matched().series_uids == ("b", "c")


def test_excluded_marks_are_read_where_they_are_there(home: Home) -> None:
    text = "seriesuid,coordX,coordY,coordZ,diameter_mm\nb,5,0,0,-1\n"
    (home.raw / "annotations_excluded.csv").write_text(text)
    evaluation = gather(home, ["subset0", "subset1"])
    counts = evaluation.matched().counts
    assert (counts["on_excluded"], counts["false_positives"]) == (1, 0)
    assert [evaluation.of_part(part).num_excluded for part in ("test", "validation")] == [1, 0]


def test_findings_of_different_models_are_not_scored_together(home: Home) -> None:
    other = {**MODELS, "nodule": "lung-nodule v2 (cc)"}
    write_table(findings_table([]), home.findings("subset1"), {"models": other})
    with pytest.raises(StoreError, match=r"lung-nodule v2 \(cc\).*the same models"):
        gather(home, ["subset0", "subset1"])
    assert gather(home, ["subset1"]).models == other


def test_subset_without_findings_is_an_error_in_words(home: Home) -> None:
    home.findings("subset1").unlink()
    with pytest.raises(StoreError, match=r"subset1.*Materialize"):
        gather(home, ["subset0", "subset1"])


def test_findings_made_elsewhere_are_laid_beside_the_same_truth(home: Home) -> None:
    found = findings_table([_finding("c", 0.0, 0.5)])
    evaluation = evaluation_of(home, ["subset1"], found, {"nodule": "another"})
    assert evaluation.matched().nodule_score.tolist() == [0.5]
    assert evaluation.models == {"nodule": "another"}


def test_certificate_counts_patients_and_those_in_two_parts(home: Home) -> None:
    series = gather(home, ["subset0", "subset1"]).series
    sound = split_certificate(home, series, "subset0", {"nodule": "the same"})
    assert sound.rule == RULE
    assert sound.patients_per_part == {"train": 0, "validation": 1, "test": 2}
    assert sound.patients_in_two_parts == 0
    one_patient = split_certificate(home, series.assign(patient_id="A"), "subset0", {})
    assert one_patient.patients_in_two_parts == 1


def _label_by(home: Home, subset: str, rule: object) -> None:
    path = home.manifest(CANDIDATES, subset)
    write_table(read_table(path), path, {"split": RULE, "malignancy_rule": rule})


def test_without_a_table_of_diagnoses_readers_are_not_judged(home: Home) -> None:
    assert gather(home, ["subset0", "subset1"]).readers() is None


def test_diagnoses_of_every_part_are_held_against_the_readers(home: Home) -> None:
    rows = [("A", 2.0), ("B", 1.0), ("C", 1.0), ("elsewhere", 3.0)]
    write_xls(home.raw / DIAGNOSES_FILE, [HEADER, *rows])
    readers = gather(home, ["subset0", "subset1"]).readers()
    assert readers is not None
    # A (validation) and C (test) have a nodule that is called malignant; B has none.
    assert (readers.num_patients, readers.num_unrated, readers.num_compared) == (3, 1, 2)
    assert readers.num_malignant_called_malignant == readers.num_benign_called_malignant == 1
    assert readers.rule == {"name": "not recorded"}


@pytest.mark.parametrize(
    ("recorded", "rule"),
    [
        ("two-of-readers", {"name": "two-of-readers"}),
        ({"name": "mean", "version": 1, "threshold": 3.5},) * 2,
    ],
)
def test_rule_of_the_labels_is_that_of_the_candidates(
    home: Home, recorded: object, rule: dict[str, object]
) -> None:
    write_xls(home.raw / DIAGNOSES_FILE, [HEADER, ("A", 2.0)])
    for subset in ("subset0", "subset1"):
        _label_by(home, subset, recorded)
    readers = gather(home, ["subset0", "subset1"]).readers()
    assert readers is not None
    assert readers.rule == rule


@pytest.mark.parametrize("with_diagnoses", [False, True])
def test_labels_of_two_rules_are_not_judged_together(home: Home, with_diagnoses: bool) -> None:
    if with_diagnoses:
        write_xls(home.raw / DIAGNOSES_FILE, [HEADER, ("A", 2.0)])
    _label_by(home, "subset0", {"name": "mean", "version": 1})
    _label_by(home, "subset1", {"name": "mean", "version": 2})
    with pytest.raises(StoreError, match=r"candidates of 'subset1' and 'subset0'.*the same rule"):
        gather(home, ["subset0", "subset1"])
    assert gather(home, ["subset1"]).malignancy_rule == {"name": "mean", "version": 2}


def test_rule_of_a_subset_without_labels_does_not_matter(home: Home) -> None:
    path = home.manifest(CANDIDATES, "subset1")
    rule = {"split": RULE, "malignancy_rule": {"name": "mean"}}
    write_table(read_table(path).assign(is_malignant=pd.NA).astype(COLUMNS), path, rule)
    assert gather(home, ["subset0", "subset1"]).malignancy_rule == {"name": "not recorded"}
    assert gather(home, ["subset1"]).malignancy_rule is None


def test_patients_divided_by_two_rules_are_not_scored_together(home: Home) -> None:
    path = home.manifest(SERIES, "subset1")
    write_table(read_table(path), path, {"split": {**RULE, "seed": 21}})
    with pytest.raises(StoreError, match=r"series of 'subset1' and 'subset0'.*the same rule"):
        gather(home, ["subset0", "subset1"])


def test_series_of_two_subsets_is_not_counted_twice(home: Home) -> None:
    _write_subset(
        home, "subset2", {"a": "validation"}, [_candidate("a", is_nodule=True)], [], MODELS
    )
    with pytest.raises(StoreError, match=r"got series a in subset0 and subset2.*out of one of"):
        gather(home, ["subset0", "subset1", "subset2"])


def test_damaged_table_of_diagnoses_is_refused_in_words(home: Home) -> None:
    (home.raw / DIAGNOSES_FILE).write_bytes(b"<html>")
    with pytest.raises(AnnotationError, match=r"whole \.xls workbook"):
        gather(home, ["subset0"])
