# SPDX-License-Identifier: Apache-2.0
"""The readers' verdict on one scan: from one file, a folder or an archive, or refused in words."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from lidc_messages import SERIES, SQUARE, message, nodule, non_nodule, roi

from lung_pipeline.annotations.rules import MeanRating
from lung_pipeline.diagnosis.verdict.readers import readers_of_scan
from lung_pipeline.errors import AnnotationError

REAL = "1.3.6.1.4.1.14519.5.2.1.6279.6001.170706757615202213033480003264"
ELSEWHERE = tuple((column + 40, row) for column, row in SQUARE)


def _session(*ratings: int | None) -> str:
    """One reader's marks: the first nodule lies at ``SQUARE``, the second elsewhere."""
    places = (SQUARE, ELSEWHERE)
    return "".join(
        nodule(roi(place), name=str(number), ratings={"malignancy": given} if given else {})
        for number, (place, given) in enumerate(zip(places, ratings, strict=False))
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(*sessions: str, name: str = "a.xml") -> Path:
        path = tmp_path / name
        path.write_text(message(*sessions))
        return path

    return written


@pytest.mark.parametrize(
    ("sessions", "verdict", "ratings", "num_malignant"),
    [
        ([_session(4), _session(5), _session(1)], "malignant", {(1, 4, 5)}, 1),
        ([_session(5), _session(3), _session(1)], "benign", {(1, 3, 5)}, 0),
        # Any nodule is enough; the readers' marks are told apart by where they lie.
        ([_session(1, 4), _session(1, 4)], "malignant", {(1, 1), (4, 4)}, 1),
        ([non_nodule(), ""], "no nodule", set(), 0),
        ([_session(None)], "not assessed", {()}, 0),
        ([_session(1, None)], "not assessed", {(1,), ()}, 0),
    ],
)
def test_rule_over_all_nodules_of_the_scan(
    write: Callable[..., Path],
    sessions: list[str],
    verdict: str,
    ratings: set[tuple[int, ...]],
    num_malignant: int,
) -> None:
    found = readers_of_scan(write(*sessions), SERIES)
    assert (found.verdict, found.num_malignant) == (verdict, num_malignant)
    assert set(found.ratings) == ratings
    assert found.rule == "two-of-readers v1"
    assert found.source.startswith("a.xml, sha256 ")


def test_another_rule_may_judge_otherwise(write: Callable[..., Path]) -> None:
    source = write(_session(5), _session(3), _session(3))
    assert readers_of_scan(source, SERIES).verdict == "benign"
    assert readers_of_scan(source, SERIES, MeanRating()).verdict == "malignant"


def test_file_folder_and_archive_say_the_same(write: Callable[..., Path], tmp_path: Path) -> None:
    source = write(_session(4), _session(5))
    (tmp_path / "other.xml").write_text(message(_session(1), series="9.9"))
    packed = tmp_path / "LIDC-XML-only.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(source, "tcia/a.xml")
    alone = readers_of_scan(source, SERIES)
    for many in (tmp_path, packed):
        found = readers_of_scan(many, SERIES)
        assert (found.verdict, found.ratings) == (alone.verdict, alone.ratings)
    assert readers_of_scan(tmp_path, SERIES) == alone


@pytest.mark.parametrize("as_folder", [False, True])
def test_marks_of_another_scan_are_refused(
    write: Callable[..., Path], tmp_path: Path, *, as_folder: bool
) -> None:
    source = write(_session(5), _session(5))
    named = "none of it" if as_folder else SERIES
    with pytest.raises(AnnotationError, match=rf"must be about the series 7\.7, got {named}"):
        readers_of_scan(tmp_path if as_folder else source, "7.7")


def test_what_is_no_xml_of_the_readers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="No such file"):
        readers_of_scan(tmp_path / "none.xml", SERIES)
    (tmp_path / "xray.xml").write_text(message(kind="IdriReadMessage"))
    with pytest.raises(AnnotationError, match="must be about the series"):
        readers_of_scan(tmp_path / "xray.xml", SERIES)
    (tmp_path / "cut.xml").write_text(message(_session(5))[:-30])
    with pytest.raises(AnnotationError, match=r"cut\.xml"):
        readers_of_scan(tmp_path / "cut.xml", SERIES)


def test_real_scan_has_the_four_nodules_its_readers_drew(reference_data: Path) -> None:
    """Three that all four readers drew, LUNA16's, and one of one reader; ratings by hand."""
    found = readers_of_scan(reference_data / "lidc" / "LIDC-IDRI-0003" / "072.xml", REAL)
    assert (found.verdict, found.num_malignant) == ("malignant", 3)
    assert sorted(found.ratings) == [(2,), (2, 3, 4, 4), (2, 3, 4, 5), (3, 4, 5, 5)]
