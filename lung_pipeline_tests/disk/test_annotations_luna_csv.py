# SPDX-License-Identifier: Apache-2.0
"""Csv tables as people hand them out: right ones are read, whatever does no harm."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from luna_tables import CANDIDATES, NODULES, PATIENTS, RATINGS, table_file

from lung_pipeline.annotations import luna
from lung_pipeline.errors import AnnotationError


def test_nodules_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    table = luna.read_annotations(table_file(tmp_path, NODULES))

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
        pytest.param(NODULES.replace("1.2,", " 1.2 ,"), id="blanks around a name"),
        pytest.param(
            "extra,diameter_mm,coordZ,coordY,coordX,seriesuid\n"
            "a,5.25,3e1,2,-1.5,1.2\nb,7,6,5,4,1.3\n",
            id="other order and a further column",
        ),
    ],
)
def test_harmless_differences_change_nothing(tmp_path: Path, text: str) -> None:
    plain = luna.read_annotations(table_file(tmp_path, NODULES))

    pd.testing.assert_frame_equal(luna.read_annotations(table_file(tmp_path, text)), plain)


def test_candidates_have_a_truth_value(tmp_path: Path) -> None:
    table = luna.read_candidates(table_file(tmp_path, CANDIDATES))

    assert list(table.columns) == ["series_uid", "x_mm", "y_mm", "z_mm", "is_nodule"]
    assert table["is_nodule"].dtype == bool
    assert table["is_nodule"].tolist() == [False, True]


def test_excluded_findings_keep_minus_one_and_may_repeat(tmp_path: Path) -> None:
    row = "1.2,-1.5,2,3,-1\n"
    header = NODULES.splitlines(keepends=True)[0]

    assert luna.read_excluded(table_file(tmp_path, header + row + row))["diameter_mm"].tolist() == [
        -1,
        -1,
    ]
    assert luna.read_excluded(table_file(tmp_path, header)).empty


def test_ratings_are_read_as_text_of_digits(tmp_path: Path) -> None:
    table = luna.read_ratings(table_file(tmp_path, RATINGS))

    expected = ["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm", "ratings"]
    assert list(table.columns) == expected
    assert table["ratings"].tolist() == ["4,2,4,2", "1", ""]


def test_patients_are_those_of_ct_series_each_once(tmp_path: Path) -> None:
    table = luna.read_patients(table_file(tmp_path, PATIENTS))

    assert list(table.columns) == ["series_uid", "patient_id"]
    assert table.to_numpy().tolist() == [["1.2", "P1"], ["1.3", "P2"]]


def test_a_blank_does_not_make_two_patients_of_one(tmp_path: Path) -> None:
    padded = table_file(tmp_path, PATIENTS.replace("P2", "P1 "))

    assert luna.read_patients(padded)["patient_id"].tolist() == ["P1", "P1"]


def test_first_release_of_the_candidates_is_preferred(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"candidates\.csv or a candidates_V2\.csv"):
        luna.candidates_file(tmp_path)

    (tmp_path / "candidates_V2.csv").touch()
    assert luna.candidates_file(tmp_path).name == "candidates_V2.csv"

    (tmp_path / "candidates.csv").touch()
    assert luna.candidates_file(tmp_path).name == "candidates.csv"
