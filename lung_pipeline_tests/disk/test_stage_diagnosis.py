# SPDX-License-Identifier: Apache-2.0
"""Chests of balls, models that see density: every finding and verdict of a subset is known."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import pandas as pd
import pytest
from ball_scans import MARKS_FROM_HU
from dense_networks import dense_models

from lung_pipeline.annotations.luna import PATIENTS_FILE
from lung_pipeline.annotations.subset import SERIES
from lung_pipeline.ct.reading import sha256_of
from lung_pipeline.ct.subset import VOLUMES
from lung_pipeline.diagnosis.findings import COLUMNS, Finding
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.stored_series import look_at
from lung_pipeline.diagnosis.subset import (
    find_in_subset,
    findings_of,
    models_of_findings,
)
from lung_pipeline.diagnosis.subset_patients import diagnose_subset
from lung_pipeline.diagnosis.verdict.operating_point import Judging
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table

NAMED = {"segmentation": "lung-segmentation v1 (aa)", "nodule": "lung-nodule v1 (bb)"}


def _models() -> Models:
    return dense_models(marks_from_hu=MARKS_FROM_HU)


def _sure(hu: float, even_hu: float) -> float:
    return 1 / (1 + math.exp(-(hu - even_hu) / 50))


def test_each_ball_is_found_where_it_lies_with_its_size_and_density(own_ball_home: Home) -> None:
    told: list[str] = []
    table, _ = find_in_subset(own_ball_home, "subset0", _models(), NAMED, told.append)
    assert told == ["a1", "a2", "b1"]
    assert tuple(table.columns) == COLUMNS
    dense_a1 = table[(table["series_uid"] == "a1") & (table["nodule_probability"] > 0.9)]
    faint_a1 = table[(table["series_uid"] == "a1") & (table["nodule_probability"] < 0.9)]
    (in_a2,) = table[table["series_uid"] == "a2"].itertuples()
    (dense,), (faint,) = dense_a1.itertuples(), faint_a1.itertuples()
    assert (dense.x_mm, dense.y_mm, dense.z_mm) == pytest.approx((0, 0, 10), abs=1e-6)
    assert (faint.x_mm, faint.y_mm, faint.z_mm) == pytest.approx((30, 36, 10), abs=1e-6)
    # The flipped scan: its own voxels are named, and the place in the patient follows from them.
    assert (in_a2.index, in_a2.row, in_a2.column) == pytest.approx((16, 30, 40), abs=1e-6)
    assert (in_a2.x_mm, in_a2.y_mm, in_a2.z_mm) == pytest.approx((4.5, 19.5, 0), abs=1e-6)
    for found, hu in ((dense, 40), (faint, -50), (in_a2, 40)):
        assert found.nodule_probability == pytest.approx(_sure(hu, -100), abs=1e-6)
        assert found.malignancy_probability == pytest.approx(_sure(hu, 0), abs=1e-6)
        assert found.diameter_mm == pytest.approx(12, abs=0.5)
    assert len(table) == 3
    assert table["nodule_probability"].is_monotonic_decreasing


def test_table_on_disk_names_its_models_and_repeats_its_fingerprint(own_ball_home: Home) -> None:
    table, first = find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    pd.testing.assert_frame_equal(read_table(own_ball_home.findings("subset0")), table)
    assert models_of_findings(own_ball_home, "subset0") == NAMED
    assert find_in_subset(own_ball_home, "subset0", _models(), NAMED)[1] == first
    other = {**NAMED, "nodule": "lung-nodule v2 (cc)"}
    assert find_in_subset(own_ball_home, "subset0", _models(), other)[1] != first


@pytest.mark.parametrize("with_malignancy", [True, False])
def test_findings_come_back_from_the_disk_as_they_were(
    own_ball_home: Home, *, with_malignancy: bool
) -> None:
    models = dense_models(with_malignancy=with_malignancy, marks_from_hu=MARKS_FROM_HU)
    found = [
        f
        for uid in ("a1", "a2", "b1")
        for f in look_at(own_ball_home, "subset0", uid, models).findings
    ]
    find_in_subset(own_ball_home, "subset0", models, NAMED)
    read = findings_of(read_table(own_ball_home.findings("subset0")))
    assert read == sorted(found, key=lambda finding: -finding.nodule_probability)
    known = [finding.malignancy_probability is not None for finding in read]
    assert known == [with_malignancy] * 3


def test_patient_is_judged_over_all_series_and_one_without_findings_is_judged_too(
    own_ball_home: Home,
) -> None:
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    (of_a, of_b), _ = diagnose_subset(own_ball_home, "subset0", Judging())
    assert (of_a.patient_id, of_a.series_uids, of_a.verdict) == ("A", ("a1", "a2"), "malignant")
    assert [finding.series_uid for finding in of_a.findings].count("a1") == 2
    assert len(of_a.findings) == 3
    assert (of_b.patient_id, of_b.series_uids, of_b.verdict) == ("B", ("b1",), "no nodule")
    assert of_b.findings == ()
    assert of_a.models == of_b.models == NAMED
    folder = own_ball_home.raw_subset("subset0")
    assert of_a.inputs_sha256 == {
        uid: sha256_of([folder / f"{uid}.mhd", folder / f"{uid}.raw"]) for uid in ("a1", "a2")
    }


def _refuse(home: Home, scan: str, patient: str = "") -> None:
    """As if a further scan had been refused when the subset was ingested."""
    path = home.manifest(VOLUMES, "subset0")
    manifest = read_table(path)
    row = {**manifest.iloc[0], "scan": scan, "series_uid": "", "problem": f"{scan}: cut off"}
    write_table(pd.concat([manifest, pd.DataFrame([row])]), path, read_origin(path))
    if patient:
        table = home.raw / PATIENTS_FILE
        rows = pd.read_csv(table, dtype=str)
        added = rows.assign(**{"Series UID": scan.removesuffix(".mhd"), "Patient Id": patient})[:1]
        table.unlink()  # its other name is another test's
        pd.concat([rows, added]).to_csv(table, index=False)


def test_patient_whose_other_scan_was_not_read_is_not_told_there_is_nothing(
    own_ball_home: Home,
) -> None:
    _refuse(own_ball_home, "b2.mhd", patient="B")
    _refuse(own_ball_home, "c1.mhd", patient="C")
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    (of_a, of_b), _ = diagnose_subset(own_ball_home, "subset0", Judging())
    assert (of_a.verdict, of_a.not_looked_at) == ("malignant", {})
    assert (of_b.verdict, of_b.not_looked_at) == ("incomplete", {"b2": "b2.mhd: cut off"})
    assert not [told for told in of_b.cautions if "could not be read" in told]


def test_scan_of_nobody_knows_whom_is_a_caution_to_all_and_names_nobody(
    own_ball_home: Home,
) -> None:
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    before, _ = diagnose_subset(own_ball_home, "subset0", Judging())
    _refuse(own_ball_home, "Muster^Erika/CT")
    after, _ = diagnose_subset(own_ball_home, "subset0", Judging())
    for one, other in zip(before, after, strict=True):
        (added,) = set(other.cautions) - set(one.cautions)
        assert added.startswith("1 scan(s) of this subset could not be read")
        assert "Muster" not in added
        assert other.verdict == one.verdict


def test_second_copy_of_a_scan_that_was_read_is_no_scan_unread(own_ball_home: Home) -> None:
    _refuse(own_ball_home, "copy/b1.mhd")
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    (_, of_b), _ = diagnose_subset(own_ball_home, "subset0", Judging())
    assert of_b.verdict == "no nodule"


@pytest.mark.parametrize(
    ("judging", "verdict", "num_nodules"),
    [
        (Judging(), "malignant", 3),
        (Judging(malignancy_threshold=0.9), "benign", 3),
        (Judging(nodule_threshold=0.9), "malignant", 2),
        (Judging(nodule_threshold=0.999), "no nodule", 0),
    ],
)
def test_thresholds_of_the_rule_decide_and_stand_beside_the_verdict(
    own_ball_home: Home, judging: Judging, verdict: str, num_nodules: int
) -> None:
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    diagnose_subset(own_ball_home, "subset0", judging)
    table = read_table(own_ball_home.diagnoses("subset0")).set_index("patient_id")
    assert (table["verdict"]["A"], table["num_nodules"]["A"]) == (verdict, num_nodules)
    assert (
        read_origin(own_ball_home.diagnoses("subset0"))["rule"] == judging.rules(None)[0].in_words()
    )
    assert read_origin(own_ball_home.diagnoses("subset0"))["models"] == NAMED


def test_row_of_a_patient_holds_the_figures_of_the_nodules_that_count(own_ball_home: Home) -> None:
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    diagnose_subset(own_ball_home, "subset0", Judging())
    table = read_table(own_ball_home.diagnoses("subset0")).set_index("patient_id")
    assert table["num_series"].to_dict() == {"A": 2, "B": 1}
    assert table["highest_malignancy_probability"]["A"] == pytest.approx(_sure(40, 0), abs=1e-6)
    assert table["largest_diameter_mm"]["A"] == pytest.approx(12, abs=0.5)
    assert table["largest_diameter_mm"]["B"] == 0
    assert math.isnan(table["highest_malignancy_probability"]["B"])


def test_without_a_malignancy_model_nodules_are_not_assessed(own_ball_home: Home) -> None:
    find_in_subset(
        own_ball_home,
        "subset0",
        dense_models(with_malignancy=False, marks_from_hu=MARKS_FROM_HU),
        NAMED,
    )
    (of_a, of_b), _ = diagnose_subset(own_ball_home, "subset0", Judging())
    assert (of_a.verdict, of_b.verdict) == ("not assessed", "no nodule")


def test_fingerprint_of_diagnoses_follows_the_rule(own_ball_home: Home) -> None:
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    _, first = diagnose_subset(own_ball_home, "subset0", Judging())
    assert diagnose_subset(own_ball_home, "subset0", Judging())[1] == first
    assert diagnose_subset(own_ball_home, "subset0", Judging(nodule_threshold=0.4))[1] != first


def test_diagnosis_before_findings_is_an_error_in_words(own_ball_home: Home) -> None:
    with pytest.raises(StoreError, match="Materialize the asset before"):
        diagnose_subset(own_ball_home, "subset1", Judging())


@pytest.mark.parametrize("series", [["a1", "a2"], ["a1", "a2", "b1", "gone"]])
def test_patients_of_other_volumes_than_there_are_now_are_refused(
    own_ball_home: Home, series: list[str]
) -> None:
    find_in_subset(own_ball_home, "subset0", _models(), NAMED)
    table = pd.DataFrame({"series_uid": series, "patient_id": "A", "part": "test"})
    write_table(table, own_ball_home.manifest(SERIES, "subset0"), {})
    with pytest.raises(StoreError, match="Materialize the candidates"):
        diagnose_subset(own_ball_home, "subset0", Judging())


def test_finding_is_plain_python_after_the_round_trip() -> None:
    measured = (180.0, 8.0, -20.0, "solid", 3.0)
    finding = Finding("1.2", 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.5, None, *measured)
    table = pd.DataFrame([asdict(finding)], columns=list(COLUMNS))
    (read,) = findings_of(table.astype({"malignancy_probability": "float64"}))
    assert read == finding
    assert type(read.x_mm) is float
    assert replace(read, malignancy_probability=0.5) != finding
