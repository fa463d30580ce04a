# SPDX-License-Identifier: Apache-2.0
"""Zips: one scan comes out whole, below one folder; all else is refused before it is written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from damaged_scans import Damage
from damaged_zips import zip_damages
from whole_scans import contents, write_dicom, write_file, write_zip
from zip_bombs import zip_bombs
from zip_making import odd_entry

from lung_pipeline.ct import archive_entries
from lung_pipeline.ct.archive import LIMITS, UNPACKED, Limits, unpacked
from lung_pipeline.errors import ArchiveError


def some_zip(tmp_path: Path, files: dict[str, bytes]) -> Path:
    return write_zip(tmp_path / "in" / "scan.zip", files)


@pytest.mark.parametrize(
    ("names", "scan"),
    [
        (["a.mhd", "a.raw"], "a.mhd"),
        (["patient/scans/a.mhd", "patient/scans/a.raw"], "patient/scans/a.mhd"),
        (["deep/a.NII.GZ", "read me.txt"], "deep/a.NII.GZ"),
        (["a.nrrd", "__MACOSX/._a.nrrd", "__MACOSX/b/c.nrrd", ".hidden/d.nrrd"], "a.nrrd"),
    ],
)
def test_the_one_scan_of_an_archive_is_found(tmp_path: Path, names: list[str], scan: str) -> None:
    files = {name: name.encode() for name in names}
    assert unpacked(some_zip(tmp_path, files), tmp_path / "out") == tmp_path / "out/unpacked" / scan
    for name, content in files.items():
        assert (tmp_path / "out" / UNPACKED / name).read_bytes() == content


def test_dicom_folder_comes_out_byte_for_byte(tmp_path: Path) -> None:
    files = contents(write_dicom(tmp_path / "whole"))
    found = unpacked(
        some_zip(tmp_path, {f"p/s/{n}": c for n, c in files.items()}), tmp_path / "out"
    )
    assert found == tmp_path / "out" / UNPACKED / "p" / "s"
    assert contents(found) == files


def test_what_was_unpacked_before_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpacked(some_zip(tmp_path, {"old.nii": b"1"}), out)
    (out / "diagnosis.json").write_text("{}")
    assert unpacked(some_zip(tmp_path, {"new.nii": b"2"}), out) == out / UNPACKED / "new.nii"
    assert sorted(p.name for p in out.rglob("*")) == ["diagnosis.json", "new.nii", UNPACKED]


def test_refusal_leaves_what_was_there(tmp_path: Path) -> None:
    unpacked(some_zip(tmp_path, {"old.nii": b"1"}), tmp_path / "out")
    with pytest.raises(ArchiveError, match="exactly one scan"):
        unpacked(some_zip(tmp_path, {"a.nii": b"2", "b.nii": b"3"}), tmp_path / "out")
    left = [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")]
    assert sorted(left) == [UNPACKED, f"{UNPACKED}/old.nii"]


REFUSED: list[tuple[str, dict[str, bytes], str]] = [
    ("two files", {"b.nii": b"1", "c/a.mha": b"1"}, "one scan: .* got 2: b.nii, c/a.mha"),
    ("no scan", {"a.txt": b"1"}, "exactly one scan: .* got none"),
    ("upward", {"../a.nii": b"1"}, "must not lead upward or stand still, got '../a.nii'"),
    ("a device", {"x/Com1.nii": b"1"}, "must be no device's name, got 'x/Com1.nii'"),
    ("two cases", {"a.nii": b"1", "A.nii": b"1"}, "no two entries may have one place, got 'A.nii'"),
    ("file and folder", {"a": b"1", "a/b.nii": b"1"}, "may have one place, got 'a'"),
    ("a zip by name", {"a.nii": b"1", "b.zip": b"1"}, "must not be an archive, got 'b.zip'"),
    ("a zip by content", {"a.nii": b"PK\3\4"}, "no archive in the archive, got 'a.nii'"),
    ("gzip by content", {"a.dcm": b"\x1f\x8b\x08"}, "no archive in the archive, got 'a.dcm'"),
]


@pytest.mark.parametrize(("files", "told"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_archive_is_refused_with_the_name_that_is_wrong(
    tmp_path: Path, files: dict[str, bytes], told: str
) -> None:
    path = some_zip(tmp_path, {})
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(odd_entry(name), content)
    with pytest.raises(ArchiveError, match=told) as caught:
        unpacked(path, tmp_path / "out")
    assert caught.value.place == str(path)
    assert list(tmp_path.rglob("*.nii")) == []


OF_ENTRIES = [
    one
    for one in zip_damages()
    if one.kind in {"traversal name", "doubled name"} or one.name[:5] in {"encry", "bzip2"}
]


@pytest.mark.parametrize("damage", OF_ENTRIES, ids=lambda one: f"{one.kind}: {one.name!a}")
def test_entry_that_leads_elsewhere_is_refused_by_its_name_before_any_is_written(
    tmp_path: Path, damage: Damage
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ArchiveError, match=r"a name in it must|each entry must|no two entries may"):
        unpacked(damage.make(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(most_files=2), "at most 2 entries, got 3"),
        (Limits(most_bytes=299), "at most 299 bytes, got 300"),
        (Limits(most_files=3, most_bytes=300), None),
    ],
)
def test_limits_are_held_to_the_file_and_the_byte(
    tmp_path: Path, limits: Limits, told: str | None
) -> None:
    path = some_zip(tmp_path, {"a.nii": bytes(100), "b": bytes(100), "c": bytes(100)})
    if told is None:
        unpacked(path, tmp_path / "out", limits)
        return
    with pytest.raises(ArchiveError, match=told):
        unpacked(path, tmp_path / "out", limits)


def test_ratio_is_asked_for_above_sixteen_mebibytes_only() -> None:
    assert LIMITS.most_bytes_of(1) == 1 << 24
    assert LIMITS.most_bytes_of(1 << 20) == 100 << 20
    assert LIMITS.most_bytes_of(1 << 30) == LIMITS.most_bytes


def test_stream_longer_than_its_entry_says_is_not_written_further(tmp_path: Path) -> None:
    (lies,) = (one for one in zip_bombs() if one.name == "promises 1000 bytes")
    (tmp_path / "in").mkdir()
    with pytest.raises(ArchiveError):
        unpacked(lies.make(tmp_path / "in"), tmp_path / "out")
    assert list((tmp_path / "out").rglob("*")) == []


def test_stream_shorter_than_its_entry_says_is_refused(tmp_path: Path) -> None:
    # Its checksum holds: the entry alone says too much.
    (lies,) = (one for one in zip_damages() if one.name == "zip's directory, byte 24")
    with pytest.raises(ArchiveError, match=r"'a.mha' must unpack to \d+ bytes, as its entry says"):
        unpacked(lies.make(tmp_path), tmp_path / "out")


def test_directory_of_a_million_entries_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("the directory was read")

    (large,) = (one for one in zip_bombs() if one.name == "a million entries")
    path = large.make(tmp_path)
    monkeypatch.setattr("lung_pipeline.ct.archive.ZipFile", never)
    with pytest.raises(ArchiveError, match="its directory must have at most 4194304 bytes"):
        unpacked(path, tmp_path / "out")


def test_absent_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="must exist"):
        unpacked(tmp_path / "none.zip", tmp_path / "out")


def test_directory_limit_has_room_for_the_most_files() -> None:
    # 46 bytes of fields, a UID of 64 as a name below three folders of that length.
    assert LIMITS.most_files * (46 + 4 * 65) < archive_entries._LARGEST_DIRECTORY_BYTES


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_full_disk_is_not_told_as_a_damaged_archive(tmp_path: Path) -> None:
    import resource

    path = some_zip(tmp_path, {"a.nii": bytes(100_000)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            unpacked(path, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "out").rglob("*")) == []


def test_folder_that_cannot_be_made_is_not_told_as_a_damaged_archive(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file stands there")
    with pytest.raises(OSError, match=str(tmp_path / "out")):
        unpacked(some_zip(tmp_path, {"a.nii": b"1"}), tmp_path / "out")


def test_scan_of_each_format_goes_through_a_zip(tmp_path: Path) -> None:
    scan = write_file(tmp_path / "whole", "packed.mhd")
    found = unpacked(some_zip(tmp_path, contents(scan)), tmp_path / "out")
    assert contents(found) == contents(scan)
