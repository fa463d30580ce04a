# SPDX-License-Identifier: Apache-2.0
"""Anybody's files of detections and lists of series: read, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.errors import AnnotationError, SettingError
from lung_pipeline.evaluation.detection.detections import (
    ScoredTables,
    read_detections,
    read_patient_of_series,
    read_scored_tables,
    read_series_list,
    strongest_of_each_series,
)

HEADER = "seriesuid,coordX,coordY,coordZ,probability\n"
DETECTIONS = HEADER + "1.2,-1.5,2,3e1,0.9\n1.3,4,5,6,0.5\n1.9,4,5,6,0.25\n"
MARKS = "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2,-1.5,2,30,5\n1.8,4,5,6,7\n"


def file(folder: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def tables(
    folder: Path, *, series: str = "1.2\n1.3\n1.4\n", cap: int | None = None
) -> ScoredTables:
    return read_scored_tables(
        annotations=file(folder, MARKS, "annotations.csv"),
        excluded=file(folder, MARKS.replace("5\n", "-1\n"), "excluded.csv"),
        series=file(folder, series, "series.csv"),
        detections=file(folder, DETECTIONS, "detections.csv"),
        cap=cap,
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(DETECTIONS, id="as LUNA16 has it"),
        pytest.param("\ufeff" + DETECTIONS.replace("\n", "\r\n"), id="a BOM and CRLF"),
        pytest.param(DETECTIONS.replace("1.2,", '"1.2",'), id="quotes"),
        pytest.param(DETECTIONS.rstrip("\n"), id="no line end at the end"),
        pytest.param(
            "note,probability,coordZ,coordY,coordX,seriesuid\n"
            "a,0.9,3e1,2,-1.5,1.2\nb,0.5,6,5,4,1.3\n,0.25,6,5,4,1.9\n",
            id="another order and a further column",
        ),
    ],
)
def test_detections_are_read_in_the_order_of_the_file(tmp_path: Path, text: str) -> None:
    found = read_detections(file(tmp_path, text))
    assert found.columns.tolist() == ["series_uid", "x_mm", "y_mm", "z_mm", "score"]
    assert found.to_numpy().tolist() == [
        ["1.2", -1.5, 2.0, 30.0, 0.9],
        ["1.3", 4.0, 5.0, 6.0, 0.5],
        ["1.9", 4.0, 5.0, 6.0, 0.25],
    ]


def test_a_system_may_find_nothing(tmp_path: Path) -> None:
    assert len(read_detections(file(tmp_path, HEADER))) == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "header must name each column once"),
        (DETECTIONS.replace("probability", "score"), "line 1: the header .* 'probability'"),
        (DETECTIONS.replace(",", ";"), "line 1: the header"),
        (DETECTIONS.replace("0.5", "high"), "line 3: 'probability' must be a number, got 'high'"),
        (DETECTIONS.replace("0.5", "nan"), "line 3: 'probability' must be a number"),
        (DETECTIONS.replace("1.3,4,", "1.3,,"), "line 3: 'coordX' must be a number"),
        (DETECTIONS.replace("1.3,4,", "1.3,40000,"), "line 3: 'coordX' must be at most 10,000 mm"),
        (DETECTIONS.replace(",0.5", ""), "line 3: a line must have 5 cells"),
        (DETECTIONS.replace("1.3,", ","), "line 3: 'seriesuid' must not be empty"),
    ],
)
def test_a_wrong_file_of_detections_is_told_by_its_line(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(AnnotationError, match=told):
        read_detections(file(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "1.2\n1.3\n",
        "\ufeff1.2\r\n1.3",
        "seriesuid\n1.2\n\n 1.3 \n",
        '"seriesuid"\n"1.2"\n"1.3"\n',
    ],
)
def test_a_list_of_series_is_read_with_or_without_a_header(tmp_path: Path, text: str) -> None:
    assert read_series_list(file(tmp_path, text)) == ("1.2", "1.3")


def test_names_without_a_digit_are_series_below_the_header(tmp_path: Path) -> None:
    assert read_series_list(file(tmp_path, "seriesuid\nanna\nbert\n")) == ("anna", "bert")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must name the series"),
        ("seriesuid\n", "must name the series"),
        ("1.2\n1.3\n1.2\n", "line 3: a series must stand in one line, got 1.2 again, after line 1"),
        ("1.2,0\n", "line 1: a line must be one series UID, got '1.2,0'"),
        ("1.2\n1.3 1.4\n", "line 2: a line must be one series UID"),
        ("SeriesInstanceUID\n1.2\n", "line 1: .* must be 'seriesuid', got 'SeriesInstanceUID'"),
        ("series_uid\n1.2\n", "line 1: .* a header, which must be 'seriesuid'"),
        ("seriesUID\n1.2\n", "line 1: .* a header, which must be 'seriesuid'"),
        ("1.2\nseriesuid,subset\n", "line 2: a line must be one series UID"),
        ("1.2\n1.3\n".encode("utf-16"), "line 1: a line must be one series UID"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "line 1: a line must be one series UID"),
    ],
)
def test_a_wrong_list_of_series_is_told_by_its_line(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    with pytest.raises(AnnotationError, match=told) as refused:
        read_series_list(file(tmp_path, text))
    assert "\n" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_an_absent_list_of_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="must be there"):
        read_series_list(tmp_path / "none.csv")


def test_rows_of_other_series_are_left_out_and_counted(tmp_path: Path) -> None:
    found = tables(tmp_path)
    assert found.findings["series_uid"].tolist() == ["1.2", "1.3"]
    assert found.nodules["series_uid"].tolist() == ["1.2"]
    assert found.left_out == {
        "detections_of_other_series": 1,
        "nodules_of_other_series": 1,
        "detections_beyond_the_cap": 0,
    }
    assert found.silent_series_uids == ("1.4",)
    assert found.matched().counts["hits"] == 1


def test_tables_that_share_no_series_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"detections\.csv: some row must be of a series"):
        tables(tmp_path, series="2.1\n")
    with pytest.raises(AnnotationError, match=r"annotations\.csv: some row must be of a series"):
        tables(tmp_path, series="1.3\n")


def test_what_the_cap_takes_is_counted_and_no_series_called_silent(tmp_path: Path) -> None:
    doubled = file(tmp_path, DETECTIONS + "1.3,0,0,0,0.5\n1.2,0,0,0,0.1\n", "doubled.csv")
    found = read_scored_tables(
        annotations=file(tmp_path, MARKS, "annotations.csv"),
        excluded=None,
        series=file(tmp_path, "1.2\n1.3\n", "series.csv"),
        detections=doubled,
        cap=1,
    )
    # 1.2 keeps its stronger one; the two of 1.3 are tied across the cut.
    assert found.findings["score"].tolist() == [0.9]
    assert found.left_out["detections_beyond_the_cap"] == 3
    assert found.silent_series_uids == ()


@pytest.mark.parametrize(
    ("cap", "kept"), [(1, [9]), (2, [9, 8]), (3, [9, 8]), (4, [9, 8, 5, 5]), (9, [9, 8, 5, 5, 1])]
)
def test_the_cap_keeps_scores_above_the_next(cap: int, kept: list[int]) -> None:
    """9, 8, 5, 5, 1: three would part the tie, so the third stays away with the fourth."""
    scores = [5, 9, 1, 8, 5]
    found = pd.DataFrame({"series_uid": "a", "score": scores})
    left = strongest_of_each_series(found, cap)
    assert sorted(left["score"], reverse=True) == kept
    assert left.index.is_monotonic_increasing


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(SettingError, match="1 or more, got 0"):
        strongest_of_each_series(pd.DataFrame({"series_uid": ["a"], "score": [1.0]}), 0)


def test_patients_of_the_list_are_read_from_tcias_table(tmp_path: Path) -> None:
    table = "Patient Id,Modality,Series UID\nP1,CT,1.2\nP1,CT,1.3\nP2,CT,1.7\n"
    path = file(tmp_path, table)
    assert read_patient_of_series(path, ["1.2", "1.3", "1.4"]) == {"1.2": "P1", "1.3": "P1"}
    with pytest.raises(AnnotationError, match="of a series of the list"):
        read_patient_of_series(path, ["1.4"])
