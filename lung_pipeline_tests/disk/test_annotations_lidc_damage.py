# SPDX-License-Identifier: Apache-2.0
"""Files and archives of LIDC's XML that are broken, cut, encrypted, too long or oddly named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lidc_sources import ONE, OTHER, as_folder, as_zip, loss_lines

from lung_pipeline.annotations import lidc
from lung_pipeline.annotations.lidc import read_lidc
from lung_pipeline.errors import AnnotationError


@pytest.mark.parametrize("name", ["absent", "empty", "other.txt", "no_xml.zip"])
def test_source_that_holds_no_xml_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.txt").write_text("PK")
    as_zip(tmp_path / "no_xml.zip", {"a.txt": "x"})
    with pytest.raises(AnnotationError, match=r"LIDC-XML-only\.zip") as caught:
        read_lidc(tmp_path / name)
    assert str(caught.value).isprintable()


def test_archive_cut_short_is_refused(tmp_path: Path) -> None:
    content = as_zip(tmp_path / "a.zip").read_bytes()
    for length in (0, 3, len(content) // 2, len(content) - 1):
        (tmp_path / "a.zip").write_bytes(content[:length])
        with pytest.raises(AnnotationError, match="must be"):
            read_lidc(tmp_path / "a.zip")


def _damaged(path: Path, change: Callable[[bytearray, int], None]) -> Path:
    """The archive with its first member changed, from the first byte of its content."""
    content = bytearray(path.read_bytes())
    start = 30 + int.from_bytes(content[26:28], "little") + int.from_bytes(content[28:30], "little")
    change(content, start)
    path.write_bytes(content)
    return path


def _flip(content: bytearray, start: int) -> None:
    content[start + 300] ^= 1


def _shred(content: bytearray, start: int) -> None:
    content[start : start + 20] = b"\xff" * 20


def _shred_later(content: bytearray, start: int) -> None:
    content[start + 12 : start + 32] = b"\xff" * 20


def _set_in_both(local: int, central: int, value: int) -> Callable[[bytearray, int], None]:
    """Set a byte of the first member's two headers."""

    def change(content: bytearray, _: int) -> None:
        content[local] = value
        content[content.index(b"PK\x01\x02") + central] = value

    return change


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        (0, _flip, "must be whole"),
        (8, _shred, "must be whole"),
        (12, _shred, "must be whole"),
        (14, _shred, "must be whole"),
        (14, _shred_later, "must be whole"),
        (8, _set_in_both(6, 8, 1), "must be a plain one"),
        (8, _set_in_both(8, 10, 99), "must be a plain one"),
    ],
    ids=["wrong CRC", "deflate", "bzip2", "lzma's head", "lzma", "encrypted", "unknown packing"],
)
def test_damaged_member_is_listed_and_the_others_are_read(
    tmp_path: Path, method: int, change: Callable[[bytearray, int], None], words: str
) -> None:
    marks = read_lidc(_damaged(as_zip(tmp_path / "a.zip", method=method), change))
    assert list(marks.series) == ["1.2"]
    (line,) = loss_lines(marks)
    assert line.startswith("157/158.xml: ")
    assert words in line


def test_archives_with_flipped_bytes_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    whole = as_zip(tmp_path / "a.zip").read_bytes()
    rng = np.random.default_rng(7)
    told: list[str] = []
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=3):
            content[place] = rng.integers(256)
        (tmp_path / "a.zip").write_bytes(content)
        try:
            loss_lines(read_lidc(tmp_path / "a.zip"))
        except AnnotationError as error:
            told.append(str(error))
    assert 0 < len(told) < 300
    assert all(line.isprintable() for line in told)


def test_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    as_zip(tmp_path / "a.zip", {"\u00e9.xml": ONE})
    content = (tmp_path / "a.zip").read_bytes().replace("\u00e9".encode(), b"\xff\xff")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(AnnotationError, match="archive must be whole"):
        read_lidc(tmp_path / "a.zip")


def test_file_that_is_too_long_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lidc, "MOST_BYTES", len(ONE))
    files = {"a.xml": ONE, "b.xml": OTHER + " " * len(ONE)}
    for source in (as_folder(tmp_path / "f", files), as_zip(tmp_path / "a.zip", files)):
        marks = read_lidc(source)
        assert list(marks.series) == ["1.1"]
        assert f"at most {len(ONE):,} bytes" in loss_lines(marks)[0]


def test_file_whose_name_is_no_line_is_told_on_one(tmp_path: Path) -> None:
    folder = as_folder(tmp_path / "f", {"a\nb\u202e.xml": ONE, "c\nd.xml": "<a>"})
    undecodable = os.fsencode(folder) + b"/\xff.xml"
    Path(os.fsdecode(undecodable)).write_text(OTHER)
    marks = read_lidc(folder)
    assert list(marks.series) == ["1.1", "1.2"]
    assert loss_lines(marks)[0].startswith("c d.xml: ")
    assert all(source.isprintable() for source in marks.sources.values())
