# SPDX-License-Identifier: Apache-2.0
"""Archives that a stranger might hand in: names that lead elsewhere, links, damaged ones."""

from __future__ import annotations

import random
import stat
import struct
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_STORED, ZipFile

from damaged_scans import Damage
from whole_scans import chest_hu, contents, write_dicom, write_file, write_zip
from zip_bombs import zip_bombs
from zip_making import Pack, chest_file, odd_entry, packed, patched

TRAVERSALS = [
    "../evil.dcm",
    "../../evil.dcm",
    "a/../../evil.dcm",
    "a/../evil.dcm",
    "..\\evil.dcm",
    "a\\..\\..\\evil.dcm",
    "C:\\evil.dcm",
    "C:evil.dcm",
    "\\\\server\\share\\evil.dcm",
    "//server/evil.dcm",
    "./evil.dcm",
    "a//evil.dcm",
    "a/./evil.dcm",
    "..",
    "NUL",
    "con.dcm",
    "a/COM1.dcm",
    "lpt9",
    "a/aux/evil.dcm",
    "evil.dcm ",
    "evil.dcm.",
    "evil.dcm:stream",
    "ev\nil.dcm",
    "ev\x1b[31mil.dcm",
    "ev\u202eil.dcm",
    "evil\0.dcm",
    "e" * 300 + ".dcm",
    "/".join("abcdefghijklmnopqrst") + "/evil.dcm",
    "~/evil.dcm\x7f",
]

HARMLESS = {4, 12, 28, 30, 32}
"""Bytes of the one entry of a directory that decide nothing: who made it, the time, and lengths
that end with the directory in any case. The voxels' checksum still holds."""


def zip_damages() -> Iterator[Damage]:
    """All of them, by kind."""
    yield from _of_names()
    yield from _of_kinds()
    yield from zip_bombs()
    yield from _of_bytes()
    yield from _of_what_is_in_it()


def _put_odd(archive: ZipFile, name: str, mode: int = 0, content: bytes = b"evil") -> None:
    archive.writestr(odd_entry(name, mode), content)


def _of_names() -> Iterator[Damage]:
    for name in TRAVERSALS:
        put = packed(partial(_put_odd, name=name))
        yield Damage("traversal name", repr(name[:40]), put)

    def absolute(folder: Path) -> Path:
        return packed(partial(_put_odd, name=f"{folder.parent}/evil.dcm"))(folder)

    yield Damage("traversal name", "absolute", absolute)
    for first, second in [
        ("a/b.dcm", "a/b.dcm"),
        ("a/b.dcm", "A/B.DCM"),
        ("a", "a/b.dcm"),
        ("é.dcm", "é.dcm"),
    ]:

        def twice(archive: ZipFile, names: tuple[str, str] = (first, second)) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a name is there already
                for name in names:
                    archive.writestr(odd_entry(name), b"twice")

        yield Damage("doubled name", f"{first} and {second}", packed(twice))


def _of_kinds() -> Iterator[Damage]:
    modes = {
        "link": stat.S_IFLNK,
        "device": stat.S_IFCHR,
        "block": stat.S_IFBLK,
        "pipe": stat.S_IFIFO,
        "socket": stat.S_IFSOCK,
    }
    for name, mode in modes.items():
        put = packed(partial(_put_odd, name="x", mode=mode | 0o777, content=b"../.."))
        yield Damage("traversal name", f"a {name}", put)

    def through_link(archive: ZipFile) -> None:
        archive.writestr(odd_entry("out", stat.S_IFLNK | 0o777), "../../..")
        archive.writestr("out/evil.dcm", b"evil")

    yield Damage("traversal name", "through a link", packed(through_link))
    for bit in (0x1, 0x40):
        yield Damage("wrong type", f"encrypted {bit}", patched(lambda b, bit=bit: _flag(b, bit)))
    bzip: Pack = lambda archive: archive.writestr("x.dcm", b"x" * 99, ZIP_BZIP2)  # noqa: E731
    yield Damage("wrong type", "bzip2", packed(bzip))


def _flag(content: bytes, bit: int) -> bytes:
    """Set a flag of the first entry, in its own header and in the directory."""
    edited = bytearray(content)
    edited[6] |= bit
    edited[content.index(b"PK\x01\x02") + 8] |= bit
    return bytes(edited)


def _of_bytes() -> Iterator[Damage]:
    for percent in (0, 1, 30, 70, 95, 99):
        yield Damage(
            "truncated",
            f"zip to {percent} %",
            patched(lambda b, p=percent: b[: len(b) * p // 100]),
        )
    yield Damage("truncated", "zip by a byte", patched(lambda b: b[:-1]))
    yield Damage(
        "wrong type", "noise as a zip", patched(lambda b: random.Random(1).randbytes(len(b)))
    )
    yield Damage("wrong type", "an end alone", patched(lambda b: b[-22:]))
    yield Damage("truncated", "zip with a hole", patched(_holed))
    yield Damage("wrong type", "64-bit form", patched(_with_locator))
    for offset in (0, 4, 10, 12, 16, 20, 24, 28, 30, 32, 42):

        def flip(content: bytes, offset: int = offset) -> bytes:
            edited = bytearray(content)
            edited[content.index(b"PK\x01\x02") + offset] ^= 0x5A
            return bytes(edited)

        yield Damage(
            "truncated", f"zip's directory, byte {offset}", patched(flip), offset in HARMLESS
        )


def _holed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(64) + content[middle + 64 :]


def _with_locator(content: bytes) -> bytes:
    at = content.rindex(b"PK\5\6")
    return content[:at] + struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1) + content[at:]


def _of_what_is_in_it() -> Iterator[Damage]:
    def put(name: str, content: bytes) -> Pack:
        return lambda archive: archive.writestr(name, content)

    yield Damage("wrong type", "nothing in it", packed(lambda archive: None, with_scan=False))
    yield Damage("wrong type", "no scan in it", packed(put("a.txt", b"no"), with_scan=False))
    yield Damage(
        "two series",
        "two scans in it",
        lambda f: write_zip(
            f / "s.zip", {"a.mha": chest_file()["a.mha"], "b.mha": chest_file()["a.mha"]}
        ),
    )
    yield Damage(
        "harmless", "a text beside the scan", packed(put("read me.txt", b"yes")), is_harmless=True
    )
    yield Damage(
        "harmless",
        "a Mac's shadows",
        packed(put("__MACOSX/._a.mha", b"\0\5\x16\7")),
        is_harmless=True,
    )
    whole = lambda folder: write_zip(folder / "scan.zip", contents(write_dicom(folder / "whole")))  # noqa: E731
    yield Damage("harmless", "a DICOM folder", whole, is_harmless=True)

    def deep(folder: Path) -> Path:
        files = contents(write_dicom(folder / "whole"))
        return write_zip(
            folder / "scan.zip", {f"patient/study/series/{n}": c for n, c in files.items()}
        )

    yield Damage("harmless", "a DICOM folder deep below", deep, is_harmless=True)
    yield Damage("harmless", "a .nii.gz", _stored, is_harmless=True)


def _stored(folder: Path) -> Path:
    scan = write_file(folder / "whole", "a.nii.gz", chest_hu())
    with ZipFile(folder / "scan.zip", "w", ZIP_STORED) as archive:
        archive.write(scan, "a.nii.gz")
    return folder / "scan.zip"
