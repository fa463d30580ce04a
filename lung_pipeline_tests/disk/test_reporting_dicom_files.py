# SPDX-License-Identifier: Apache-2.0
"""A diagnosis written as DICOM: which files, their UIDs and times, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from dicom_writing import slices_through, sources, texts, write

from lung_pipeline.ct.reading import read_ct
from lung_pipeline.errors import SeriesError, SettingError
from lung_pipeline.reporting.dicom.files import CT_NAME, SEG_NAME, SR_NAME, refuse_unfit

pytest.importorskip("highdicom")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return phantoms.write_series(tmp_path / "scan")


def test_two_files_are_written_and_nothing_else(tmp_path: Path, series: Path) -> None:
    out = tmp_path / "out"
    assert write(out, series) == (out / SEG_NAME, out / SR_NAME)
    assert sorted(path.name for path in out.iterdir()) == [SEG_NAME, SR_NAME]


def test_one_file_gets_slices_to_lie_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    scan = phantoms.write_mhd(tmp_path)
    assert write(out, scan) == (out / CT_NAME, out / SEG_NAME, out / SR_NAME)
    derived = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, (out / CT_NAME).iterdir())}
    assert len(derived) == phantoms.SHAPE_IRC[0]
    seg = phantoms.read(out, SEG_NAME)
    assert sources(seg, 1) | sources(seg, 2) < set(derived)
    one = next(iter(derived.values()))
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID, seg.PatientID) == (
        one.StudyInstanceUID,
        one.FrameOfReferenceUID,
        "H-4711",
    )


@pytest.mark.parametrize("probabilities", [(), (0.1,)], ids=["no finding", "no nodule"])
def test_without_a_nodule_the_report_says_so_and_an_old_segmentation_goes(
    tmp_path: Path, series: Path, probabilities: tuple[float, ...]
) -> None:
    out = tmp_path / "out"
    write(out, series)
    found = [phantoms.finding_of(phantoms.BALLS[0], nodule_probability=p) for p in probabilities]
    assert write(out, series, findings=found) == (out / SR_NAME,)
    assert [path.name for path in out.iterdir()] == [SR_NAME]
    report = phantoms.read(out, SR_NAME)
    assert "Verdict: no nodule. 0 of" in texts(report)
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.SeriesInstanceUID == f"{phantoms.ROOT_UID}.2"
    assert len(evidence.ReferencedSOPSequence) == phantoms.SHAPE_IRC[0]


def test_the_same_result_gives_the_same_bytes(tmp_path: Path, series: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, series, is_deidentified=True)
    a = {path.name: path.read_bytes() for path in (tmp_path / "a").rglob("*.dcm")}
    assert len(a) == 2 + phantoms.SHAPE_IRC[0]
    assert a == {path.name: path.read_bytes() for path in (tmp_path / "b").rglob("*.dcm")}


def test_another_result_has_other_uids(tmp_path: Path, series: Path) -> None:
    volume = read_ct(series)
    first, second = phantoms.masks_in(volume)
    findings = [phantoms.finding_of(ball, mean_hu=41.0) for ball in phantoms.BALLS]
    smaller = replace(second, voxels=second.voxels & (np.arange(second.voxels.shape[2]) > 1))
    write(tmp_path / "0", series)
    write(tmp_path / "1", series, made_at=phantoms.MADE_AT + timedelta(seconds=1))
    write(tmp_path / "2", series, diagnosis=phantoms.diagnosis_of(*findings))
    write(tmp_path / "3", series, masks=[first, smaller])
    for name in (SEG_NAME, SR_NAME):
        uids = {phantoms.read(tmp_path / folder, name).SOPInstanceUID for folder in "0123"}
        assert len(uids) == 4


def test_two_scans_of_one_patient_get_slices_of_their_own(tmp_path: Path) -> None:
    moved = replace(phantoms.PLAIN, spacing_irc_mm=(0.9, 0.6, 0.71))
    grids = {"a": phantoms.PLAIN, "b": moved}
    for name, grid in grids.items():
        scan = phantoms.write_mhd(tmp_path / name, grid)
        write(tmp_path / name, scan, masks=phantoms.masks_in(read_ct(scan), grid))
    first, second = (phantoms.read(tmp_path / name, f"{CT_NAME}/0001.dcm") for name in grids)
    assert first.PatientID == second.PatientID
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert first[keyword].value != second[keyword].value


def test_files_bear_the_time_they_are_given(tmp_path: Path, series: Path) -> None:
    write(tmp_path, series)
    for name in (SEG_NAME, SR_NAME):
        one = phantoms.read(tmp_path, name)
        assert (one.ContentDate, one.ContentTime) == ("20260304", "050607")
        assert (one.InstanceCreationDate, one.InstanceCreationTime) == ("20260304", "050607")


def test_time_with_an_offset_is_written_as_the_local_one(tmp_path: Path, series: Path) -> None:
    made_at = phantoms.MADE_AT.replace(tzinfo=timezone(timedelta(hours=5, minutes=30)))
    write(tmp_path, series, made_at=made_at)
    one = phantoms.read(tmp_path, SR_NAME)
    assert one.ContentDate + one.ContentTime == made_at.astimezone().strftime("%Y%m%d%H%M%S")


def test_frame_of_reference_that_a_source_lacks_is_made(tmp_path: Path) -> None:
    def drop(one: Any, number: int) -> None:
        del one.FrameOfReferenceUID

    write(tmp_path, phantoms.write_series(tmp_path / "scan", edit=drop))
    seg = phantoms.read(tmp_path, SEG_NAME)
    assert seg.FrameOfReferenceUID.startswith("2.25.")
    assert sources(seg, 1) == slices_through(phantoms.BALLS[0])


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("StudyInstanceUID", None, "StudyInstanceUID must be given"),
        ("SOPInstanceUID", None, "SOPInstanceUID must be given"),
        ("StudyInstanceUID", "1.2.3", "StudyInstanceUID must be that of"),
        ("FrameOfReferenceUID", "1.2.3", "FrameOfReferenceUID must be that of"),
    ],
)
def test_slices_that_cannot_be_referred_to_are_refused(
    tmp_path: Path, keyword: str, value: str | None, message: str
) -> None:
    def spoil(one: Any, number: int) -> None:
        if number == 5:
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            setattr(one, keyword, value)

    scan = phantoms.write_series(tmp_path / "scan", edit=spoil)
    with pytest.raises(SeriesError, match=message):
        write(tmp_path / "out", scan)
    assert not (tmp_path / "out").exists()
    volume = read_ct(scan)
    with pytest.raises(SeriesError, match=message):
        refuse_unfit(scan, volume, is_deidentified=False)
    # Nothing refers to them then.
    refuse_unfit(scan, volume, is_deidentified=True)


def test_another_series_than_the_volume_is_refused(tmp_path: Path, series: Path) -> None:
    grid = replace(phantoms.PLAIN, origin_xyz_mm=(0.0, 0.0, 0.0))
    other, volume = phantoms.write_series(tmp_path / "other", grid), read_ct(series)
    masks = phantoms.masks_in(volume)
    with pytest.raises(SeriesError, match="the folder must hold the series"):
        write(tmp_path / "out", series, scan=other, volume=volume, masks=masks)


def test_findings_without_their_masks_are_a_mistake(tmp_path: Path, series: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write(tmp_path / "out", series, masks=[])


def test_missing_extra_is_said_in_words(
    tmp_path: Path, series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(SettingError, match=r"pip install 'lung-pipeline\[dicom\]'"):
        write(tmp_path / "out", series)
    with pytest.raises(SettingError, match="needs the extra"):
        refuse_unfit(series, read_ct(series), is_deidentified=True)


def test_a_scan_among_its_own_derived_slices_is_not_overwritten(tmp_path: Path) -> None:
    scan = phantoms.write_series(tmp_path / CT_NAME)
    with pytest.raises(SettingError, match="must not lie in derived_ct"):
        write(tmp_path, scan, is_deidentified=True)
    assert len(list(scan.iterdir())) == phantoms.SHAPE_IRC[0]
