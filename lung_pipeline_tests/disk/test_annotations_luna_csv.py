# SPDX-License-Identifier: Apache-2.0
"""Csv tables as people hand them out: right ones are read, wrong ones are told by the line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.annotations import luna
from lung_pipeline.errors import AnnotationError

Reader = Callable[[Path], pd.DataFrame]

NODULES = "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2,-1.5,2,3e1,5.25\n1.3,4,5,6,7\n"
CANDIDATES = "seriesuid,coordX,coordY,coordZ,class\n1.2,-1.5,2,3e1,0\n1.3,4,5,6,1\n"
RATINGS = (
    "seriesuid,coordX,coordY,coordZ,diameter_mm,mal_bool,mal_details,bboxLowX\n"
    '1.2,-1.5,2,3,5.25,True,"[4, 2, 4, 2]",0\n'
    '1.3,4,5,6,7,False,"[1]",0\n'
    '1.4,4,5,6,7,False,"[]",0\n'
)
PATIENTS = (
    "Collection,Patient Id,Study Date,Modality,Series UID\n"
    "LIDC-IDRI,P1,01/01/2000,CT,1.2\n"
    "LIDC-IDRI,P1,01/01/2000,DX,1.9\n"
    "LIDC-IDRI,P2,01/01/2000,CT,1.3\n"
    "LIDC-IDRI,P2,01/01/2000,CT,1.3\n"
)


def _file(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_nodules_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    table = luna.read_annotations(_file(tmp_path, NODULES))

    assert list(table.columns) == ["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"]
    rows = [["1.2", -1.5, 2.0, 30.0, 5.25], ["1.3", 4.0, 5.0, 6.0, 7.0]]
    assert table.to_numpy().tolist() == rows


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(NODULES.replace("\n", "\r\n"), id="CRLF"),
        pytest.param("\ufeff" + NODULES, id="BOM"),
        pytest.param("\ufeff" + NODULES.replace("\n", "\r\n"), id="BOM and CRLF"),
        pytest.param(NODULES.rstrip("\n"), id="no newline at the end"),
        pytest.param(NODULES.replace("\n", "\n\n"), id="empty lines"),
        pytest.param(NODULES.replace("1.2,", '"1.2",'), id="quoted"),
        pytest.param(
            "extra,diameter_mm,coordZ,coordY,coordX,seriesuid\n"
            "a,5.25,3e1,2,-1.5,1.2\nb,7,6,5,4,1.3\n",
            id="other order and a further column",
        ),
    ],
)
def test_harmless_differences_change_nothing(tmp_path: Path, text: str) -> None:
    plain = luna.read_annotations(_file(tmp_path, NODULES))

    pd.testing.assert_frame_equal(luna.read_annotations(_file(tmp_path, text)), plain)


def test_candidates_have_a_truth_value(tmp_path: Path) -> None:
    table = luna.read_candidates(_file(tmp_path, CANDIDATES))

    assert list(table.columns) == ["series_uid", "x_mm", "y_mm", "z_mm", "is_nodule"]
    assert table["is_nodule"].dtype == bool
    assert table["is_nodule"].tolist() == [False, True]


def test_excluded_findings_keep_minus_one_and_may_repeat(tmp_path: Path) -> None:
    row = "1.2,-1.5,2,3,-1\n"
    header = NODULES.splitlines(keepends=True)[0]

    assert luna.read_excluded(_file(tmp_path, header + row + row))["diameter_mm"].tolist() == [
        -1,
        -1,
    ]
    assert luna.read_excluded(_file(tmp_path, header)).empty


def test_ratings_are_read_as_text_of_digits(tmp_path: Path) -> None:
    table = luna.read_ratings(_file(tmp_path, RATINGS))

    expected = ["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm", "ratings"]
    assert list(table.columns) == expected
    assert table["ratings"].tolist() == ["4,2,4,2", "1", ""]


def test_patients_are_those_of_ct_series_each_once(tmp_path: Path) -> None:
    table = luna.read_patients(_file(tmp_path, PATIENTS))

    assert list(table.columns) == ["series_uid", "patient_id"]
    assert table.to_numpy().tolist() == [["1.2", "P1"], ["1.3", "P2"]]


@pytest.mark.parametrize(
    ("reader", "text", "told"),
    [
        pytest.param(
            luna.read_annotations,
            NODULES.replace("1.3,4,", "1.3,four,"),
            r"table\.csv, line 3: 'coordX' must be a number, got 'four'",
            id="a word for a number",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("\n1.3,4,", "\n\n\n1.3,four,"),
            r"table\.csv, line 5: 'coordX'",
            id="empty lines count as an editor counts them",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("4,5,6,7", "4,,6,7"),
            r"line 3: 'coordY' must be a number",
            id="an empty cell",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("4,5,6,7", "4,5,inf,7"),
            r"line 3: 'coordZ' must be a number",
            id="infinity",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("4,5,6,7", "4,5,6"),
            r"line 3: a line must have 5 cells.*got 4 cells",
            id="a line cut short",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("1.3,4", ",4"),
            r"line 3: 'seriesuid' must not be empty",
            id="no series",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("7\n", "0\n"),
            r"line 3: 'diameter_mm' must be positive, got 0\.0",
            id="a diameter of zero",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("7\n", "-1\n"),
            r"line 3: 'diameter_mm' must be positive, got -1\.0",
            id="a diameter of an excluded finding",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES + "1.2,-1.5,2.0,30,6\n1.2,-1.5,2.0,30,6\n",
            r"line 4: a nodule must stand in one row, got 1\.2 \(and 1 more such rows\)",
            id="a nodule twice",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.splitlines(keepends=True)[0],
            r"table\.csv: the table must have rows, got no row",
            id="a header alone",
        ),
        pytest.param(
            luna.read_annotations, "", r"line 1: the header must name each column", id="empty file"
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace(",", ";"),
            r"got the columns 'seriesuid;coordX;coordY;coordZ;diameter_mm'",
            id="semicolons",
        ),
        pytest.param(
            luna.read_annotations,
            CANDIDATES,
            r"also 'diameter_mm', got the columns 'seriesuid', 'coordX'.*'class'",
            id="another table",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("coordY", "coordX"),
            r"each column once, also 'coordX', 'coordY'",
            id="a column twice",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("5.25", "1e300"),
            r"line 2: 'diameter_mm' must be at most 1,000 mm",
            id="a nodule that would hold every series",
        ),
        pytest.param(
            luna.read_excluded,
            NODULES.replace("1.3,4,", "1.3,-40000,"),
            r"line 3: 'coordX' must be at most 10,000 mm from 0, got -40000\.0",
            id="a place no patient reaches",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("1.3", "1\0.3"),
            r"line 3: 'seriesuid' must be plain text, got 1\?\.3",
            id="a NUL in a name",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("1.3", '"1.3'),
            r"got '1\.3,4,5,6,7\?'|got 1 cells",
            id="a quote that is never closed",
        ),
        pytest.param(
            luna.read_ratings,
            RATINGS.replace('2]",0', "2],0"),
            r"line 3: a cell must end on the line on which it begins, got '\[4, 2, 4, 2\],0\?1\.3,",
            id="a quote that is closed in the next row",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("4,5,6,7", f"4,5,6,{'7' * 200_000}"),
            r"line 3: the table must be lines of cells.*field larger than field limit",
            id="a cell without an end",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("coordX", "very " * 10_000),
            r"got the columns 'seriesuid', 'very very [very ]* \.\.\. \(50,000 characters\)'",
            id="a header of a book's length",
        ),
        pytest.param(
            luna.read_annotations,
            NODULES.replace("4,5,6,7", "4,5,6,7_0"),
            r"line 3: 'diameter_mm' must be a number, got '7_0'",
            id="a number to Python alone",
        ),
        pytest.param(
            luna.read_candidates,
            CANDIDATES.replace("5,6,1", "5,6,2"),
            r"line 3: 'class' must be 0 or 1, got 2",
            id="a third class",
        ),
        pytest.param(
            luna.read_ratings,
            RATINGS.replace("[4, 2, 4, 2]", "[4, 6]"),
            r"line 2: 'mal_details' must be a list of ratings from 1 to 5, got \[4, 6\]",
            id="a rating off the scale",
        ),
        pytest.param(
            luna.read_ratings,
            RATINGS.replace("[1]", "__import__('os').abort()"),
            r"line 3: 'mal_details' must be a list",
            id="code where ratings should be",
        ),
        pytest.param(
            luna.read_patients,
            PATIENTS + "LIDC-IDRI,P3,01/01/2000,CT,1.2\n",
            r"line 6: a series must belong to one patient, got 1\.2",
            id="a series of two patients",
        ),
        pytest.param(
            luna.read_patients,
            PATIENTS.replace(",CT,", ",MR,"),
            r"the table must have rows",
            id="no CT at all",
        ),
    ],
)
def test_wrong_table_is_refused_with_line_rule_and_value(
    tmp_path: Path, reader: Reader, text: str, told: str
) -> None:
    with pytest.raises(AnnotationError, match=told):
        reader(_file(tmp_path, text))


def test_cell_of_spaces_is_refused_at_once(tmp_path: Path) -> None:
    path = _file(tmp_path, RATINGS.replace("[1]", f"[{' ' * 100_000}x]"))
    started = time.process_time()

    with pytest.raises(AnnotationError, match=r"line 3: 'mal_details' must be a list"):
        luna.read_ratings(path)

    # A pattern that tries every division of the spaces takes 20 s.
    assert time.process_time() - started < 2


def test_row_that_pyarrow_drops_in_silence_is_noticed(tmp_path: Path) -> None:
    # It reads blocks of 1 MiB, cut between lines, and drops a row that is not closed at their end.
    header = "seriesuid,coordX,coordY,coordZ,diameter_mm,mal_bool,mal_details,more\n"
    rows = [f'1.2,1,2,{k},5,False,"[1, 2]",{"x" * 100_000}\n' for k in range(15)]
    rows[9] = rows[9].replace('2]"', "2]")

    with pytest.raises(AnnotationError, match=r"line 1[12]: a (cell|line) must"):
        luna.read_ratings(_file(tmp_path, header + "".join(rows)))


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    latin = NODULES.replace("1.3", "Kröger").encode("latin-1")

    with pytest.raises(AnnotationError, match="UTF-8"):
        luna.read_annotations(_file(tmp_path, latin))


@pytest.mark.parametrize(
    "reader",
    [
        luna.read_annotations,
        luna.read_candidates,
        luna.read_excluded,
        luna.read_ratings,
        luna.read_patients,
    ],
)
def test_absent_table_is_named(tmp_path: Path, reader: Reader) -> None:
    with pytest.raises(AnnotationError, match=r"nowhere\.csv: the table must be there"):
        reader(tmp_path / "nowhere.csv")


def test_first_release_of_the_candidates_is_preferred(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"candidates\.csv or a candidates_V2\.csv"):
        luna.candidates_file(tmp_path)

    (tmp_path / "candidates_V2.csv").touch()
    assert luna.candidates_file(tmp_path).name == "candidates_V2.csv"

    (tmp_path / "candidates.csv").touch()
    assert luna.candidates_file(tmp_path).name == "candidates.csv"
