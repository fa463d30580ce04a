# SPDX-License-Identifier: Apache-2.0
"""The certificate of a home: what passes, what each kind of leak looks like, what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations.lidc_subset import make_lidc_reads
from lung_pipeline.annotations.rules import rule_named
from lung_pipeline.annotations.splits import TEST, TRAIN, FoldRule, Split, SplitRule
from lung_pipeline.annotations.subset import (
    CANDIDATES,
    SERIES,
    make_candidates,
    read_candidates_of,
    read_series_of,
)
from lung_pipeline.crops.certificate import LeakageCertificate
from lung_pipeline.crops.certify import (
    has_split_of,
    make_certificate,
    read_certificate,
    refuse_failed,
    subsets_with_crops,
    write_certificate,
)
from lung_pipeline.crops.leakage import MODELS
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.ct.subset import VOLUMES, convert_volumes, list_raw
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table

BOTH = ["subset0", "subset1"]
RULE = SplitRule()
QUESTIONS = {
    "no patient in two parts",
    "no series in two parts",
    "no scan in two parts",
    "no near-duplicate crop across parts",
}


def _failed(certificate: LeakageCertificate) -> set[str]:
    return {check.name for check in certificate.checks if not check.passed}


def _change(home: Home, stage: str, subset: str, table: pd.DataFrame) -> None:
    """Write a table of a stage anew, under the origin it has."""
    path = home.manifest(stage, subset)
    origin = read_origin(path)
    path.unlink()
    write_table(table, path, origin)


def _add_copy(home: Home, *, sigma_hu: float, move: int = 0) -> tuple[str, str]:
    """Put a training scan into subset2 under another UID and another, tested patient.

    Returns:
        The series UID of the scan and of its copy.
    """
    series = read_series_of(home, BOTH)
    source = series[series["part"] == TRAIN].iloc[0]
    uid, copy = str(source["series_uid"]), str(source["series_uid"]) + ".7"
    tested = next(f"copy-{k}" for k in range(99) if RULE.part_of(f"copy-{k}") == TEST)
    folder = home.raw_subset(str(source["subset"]))
    header = (folder / f"{uid}.mhd").read_text()
    shape_xyz = [int(n) for n in header.split("DimSize = ")[1].splitlines()[0].split()]
    voxels_hu = np.fromfile(folder / f"{uid}.raw", dtype="<i2").reshape(shape_xyz[::-1])
    noise = np.random.default_rng(0).normal(0, sigma_hu, voxels_hu.shape).round()
    changed = np.roll(voxels_hu + noise, move, axis=1)
    out = home.raw_subset("subset2")
    out.mkdir()
    (out / f"{copy}.mhd").write_text(header.replace(uid, copy))
    changed.astype("<i2").tofile(out / f"{copy}.raw")
    for name in ("annotations.csv", "candidates.csv", "annotations_with_malignancy.csv"):
        _append(home.raw / name, lambda line: [line.replace(uid, copy)] if uid in line else [])
    _append(home.raw / "LIDC-IDRI_MetaData.csv", _patient_row(uid, copy, tested))
    _ingest(home, "subset2")
    return uid, copy


def _append(path: Path, more) -> None:  # type: ignore[no-untyped-def]
    lines = path.read_text().splitlines()
    path.unlink()
    path.write_text("\n".join([*lines, *(new for line in lines for new in more(line))]) + "\n")


def _patient_row(uid: str, copy: str, patient_id: str):  # type: ignore[no-untyped-def]
    def row(line: str) -> list[str]:
        if uid not in line:
            return []
        cells = line.split(",")
        (patient,) = {cell for cell in cells if cell.startswith("PHANTOM-")}
        return [line.replace(patient, patient_id).replace(uid, copy)]

    return row


def _ingest(home: Home, subset: str, split: Split = RULE) -> None:
    list_raw(home, subset)
    convert_volumes(home, subset)
    make_lidc_reads(home, subset)
    make_candidates(home, subset, split)
    make_crops(home, subset)


def test_phantoms_pass_and_every_question_is_asked_for_every_model(phantom_home: Home) -> None:
    certificate = make_certificate(phantom_home, BOTH)
    assert certificate.passed
    assert certificate.faults == []
    for model in MODELS:
        asked = {check.name for check in certificate.checks if check.model == model}
        assert asked == QUESTIONS
    assert all(check.num_compared > 0 for check in certificate.checks)
    assert certificate.rule == RULE.as_json()


def test_parts_are_counted_as_the_tables_have_them(phantom_home: Home) -> None:
    certificate = make_certificate(phantom_home, BOTH)
    series, rows = read_series_of(phantom_home, BOTH), read_candidates_of(phantom_home, BOTH)
    for part, counts in certificate.parts.items():
        of_part = series[series["part"] == part]
        assert counts.patients == of_part["patient_id"].nunique()
        assert counts.series == len(of_part)
        assert counts.crops == (rows["part"] == part).sum()
        assert counts.nodules == (rows["is_nodule"] & (rows["part"] == part)).sum()
    assert sum(counts.series for counts in certificate.parts.values()) == 6


def test_certificate_is_the_same_to_the_byte_and_comes_back(own_home: Home) -> None:
    first, again = (make_certificate(own_home, order) for order in (BOTH, BOTH[::-1]))
    assert first.as_text() == again.as_text()
    write_certificate(own_home, first)
    assert read_certificate(own_home) == first
    assert read_certificate(own_home).sha256 == first.sha256
    assert json.loads(own_home.certificate.read_text())["passed"] is True
    assert subsets_with_crops(own_home) == BOTH


def test_hash_of_the_split_can_be_worked_out_by_hand(phantom_home: Home) -> None:
    series = read_series_of(phantom_home, BOTH)
    columns = (series[name] for name in ("series_uid", "patient_id", "part"))
    lines = sorted("\t".join(row) for row in zip(*columns, strict=True))
    expected = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert make_certificate(phantom_home, BOTH).split_sha256 == expected


def test_hash_of_the_split_changes_with_a_part_and_not_with_candidates(own_home: Home) -> None:
    first = make_certificate(own_home, BOTH)
    table = read_table(own_home.manifest(CANDIDATES, "subset0"))
    _change(own_home, CANDIDATES, "subset0", table.iloc[1:])
    make_crops(own_home, "subset0")
    fewer = make_certificate(own_home, BOTH)
    assert fewer.split_sha256 == first.split_sha256
    assert fewer.subsets["subset0"] != first.subsets["subset0"]
    assert fewer.subsets["subset1"] == first.subsets["subset1"]
    for subset in BOTH:
        make_candidates(own_home, subset, SplitRule(seed=21))
        make_crops(own_home, subset)
    assert make_certificate(own_home, BOTH).split_sha256 != first.split_sha256


def test_split_a_model_was_taught_is_told_from_another(own_home: Home) -> None:
    taught = make_certificate(own_home, BOTH)
    assert has_split_of(own_home, ["subset0"], taught)
    for subset in BOTH:
        make_candidates(own_home, subset, SplitRule(seed=21))
    assert has_split_of(own_home, ["subset0"], taught) is False


def test_patients_that_are_named_later_are_another_split(own_home: Home) -> None:
    named = own_home.raw / "LIDC-IDRI_MetaData.csv"
    kept = named.read_text()
    named.unlink()
    for subset in BOTH:
        _ingest(own_home, subset)
    taught = make_certificate(own_home, BOTH)
    assert has_split_of(own_home, BOTH, taught)
    named.write_text(kept)
    for subset in BOTH:
        make_candidates(own_home, subset, RULE)
    # The rule is the same, the patients are not.
    assert has_split_of(own_home, BOTH, taught) is False


def test_patient_who_is_tested_in_a_later_subset_is_another_split(own_home: Home) -> None:
    for subset in BOTH:
        _ingest(own_home, subset, FoldRule(1, validation=0))
    taught = make_certificate(own_home, ["subset0"])
    assert has_split_of(own_home, ["subset1"], taught)
    learned = read_table(own_home.manifest(SERIES, "subset0"))["patient_id"].iloc[0]
    tested = read_table(own_home.manifest(SERIES, "subset1")).assign(patient_id=learned)
    _change(own_home, SERIES, "subset1", tested)
    assert has_split_of(own_home, ["subset1"], taught) is False


def test_split_of_subsets_that_are_gone_cannot_be_told(own_home: Home) -> None:
    taught = make_certificate(own_home, BOTH)
    own_home.manifest(SERIES, "subset1").unlink()
    assert has_split_of(own_home, ["subset0"], taught) is None


def test_patient_in_two_parts_fails_for_each_model(own_home: Home) -> None:
    series = read_table(own_home.manifest(SERIES, "subset0"))
    one = str(series.loc[series["part"] == TRAIN, "patient_id"].iloc[0])
    other = read_table(own_home.manifest(SERIES, "subset1")).assign(patient_id=one, part=TEST)
    _change(own_home, SERIES, "subset1", other)
    certificate = make_certificate(own_home, BOTH)
    assert {"no patient in two parts", "every part as the rule has it"} == _failed(certificate)
    told = [check for check in certificate.checks if check.name == "no patient in two parts"]
    assert [check.model for check in told] == list(MODELS)
    assert all(check.faults == (one,) for check in told)
    assert certificate.patients_in_two_subsets[one] == BOTH


def test_same_voxels_under_another_name_fail_without_a_candidate_in_common(own_home: Home) -> None:
    uid, copy = _add_copy(own_home, sigma_hu=0)
    candidates = read_table(own_home.manifest(CANDIDATES, "subset2"))
    _change(own_home, CANDIDATES, "subset2", candidates.iloc[:0])
    make_crops(own_home, "subset2")
    certificate = make_certificate(own_home, [*BOTH, "subset2"])
    assert _failed(certificate) == {"no scan in two parts"}
    assert f"{uid} and {copy} are one scan" in certificate.faults[0]


def test_same_source_under_another_name_fails(own_home: Home) -> None:
    parts = read_series_of(own_home, BOTH).set_index("series_uid")["part"]
    volumes = read_table(own_home.manifest(VOLUMES, "subset0"))
    first, second = (
        next(k for k, uid in enumerate(volumes["series_uid"]) if (parts[uid] == TRAIN) == is_train)
        for is_train in (True, False)
    )
    volumes.loc[second, "source_sha256"] = volumes.loc[first, "source_sha256"]
    _change(own_home, VOLUMES, "subset0", volumes)
    make_crops(own_home, "subset0")
    certificate = make_certificate(own_home, BOTH)
    assert _failed(certificate) == {"no scan in two parts"}
    assert str(volumes.loc[first, "series_uid"]) in certificate.faults[0]


@pytest.mark.parametrize(("sigma_hu", "move"), [(0, 0), (8, 0), (5, 1)])
def test_same_scan_under_another_uid_and_patient_is_found_by_its_content(
    own_home: Home, sigma_hu: float, move: int
) -> None:
    uid, copy = _add_copy(own_home, sigma_hu=sigma_hu, move=move)
    certificate = make_certificate(own_home, [*BOTH, "subset2"])
    by_content = "no near-duplicate crop across parts"
    # To the byte the same: the voxels tell too, and not the files, whose header has the new name.
    of_voxels = {"no scan in two parts"} if sigma_hu == 0 else set()
    assert _failed(certificate) == {by_content, *of_voxels}
    told = [check for check in certificate.checks if check.name == by_content]
    assert [check.model for check in told] == list(MODELS)
    for check in told:
        (fault,) = check.faults
        assert uid in fault
        assert copy in fault
    with pytest.raises(StoreError, match="nothing of one part may be met in another"):
        refuse_failed(own_home, certificate)


def test_subset_divided_by_another_rule_fails(own_home: Home) -> None:
    make_candidates(own_home, "subset1", SplitRule(seed=20, train=0.69))
    make_crops(own_home, "subset1")
    assert "one rule for all subsets" in _failed(make_certificate(own_home, BOTH))


def test_subset_labelled_by_another_rule_fails(own_home: Home) -> None:
    make_candidates(own_home, "subset1", RULE, rule_named("mean"))
    make_crops(own_home, "subset1")
    certificate = make_certificate(own_home, BOTH)
    assert _failed(certificate) == {"one malignancy rule for all subsets"}
    assert "subset1 by {'name': 'mean'" in certificate.faults[0]


def test_series_that_lies_in_two_subsets_fails(own_home: Home) -> None:
    series = read_table(own_home.manifest(SERIES, "subset0"))
    uid = str(series["series_uid"].iloc[0])
    out = own_home.raw_subset("subset2")
    out.mkdir()
    for name in (f"{uid}.mhd", f"{uid}.raw"):
        (out / name).hardlink_to(own_home.raw_subset("subset0") / name)
    _ingest(own_home, "subset2")
    certificate = make_certificate(own_home, [*BOTH, "subset2"])
    assert _failed(certificate) == {"no series in two subsets"}
    assert f"series {uid} lies in subset0 and subset2" in certificate.faults[0]


def test_luna16_folds_put_the_test_fold_aside_and_are_certified(own_home: Home) -> None:
    for subset in BOTH:
        _ingest(own_home, subset, FoldRule(1))
    certificate = make_certificate(own_home, BOTH)
    assert certificate.passed
    assert certificate.rule["protocol"] == "luna16-folds"
    assert certificate.parts[TEST].series == 3


def test_part_that_was_drawn_before_a_second_subset_was_known_fails(own_home: Home) -> None:
    # As LIDC-IDRI-0332: he was learnt from in subset0 before subset1, the test fold, was there.
    series = read_table(own_home.manifest(SERIES, "subset1"))
    first = read_table(own_home.manifest(SERIES, "subset0"))
    for subset in BOTH:
        _ingest(own_home, subset, FoldRule(1, validation=0))
    patient = str(first["patient_id"].iloc[0])
    _change(own_home, SERIES, "subset1", series.assign(patient_id=patient, part=TEST))
    certificate = make_certificate(own_home, BOTH)
    assert {"no patient in two parts", "every part as the rule has it"} <= _failed(certificate)
    assert f"patient {patient} stands in train and belongs to test" in certificate.in_words()


def test_subset_whose_scans_were_all_refused_is_certified_as_empty(own_home: Home) -> None:
    path = own_home.manifest(VOLUMES, "subset1")
    refused = read_table(path).assign(problem="cut short", series_uid="")
    _change(own_home, VOLUMES, "subset1", refused)
    make_lidc_reads(own_home, "subset1")
    make_candidates(own_home, "subset1", RULE)
    make_crops(own_home, "subset1")
    certificate = make_certificate(own_home, BOTH)
    assert certificate.passed
    assert sum(counts.series for counts in certificate.parts.values()) == 3
