# SPDX-License-Identifier: Apache-2.0
"""Folders and archives of LIDC's XML: what is counted, doubled, passed over, asked for."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest
from lidc_messages import message, nodule, roi
from lidc_sources import FILES, ONE, OTHER, X_RAY, as_folder, as_zip, loss_lines, told_of

from lung_pipeline.annotations.lidc import find_lidc, read_lidc


def test_folder_and_archive_say_the_same(tmp_path: Path) -> None:
    # In the one "a.b" sorts before "a", in the other after it; one series stands in both.
    files = {**FILES, "a/1.xml": ONE, "a.b/1.xml": OTHER, "note.txt": "no xml"}
    folder, archive = as_folder(tmp_path / "f", files), as_zip(tmp_path / "a.zip", files)
    one, other = read_lidc(folder), read_lidc(archive)
    assert told_of(one) == told_of(other)
    assert (one.losses, one.counts, one.sources) == (other.losses, other.counts, other.sources)
    assert one.counts["files"] == 5
    assert one.counts["repeated_messages"] == 2


def test_messages_are_counted_by_what_they_are(tmp_path: Path) -> None:
    marks = read_lidc(as_folder(tmp_path))
    assert list(marks.series) == ["1.1", "1.2"]
    assert dict(marks.counts) == {
        "files": 3,
        "ct_messages": 2,
        "xray_messages": 1,
        "unreadable_files": 0,
        "repeated_messages": 0,
        "series": 2,
        "losses": 0,
        "reads": 3,
        "rated_reads": 3,
        "small_nodules": 0,
        "non_nodules": 1,
    }
    assert re.fullmatch(r"157/158\.xml, sha256 [0-9a-f]{64}", marks.sources["1.1"])


def test_what_is_not_there_is_counted_as_nought(tmp_path: Path) -> None:
    counts = read_lidc(as_folder(tmp_path, {"a.xml": X_RAY})).counts
    assert counts.keys() == read_lidc(as_folder(tmp_path)).counts.keys()
    assert (counts["reads"], counts["rated_reads"], counts["small_nodules"]) == (0, 0, 0)


def test_hidden_files_and_those_of_a_mac_are_passed_over(tmp_path: Path) -> None:
    hidden = dict.fromkeys(("__MACOSX/1._a.xml", ".git/a.xml", "b/._a.xml", "a.txt"), "no XML")
    files = {**FILES, **hidden, "deep/er/and/deeper/c.xml": message(series="1.3")}
    (tmp_path / "f" / "empty.xml").mkdir(parents=True)
    for source in (as_folder(tmp_path / "f", files), as_zip(tmp_path / "a.zip", files)):
        marks = read_lidc(source)
        assert (marks.counts["files"], marks.counts["unreadable_files"]) == (4, 0)
        assert list(marks.series) == ["1.1", "1.2", "1.3"]


def test_broken_file_is_listed_and_the_others_are_read(tmp_path: Path) -> None:
    broken = {"0.xml": ONE[:200], "1.xml": "", "2.xml": "<html/>", "3.xml": b"\xff\xfe\x00"}
    marks = read_lidc(as_folder(tmp_path, {**FILES, **broken}))
    assert list(marks.series) == ["1.1", "1.2"]
    assert marks.counts["unreadable_files"] == 4
    lines = loss_lines(marks)
    assert [line.partition(":")[0] for line in lines] == ["0.xml", "1.xml", "2.xml", "3.xml"]
    assert all(line.endswith(": left out") for line in lines)


def test_losses_inside_a_message_name_the_file(tmp_path: Path) -> None:
    files = {"x.xml": message(nodule(roi(), ratings={"malignancy": 0}) + nodule(roi([])))}
    assert loss_lines(read_lidc(as_folder(tmp_path, files)))[0].startswith(
        "x.xml, reader 0, nodule 1"
    )


def test_series_in_two_files_is_read_once(tmp_path: Path) -> None:
    changed = ONE.replace("<malignancy>3<", "<malignancy>4<", 1)
    moved = ONE.replace(">-10.5<", ">-10<", 1)
    files = {"a.xml": ONE, "b.xml": ONE + "\n", "c.xml": changed, "d.xml": moved}
    marks = read_lidc(as_folder(tmp_path, files))
    assert marks.sources["1.1"].startswith("a.xml")
    assert marks.counts["reads"] == 2
    assert loss_lines(marks) == [
        "b.xml: the same marks of the series that a.xml has: left out",
        "c.xml: other marks of the series that a.xml has: left out",
        "d.xml: other marks of the series that a.xml has: left out",
    ]


def test_member_named_twice_in_an_archive_is_read_from_both(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.xml", ONE)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.xml", OTHER)
    assert list(read_lidc(tmp_path / "a.zip").series) == ["1.1", "1.2"]


def test_some_series_are_read_as_they_are_among_all(tmp_path: Path) -> None:
    trap = message(nodule(roi()), series="1.4").replace(
        "<ResponseHeader>",
        "<!-- <SeriesInstanceUid>1.1</SeriesInstanceUid> --><ResponseHeader>",
    )
    in_utf_16 = message(series="1.5").replace("UTF-8", "UTF-16").encode("utf-16")
    late = message(series="1.6").replace("<Resp", "<!---->" + " " * 10_000 + "<Resp")
    more = {"trap.xml": trap, "16.xml": in_utf_16, "late.xml": late, "bad.xml": "<a>"}
    folder = as_folder(tmp_path, {**FILES, **more, "again.xml": OTHER})
    whole = read_lidc(folder)
    assert list(whole.series) == ["1.1", "1.2", "1.4", "1.5", "1.6"]
    for wanted in ([], ["1.1"], ["1.2", "9"], ["1.4"], ["1.5", "1.6"], list(whole.series)):
        marks = read_lidc(folder, wanted)
        assert told_of(marks) == {u: told for u, told in told_of(whole).items() if u in wanted}
        assert marks.sources == {u: s for u, s in whole.sources.items() if u in wanted}
        assert set(marks.losses) <= set(whole.losses)
        assert marks.counts["files"] == whole.counts["files"]


def test_link_to_nothing_is_passed_over(tmp_path: Path) -> None:
    folder = as_folder(tmp_path)
    (folder / "lost.xml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.xml")
    assert read_lidc(folder).counts["files"] == 3


def test_archive_is_found_before_the_folder(tmp_path: Path) -> None:
    assert find_lidc(tmp_path) is None
    folder = as_folder(tmp_path / "LIDC-XML-only")
    assert find_lidc(tmp_path) == folder
    archive = as_zip(tmp_path / "LIDC-XML-only.zip")
    assert find_lidc(tmp_path) == archive
