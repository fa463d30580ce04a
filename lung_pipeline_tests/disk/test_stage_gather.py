# SPDX-License-Identifier: Apache-2.0
"""What the stages wrote for each subset is laid beside the truth, and unfit tables are refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.annotations.candidates import COLUMNS
from lung_pipeline.annotations.subset import CANDIDATES, SERIES
from lung_pipeline.diagnosis.findings import Finding, findings_table
from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.gather import evaluation_of, gather, split_certificate
from lung_pipeline.home import Home
from lung_pipeline.tables import write_table

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
    counts = gather(home, ["subset0", "subset1"]).matched().counts
    assert (counts["on_excluded"], counts["false_positives"]) == (1, 0)


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
    sound = split_certificate(home, series, "subset0")
    assert sound.rule == RULE
    assert sound.patients_per_part == {"train": 0, "validation": 1, "test": 2}
    assert sound.patients_in_two_parts == 0
    one_patient = split_certificate(home, series.assign(patient_id="A"), "subset0")
    assert one_patient.patients_in_two_parts == 1
