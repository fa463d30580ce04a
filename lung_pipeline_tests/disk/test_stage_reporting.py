# SPDX-License-Identifier: Apache-2.0
"""Each patient of a subset gets a folder with a page and a record."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lung_pipeline.ct.store import open_volume
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.home import Home
from lung_pipeline.reporting.patient.subset import StoredVolumes, write_reports

MADE_AT = "2026-01-02T03:04:05Z"


def _finding(series_uid: str) -> Finding:
    return Finding(series_uid, 0.0, 0.0, 10.0, 20.0, 20.0, 20.0, 12.0, 0.9375, 0.8125)


def _diagnosis(patient_id: str, series_uids: tuple[str, ...], *findings: Finding) -> Diagnosis:
    return Diagnosis(
        patient_id=patient_id,
        series_uids=series_uids,
        verdict=Rule().verdict(findings),
        rule=Rule(),
        findings=findings,
        models={"nodule": "lung-nodule v1 (bb)"},
        inputs_sha256=dict.fromkeys(series_uids, "feedbeef"),
    )


def test_each_patient_has_a_page_and_a_record(own_ball_home: Home) -> None:
    of_a = _diagnosis("A", ("a1", "a2"), _finding("a1"), _finding("a2"))
    of_b = _diagnosis("B", ("b1",))
    write_reports(own_ball_home, "subset0", [of_a, of_b], MADE_AT)
    assert sorted(path.name for path in (own_ball_home.root / "reports" / "subset0").iterdir()) == [
        "A",
        "B",
    ]
    for diagnosis in (of_a, of_b):
        folder = own_ball_home.report("subset0", diagnosis.patient_id)
        assert sorted(p.name for p in folder.iterdir()) == [
            "diagnosis.json",
            "findings.csv",
            "report.html",
        ]
        assert json.loads((folder / "diagnosis.json").read_text()) == diagnosis.as_json()
        page = (folder / "report.html").read_text()
        assert all(uid in page for uid in diagnosis.series_uids)
        assert diagnosis.verdict in page
        assert MADE_AT in page


def test_report_is_replaced_by_the_next(own_ball_home: Home) -> None:
    write_reports(own_ball_home, "subset0", [_diagnosis("B", ("b1",))], MADE_AT)
    write_reports(own_ball_home, "subset0", [_diagnosis("B", ("b1",), _finding("b1"))], MADE_AT)
    record = json.loads((own_ball_home.report("subset0", "B") / "diagnosis.json").read_text())
    assert (record["verdict"], record["num_nodules"]) == ("malignant", 1)


def test_volumes_are_read_when_asked_for_and_only_those_named(own_ball_home: Home) -> None:
    volumes = StoredVolumes(own_ball_home, "subset0", ("a2", "never-stored"))
    assert (list(volumes), len(volumes)) == (["a2", "never-stored"], 2)
    voxels_hu, grid = volumes["a2"]
    stored = open_volume(own_ball_home.volume("subset0", "a2"))
    np.testing.assert_array_equal(voxels_hu, stored.read_all())
    assert grid == stored.grid
    with pytest.raises(KeyError, match="a1"):
        volumes["a1"]
