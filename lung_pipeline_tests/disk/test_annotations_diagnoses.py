# SPDX-License-Identifier: Apache-2.0
"""TCIA's workbook of diagnoses: read by its headers, refused in one line that names the row."""

from __future__ import annotations

from pathlib import Path

import pytest
from xls_files import DIVISION_BY_ZERO, HEADER, Value, write_xls

from lung_pipeline.annotations.diagnoses import read_diagnoses
from lung_pipeline.errors import AnnotationError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "diagnoses.xls"


def _refusal(path: Path) -> str:
    with pytest.raises(AnnotationError) as refused:
        read_diagnoses(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_patients_and_diagnoses_in_the_order_of_the_file(path: Path) -> None:
    write_xls(path, [HEADER, ("B", 3.0), ("A", 0.0), ("C", 1.0), ("D", 2.0)])
    table = read_diagnoses(path)
    assert table.to_numpy().tolist() == [["B", 3], ["A", 0], ["C", 1], ["D", 2]]
    assert [str(kind) for kind in table.dtypes] == ["str", "int64"]


def test_columns_are_found_wherever_they_stand(path: Path) -> None:
    rows = [
        ("Collected in 2012",),
        (None, "Diagnosis  at the\npatient level", "Site", " TCIA Patient ID "),
        (),
        (4.0, 2.0, "LUL", "A"),
        (None, None, "a remark", None),
        (4.0, "1", None, " B "),
    ]
    table = read_diagnoses(write_xls(path, rows))
    assert table.to_numpy().tolist() == [["A", 2], ["B", 1]]


def test_patient_twice_with_one_diagnosis_is_one_patient(path: Path) -> None:
    table = read_diagnoses(write_xls(path, [HEADER, ("A", 2.0), ("B", 1.0), ("A", 2.0)]))
    assert table.to_numpy().tolist() == [["A", 2], ["B", 1]]


def test_patient_with_two_diagnoses_is_refused(path: Path) -> None:
    write_xls(path, [HEADER, ("A", 2.0), ("B", 1.0), ("A", 1.0)])
    assert "row 4, patient A: a patient must have one diagnosis, got 1 after 2" in _refusal(path)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (4.0, "4"),
        (-1.0, "-1"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        ("benign", "benign"),
        (None, "nothing"),
        # A truth value and an error are numbers inside: 1 and 7.
        (True, "TRUE"),
        (DIVISION_BY_ZERO, "#DIV/0!"),
    ],
)
def test_another_diagnosis_is_refused_with_its_row(path: Path, cell: Value, shown: str) -> None:
    write_xls(path, [HEADER, ("A", 2.0), ("B", cell)])
    assert f"row 3: 'Diagnosis at the Patient Level' must be 0, 1, 2 or 3, got {shown}." in (
        _refusal(path)
    )


@pytest.mark.parametrize(("cell", "shown"), [(None, "nothing"), ("  ", "nothing"), (17.0, "17")])
def test_row_without_patient_is_refused(path: Path, cell: Value, shown: str) -> None:
    write_xls(path, [HEADER, ("A", 2.0), (cell, 1.0)])
    assert f"row 3: 'TCIA Patient ID' must be a name such as LIDC-IDRI-0068, got {shown}." in (
        _refusal(path)
    )


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [HEADER],
        [("TCIA Patient ID", "Diagnosis"), ("A", 2.0)],
        [(*HEADER, HEADER[1]), ("A", 2.0, 1.0)],
        [HEADER[:1], (None, HEADER[1]), ("A", 2.0)],
    ],
    ids=["empty", "no row", "no diagnosis", "two columns of diagnoses", "headers in two rows"],
)
def test_other_layouts_are_refused(path: Path, rows: list[tuple[Value, ...]]) -> None:
    assert "must name 'TCIA Patient ID' and 'Diagnosis" in _refusal(write_xls(path, rows))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Not found</html>", b"PK\x03\x04 a new workbook", b"\xd0\xcf\x11\xe0" * 9],
)
def test_other_files_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "must be a whole .xls workbook" in _refusal(path)


def test_absent_file_is_refused(path: Path) -> None:
    assert "the table must be there" in _refusal(path)
