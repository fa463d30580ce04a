# SPDX-License-Identifier: Apache-2.0
"""Csv tables that are wrong: told by file, line, rule and value."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from luna_tables import CANDIDATES, NODULES, PATIENTS, RATINGS, Reader, table_file

from lung_pipeline.annotations import luna
from lung_pipeline.errors import AnnotationError


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
        reader(table_file(tmp_path, text))


def test_cell_of_spaces_is_refused_at_once(tmp_path: Path) -> None:
    path = table_file(tmp_path, RATINGS.replace("[1]", f"[{' ' * 100_000}x]"))
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
        luna.read_ratings(table_file(tmp_path, header + "".join(rows)))


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    latin = NODULES.replace("1.3", "Kröger").encode("latin-1")

    with pytest.raises(AnnotationError, match="UTF-8"):
        luna.read_annotations(table_file(tmp_path, latin))


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
