# SPDX-License-Identifier: Apache-2.0
"""What DICOM files say of a patient: what the source said of patient and study, or nothing at all.

A mark of its own is planted into every attribute of text that DICOM knows, at the top, in a
sequence and in private tags; then the bytes of all that was written are searched for them.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from lung_pipeline.ct.reading import read_ct
from lung_pipeline.reporting.dicom.files import CT_NAME, SEG_NAME, SR_NAME, write_dicom
from lung_pipeline.reporting.dicom.identity import OPTIONAL_KEYWORDS, REQUIRED_KEYWORDS, unnamed

pytest.importorskip("highdicom")

_TEXTS = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT"}
_TIMES = {"DA": "19471123", "DT": "19471123041516", "TM": "041516.424242"}
_RESCALE_TYPE = 0x00281054
"""The one text that decides whether a scan is read: it must be HU."""

_TAKEN_OVER = {*REQUIRED_KEYWORDS, *OPTIONAL_KEYWORDS, "PositionReferenceIndicator"}
"""The last belongs to the frame of reference, and must be that of the slices."""


def planted() -> dict[int, tuple[str, str]]:
    """Tag to representation and value, a mark of its own for each attribute of text."""
    found = {}
    for tag, (vr, multiplicity, _, _, _) in DicomDictionary.items():
        if tag >> 16 <= 0x0006 or multiplicity[0] != "1" or tag == _RESCALE_TYPE:
            continue
        if vr in _TEXTS:
            found[tag] = (vr, f"ZQ{tag:08x}")
        elif vr in _TIMES:
            found[tag] = (vr, _TIMES[vr])
    return found


def plant(one: Dataset, number: int) -> None:
    nested, marks = Dataset(), planted()
    for tag, (vr, value) in marks.items():
        one.add_new(tag, vr, value)
        nested.add_new(tag, vr, value)
    one.RequestAttributesSequence = [nested]
    one.OtherPatientIDsSequence = [nested]
    block = one.private_block(0x0011, "ZQprivate", create=True)
    block.add_new(0x01, "LO", "ZQ-in-a-private-tag")


def everything(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def write(out: Path, scan: Path, patient_id: str = "ZQid", **other: Any) -> Path:
    volume = read_ct(scan)
    arguments: dict[str, Any] = {
        "scan": scan,
        "volume": volume,
        "diagnosis": phantoms.diagnosis_of(
            *map(phantoms.finding_of, phantoms.BALLS), patient_id=patient_id
        ),
        "masks": phantoms.masks_in(volume),
        "is_deidentified": False,
        "made_at": phantoms.MADE_AT,
    }
    write_dicom(out, **arguments | other)
    return out


def keywords_of(content: bytes) -> set[str]:
    marks = {int(mark, 16) for mark in re.findall(rb"ZQ([0-9a-f]{8})", content)}
    return {DicomDictionary[tag][4] for tag in marks}


def test_enough_is_planted() -> None:
    assert len(planted()) > 800
    keywords = {DicomDictionary[tag][4] for tag in planted()}
    assert {"PatientName", "PatientID", "AccessionNumber", "InstitutionName"} <= keywords
    assert {"OperatorsName", "PatientAddress", "DeviceSerialNumber", "StationName"} <= keywords


def test_only_what_names_patient_and_study_is_taken_over(tmp_path: Path) -> None:
    scan = phantoms.write_series(tmp_path / "scan", edit=plant)
    content = everything(write(tmp_path / "out", scan))
    assert {"PatientName", "PatientID", "AccessionNumber", "StudyID"} <= keywords_of(content)
    assert keywords_of(content) <= _TAKEN_OVER
    assert b"private" not in content


def test_deidentified_files_hold_no_mark_no_date_and_no_uid_of_the_source(tmp_path: Path) -> None:
    scan = phantoms.write_series(tmp_path / "scan", edit=plant)
    content = everything(write(tmp_path / "out", scan, is_deidentified=True))
    assert b"ZQ" not in content
    for trace in (b"194711", b"424242", phantoms.ROOT_UID.encode(), b"Erika", b"4711"):
        assert trace not in content


def test_deidentified_files_belong_together_and_lie_on_their_own_slices(tmp_path: Path) -> None:
    scan = phantoms.write_series(tmp_path / "scan")
    out = write(tmp_path / "out", scan, is_deidentified=True)
    seg, report = phantoms.read(out, SEG_NAME), phantoms.read(out, SR_NAME)
    derived = [pydicom.dcmread(path) for path in (out / CT_NAME).iterdir()]
    for one in (seg, report, *derived):
        assert (one.PatientName, one.PatientBirthDate, one.StudyDate) == ("", "", "")
        assert re.fullmatch(r"ANON-\d{16}", one.PatientID)
        assert one.PatientIdentityRemoved == "YES"
        assert one.LongitudinalTemporalInformationModified == "REMOVED"
        assert one.StudyInstanceUID == seg.StudyInstanceUID
    uids = {one.SOPInstanceUID for one in derived}
    for group in seg.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID in uids


def test_two_patients_stay_two_when_deidentified(tmp_path: Path) -> None:
    def dimmer(one: Any, number: int) -> None:
        one.PixelData = bytes(len(one.PixelData) - 2) + b"\1\0"

    scans = [phantoms.write_series(tmp_path / "a")]
    scans += [phantoms.write_series(tmp_path / "b", edit=dimmer)]
    outs = [write(scan / "out", scan, is_deidentified=True) for scan in scans]
    first, second = (phantoms.read(out, SR_NAME) for out in outs)
    for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID"):
        assert first.get(keyword) != second.get(keyword)


def test_file_name_of_a_scan_is_in_no_deidentified_file(tmp_path: Path) -> None:
    scan = phantoms.write_mhd(tmp_path, name="ZQ_Erika_Muster.mhd")
    out = write(tmp_path / "out", scan, "ZQ_Erika_Muster", is_deidentified=True)
    assert b"ZQ" not in everything(out)


def test_cautions_keep_their_words_without_the_names_in_them(tmp_path: Path) -> None:
    scan = phantoms.write_series(tmp_path / "scan")
    named = phantoms.diagnosis_of(
        *map(phantoms.finding_of, phantoms.BALLS), patient_id="ZQ Erika\tMuster"
    )
    cautions = (
        f"{phantoms.ROOT_UID}.2 (slice thickness): thick, got 4 mm.",
        "ZQ Erika\\tMuster (last slice): lungs cut off",
    )
    out = write(
        tmp_path / "out",
        scan,
        diagnosis=replace(named, cautions=cautions, not_looked_at={"ZQ": "ZQ is broken"}),
        is_deidentified=True,
    )
    content = everything(out)
    assert b"Caution: (left out) (slice thickness): thick, got 4 mm." in content
    assert b"Caution: (left out) (last slice): lungs cut off" in content
    assert b"ZQ" not in content
    assert phantoms.ROOT_UID.encode() not in content


def test_figures_keep_their_digits_where_a_scan_is_called_by_a_number() -> None:
    named = phantoms.diagnosis_of(patient_id="1")
    cautions = ("1 (slices): thick, got 3.1 mm; 1.mhd has 11.", "series 1: cut off")
    told = unnamed(replace(named, cautions=cautions)).cautions
    assert told == (
        "(left out) (slices): thick, got 3.1 mm; (left out).mhd has 11.",
        "series (left out): cut off",
    )


def test_id_of_a_scan_that_is_no_dicom_is_the_patients(tmp_path: Path) -> None:
    out = write(tmp_path / "out", phantoms.write_mhd(tmp_path), "back\\slash" + "x" * 80)
    for name in (SEG_NAME, SR_NAME, f"{CT_NAME}/0001.dcm"):
        assert phantoms.read(out, name).PatientID == "back_slash" + "x" * 54


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen^^Dr."),
        ("ISO_IR 192", "<script>alert(1)</script>^\"'&amp;"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 100", "No Carets, all in one " + "long " * 20),
    ],
)
def test_names_survive_as_text(tmp_path: Path, charset: Any, name: str) -> None:
    def rename(one: Any, number: int) -> None:
        one.SpecificCharacterSet, one.PatientName = charset, name

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom finds the long name too long, and we mean it
        out = write(tmp_path / "out", phantoms.write_series(tmp_path / "scan", edit=rename))
        for file in (SEG_NAME, SR_NAME):
            one = phantoms.read(out, file)
            assert str(one.PatientName) == name.strip()
            assert one.SpecificCharacterSet == "ISO_IR 192"


def test_values_that_break_a_rule_of_dicom_are_taken_over_as_they_are(tmp_path: Path) -> None:
    def spoil(one: Any, number: int) -> None:
        for keyword in REQUIRED_KEYWORDS:
            del one[keyword]
        with pydicom.config.disable_value_validation():
            one.PatientBirthDate, one.StudyTime = "12.8.1964", "about ten"
            one.PatientSex, one.PatientID = "unknown", "A\\B"
            one.AccessionNumber = "longer than sixteen letters"

    scan = phantoms.write_series(tmp_path / "scan", edit=spoil)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = write(tmp_path / "out", scan)
    with pydicom.config.disable_value_validation():
        for file in (SEG_NAME, SR_NAME):
            one = phantoms.read(out, file)
            assert (one.PatientBirthDate, one.StudyTime) == ("12.8.1964", "about ten")
            assert (one.PatientSex, one.PatientID) == ("unknown", ["A", "B"])
            assert one.AccessionNumber == "longer than sixteen letters"


def test_patient_that_a_source_does_not_name_stays_unnamed(tmp_path: Path) -> None:
    def drop(one: Any, number: int) -> None:
        for keyword in REQUIRED_KEYWORDS:
            del one[keyword]

    out = write(tmp_path / "out", phantoms.write_series(tmp_path / "scan", edit=drop))
    for file in (SEG_NAME, SR_NAME):
        one = phantoms.read(out, file)
        assert all(keyword in one and not one.get(keyword) for keyword in REQUIRED_KEYWORDS)
