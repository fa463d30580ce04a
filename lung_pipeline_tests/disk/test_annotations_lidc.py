# SPDX-License-Identifier: Apache-2.0
"""Folders and archives of LIDC's XML: whole, broken, doubled, encrypted, and phantoms' own."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lidc_messages import message, nodule, non_nodule, roi

from lung_pipeline.annotations import lidc
from lung_pipeline.annotations.lidc import LidcMarks, find_lidc, read_lidc
from lung_pipeline.annotations.lidc_message import CHARACTERISTICS, Message
from lung_pipeline.annotations.reads import marked_twice, reads_table
from lung_pipeline.errors import AnnotationError
from lung_pipeline.phantom.doubtful import doubtful_places
from lung_pipeline.phantom.folder import XML_FOLDER
from lung_pipeline.phantom.lidc_xml import make_xml
from lung_pipeline.phantom.plan import ScanPlan, plan_scan
from lung_pipeline.phantom.ratings import Reading

ONE = message(nodule(roi()), nodule(roi([(5, 4), (9, 4), (9, 8), (5, 8)])), series="1.1")
OTHER = message(nodule(roi(z=3), ratings={"malignancy": 5}) + non_nodule(), series="1.2")
X_RAY = message(kind="IdriReadMessage", series="")
FILES = {"157/158.xml": ONE, "157/159.XML": OTHER, "185/x.xml": X_RAY}


def _folder(out: Path, files: Mapping[str, str | bytes] = FILES) -> Path:
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return out


def _zip(out: Path, files: Mapping[str, str | bytes] = FILES, method: int = 8) -> Path:
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out


def _told(marks: LidcMarks) -> dict[str, object]:
    """All that was read of each series, in a form that can be compared."""
    return {series_uid: _plain(found) for series_uid, found in marks.series.items()}


def _plain(found: Message) -> object:
    reads = [
        (
            read.reader,
            read.name,
            dict(read.characteristics),
            [(c.z_mm, c.is_inclusion, c.columns.tolist(), c.rows.tolist()) for c in read.contours],
        )
        for read in found.reads
    ]
    return reads, found.marks, found.losses


def _losses(marks: LidcMarks) -> list[str]:
    lines = [f"{loss.place}: {loss.reason}" for loss in marks.losses]
    assert all(line.isprintable() and len(line) < 1500 for line in lines)
    assert marks.counts["losses"] == len(lines)
    return lines


def test_folder_and_archive_say_the_same(tmp_path: Path) -> None:
    # In the one "a.b" sorts before "a", in the other after it; one series stands in both.
    files = {**FILES, "a/1.xml": ONE, "a.b/1.xml": OTHER, "note.txt": "no xml"}
    folder, archive = _folder(tmp_path / "f", files), _zip(tmp_path / "a.zip", files)
    one, other = read_lidc(folder), read_lidc(archive)
    assert _told(one) == _told(other)
    assert (one.losses, one.counts, one.sources) == (other.losses, other.counts, other.sources)
    assert one.counts["files"] == 5
    assert one.counts["repeated_messages"] == 2


def test_messages_are_counted_by_what_they_are(tmp_path: Path) -> None:
    marks = read_lidc(_folder(tmp_path))
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
    counts = read_lidc(_folder(tmp_path, {"a.xml": X_RAY})).counts
    assert counts.keys() == read_lidc(_folder(tmp_path)).counts.keys()
    assert (counts["reads"], counts["rated_reads"], counts["small_nodules"]) == (0, 0, 0)


def test_hidden_files_and_those_of_a_mac_are_passed_over(tmp_path: Path) -> None:
    hidden = dict.fromkeys(("__MACOSX/1._a.xml", ".git/a.xml", "b/._a.xml", "a.txt"), "no XML")
    files = {**FILES, **hidden, "deep/er/and/deeper/c.xml": message(series="1.3")}
    (tmp_path / "f" / "empty.xml").mkdir(parents=True)
    for source in (_folder(tmp_path / "f", files), _zip(tmp_path / "a.zip", files)):
        marks = read_lidc(source)
        assert (marks.counts["files"], marks.counts["unreadable_files"]) == (4, 0)
        assert list(marks.series) == ["1.1", "1.2", "1.3"]


def test_broken_file_is_listed_and_the_others_are_read(tmp_path: Path) -> None:
    broken = {"0.xml": ONE[:200], "1.xml": "", "2.xml": "<html/>", "3.xml": b"\xff\xfe\x00"}
    marks = read_lidc(_folder(tmp_path, {**FILES, **broken}))
    assert list(marks.series) == ["1.1", "1.2"]
    assert marks.counts["unreadable_files"] == 4
    lines = _losses(marks)
    assert [line.partition(":")[0] for line in lines] == ["0.xml", "1.xml", "2.xml", "3.xml"]
    assert all(line.endswith(": left out") for line in lines)


def test_losses_inside_a_message_name_the_file(tmp_path: Path) -> None:
    files = {"x.xml": message(nodule(roi(), ratings={"malignancy": 0}) + nodule(roi([])))}
    assert _losses(read_lidc(_folder(tmp_path, files)))[0].startswith("x.xml, reader 0, nodule 1")


def test_series_in_two_files_is_read_once(tmp_path: Path) -> None:
    changed = ONE.replace("<malignancy>3<", "<malignancy>4<", 1)
    moved = ONE.replace(">-10.5<", ">-10<", 1)
    files = {"a.xml": ONE, "b.xml": ONE + "\n", "c.xml": changed, "d.xml": moved}
    marks = read_lidc(_folder(tmp_path, files))
    assert marks.sources["1.1"].startswith("a.xml")
    assert marks.counts["reads"] == 2
    assert _losses(marks) == [
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
    folder = _folder(tmp_path, {**FILES, **more, "again.xml": OTHER})
    whole = read_lidc(folder)
    assert list(whole.series) == ["1.1", "1.2", "1.4", "1.5", "1.6"]
    for wanted in ([], ["1.1"], ["1.2", "9"], ["1.4"], ["1.5", "1.6"], list(whole.series)):
        marks = read_lidc(folder, wanted)
        assert _told(marks) == {u: told for u, told in _told(whole).items() if u in wanted}
        assert marks.sources == {u: s for u, s in whole.sources.items() if u in wanted}
        assert set(marks.losses) <= set(whole.losses)
        assert marks.counts["files"] == whole.counts["files"]


@pytest.mark.parametrize("name", ["absent", "empty", "other.txt", "no_xml.zip"])
def test_source_that_holds_no_xml_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.txt").write_text("PK")
    _zip(tmp_path / "no_xml.zip", {"a.txt": "x"})
    with pytest.raises(AnnotationError, match=r"LIDC-XML-only\.zip") as caught:
        read_lidc(tmp_path / name)
    assert str(caught.value).isprintable()


def test_archive_cut_short_is_refused(tmp_path: Path) -> None:
    content = _zip(tmp_path / "a.zip").read_bytes()
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
    marks = read_lidc(_damaged(_zip(tmp_path / "a.zip", method=method), change))
    assert list(marks.series) == ["1.2"]
    (line,) = _losses(marks)
    assert line.startswith("157/158.xml: ")
    assert words in line


def test_archives_with_flipped_bytes_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    whole = _zip(tmp_path / "a.zip").read_bytes()
    rng = np.random.default_rng(7)
    told: list[str] = []
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=3):
            content[place] = rng.integers(256)
        (tmp_path / "a.zip").write_bytes(content)
        try:
            _losses(read_lidc(tmp_path / "a.zip"))
        except AnnotationError as error:
            told.append(str(error))
    assert 0 < len(told) < 300
    assert all(line.isprintable() for line in told)


def test_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    _zip(tmp_path / "a.zip", {"\u00e9.xml": ONE})
    content = (tmp_path / "a.zip").read_bytes().replace("\u00e9".encode(), b"\xff\xff")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(AnnotationError, match="archive must be whole"):
        read_lidc(tmp_path / "a.zip")


def test_file_that_is_too_long_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lidc, "MOST_BYTES", len(ONE))
    files = {"a.xml": ONE, "b.xml": OTHER + " " * len(ONE)}
    for source in (_folder(tmp_path / "f", files), _zip(tmp_path / "a.zip", files)):
        marks = read_lidc(source)
        assert list(marks.series) == ["1.1"]
        assert f"at most {len(ONE):,} bytes" in _losses(marks)[0]


def test_file_whose_name_is_no_line_is_told_on_one(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "f", {"a\nb\u202e.xml": ONE, "c\nd.xml": "<a>"})
    undecodable = os.fsencode(folder) + b"/\xff.xml"
    Path(os.fsdecode(undecodable)).write_text(OTHER)
    marks = read_lidc(folder)
    assert list(marks.series) == ["1.1", "1.2"]
    assert _losses(marks)[0].startswith("c d.xml: ")
    assert all(source.isprintable() for source in marks.sources.values())


def test_link_to_nothing_is_passed_over(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "lost.xml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.xml")
    assert read_lidc(folder).counts["files"] == 3


def test_archive_is_found_before_the_folder(tmp_path: Path) -> None:
    assert find_lidc(tmp_path) is None
    folder = _folder(tmp_path / "LIDC-XML-only")
    assert find_lidc(tmp_path) == folder
    archive = _zip(tmp_path / "LIDC-XML-only.zip")
    assert find_lidc(tmp_path) == archive


@pytest.fixture(scope="module")
def plans() -> list[ScanPlan]:
    return [plan_scan(3, subset, scan, "small") for subset in range(2) for scan in range(3)]


@pytest.fixture(scope="module")
def phantoms(plans: list[ScanPlan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / XML_FOLDER
    names = (f"{plan.subset:03d}/{plan.scan:03d}.xml" for plan in plans)
    return _folder(folder, dict(zip(names, map(make_xml, plans), strict=True)))


def _planned(plan: ScanPlan) -> list[list[Reading]]:
    """For each nodule its readings, then those of what one reader drew."""
    drawn = [d.reading for d in doubtful_places(plan) if d.reading is not None]
    return [*map(list, plan.patient.readings), *([reading] for reading in drawn)]


def _ratings(reading: Reading) -> tuple[int, ...]:
    known = {**dataclasses.asdict(reading), "internalStructure": 1}
    return (reading.reader, *(known[name] for name in CHARACTERISTICS))


def test_phantoms_marks_are_read_as_they_were_planned(
    plans: list[ScanPlan], phantoms: Path
) -> None:
    marks = read_lidc(phantoms)
    assert (_losses(marks), list(marks.series)) == ([], sorted(p.series_uid for p in plans))
    for plan in plans:
        found = marks.series[plan.series_uid]
        planned = [_ratings(reading) for nodule in _planned(plan) for reading in nodule]
        read = [
            (read.reader, *(read.characteristics[name] for name in CHARACTERISTICS))
            for read in found.reads
        ]
        assert sorted(read) == sorted(planned)
        points = sum(place.reading is None for place in doubtful_places(plan))
        assert len(found.marks) == points


def test_phantoms_nodules_are_the_planned_ones(plans: list[ScanPlan], phantoms: Path) -> None:
    reads, losses = reads_table(read_lidc(phantoms))
    assert losses == []
    assert marked_twice(reads) == []
    columns = ["reader", *CHARACTERISTICS]
    for plan in plans:
        of_series = reads[reads["series_uid"] == plan.series_uid]
        groups = [
            sorted(map(tuple, group[columns].to_numpy().tolist()))
            for _, group in of_series.groupby("lidc_nodule")
        ]
        planned = [sorted(map(_ratings, nodule)) for nodule in _planned(plan)]
        assert sorted(groups) == sorted(planned)


def test_phantoms_nodules_lie_where_they_were_planned(
    plans: list[ScanPlan], phantoms: Path
) -> None:
    reads, _ = reads_table(read_lidc(phantoms))
    for plan in plans:
        of_series = reads[reads["series_uid"] == plan.series_uid]
        centres = plan.to_patient_space(
            np.array([n.centre_xyz_mm for n in plan.patient.nodules]).reshape(-1, 3)
        )
        for centre, nodule_ in zip(centres, plan.patient.nodules, strict=True):
            _, row, column = plan.file_grid.xyz_mm_to_irc([centre])[0]
            away = np.hypot(of_series["column"] - column, of_series["row"] - row)
            close = of_series[(away < 3) & ((of_series["z_mm"] - centre[2]).abs() < 3)]
            assert len(close) >= 3, nodule_.diameter_mm


def test_phantoms_archive_and_folder_give_one_table(phantoms: Path, tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", phantoms))
    one, _ = reads_table(read_lidc(phantoms))
    other, _ = reads_table(read_lidc(packed))
    pd.testing.assert_frame_equal(one, other)
