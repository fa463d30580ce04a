# SPDX-License-Identifier: Apache-2.0
"""What a zip's directory says of its files, judged before any is unpacked.

Belongs here: names, kinds, promised sizes. Does not belong here: the bytes themselves, which need
not keep the promise (``archive``).
Format: PKWARE's APPNOTE 6.3.10, 4.3.16 (end of the directory) and 4.4 (fields).
"""

from __future__ import annotations

import stat
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipInfo

from lung_pipeline.errors import ArchiveError

_END, _END_BYTES, _LONGEST_COMMENT = b"PK\x05\x06", 22, (1 << 16) - 1
_ZIP64_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20

_LARGEST_DIRECTORY_BYTES = 1 << 22
"""Six thousand entries of some hundred bytes are below one MiB. Python makes an object of each
entry before it can be asked how many there are, so a directory of a gigabyte fills the memory."""

_LONGEST_NAME, _DEEPEST = 200, 12
"""Characters of a part of a path, and its parts: what every file system takes."""

_ENCRYPTED = 0x1 | 0x40

_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst")
_ARCHIVE_MARKS = (b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x1f\x8b")
_PACKED_SCAN = ".nii.gz"


def archive_error(path: Path, value: object, rule: str, cure: str) -> ArchiveError:
    """A refusal of the archive."""
    return ArchiveError(value=value, place=path, rule=rule, cure=cure)


def refuse_large_directory(path: Path) -> None:
    """Refuse an archive whose directory would fill the memory as soon as it is opened.

    Raises:
        ArchiveError: absent, no zip, one in the 64-bit form, or with a directory beyond any scan's.
    """
    if not path.is_file():
        raise archive_error(path, "no file", "the archive must exist", "Check the path.")
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(max(size - _END_BYTES - _LONGEST_COMMENT - _LOCATOR_BYTES, 0))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        cure = "Copy the archive again, or pack the scan as a plain zip."
        raise archive_error(path, f"{size} bytes without an end", "it must be a whole zip", cure)
    (directory_bytes,) = struct.unpack_from("<I", tail, at + 12)
    if tail[max(at - _LOCATOR_BYTES, 0) : at].startswith(_ZIP64_LOCATOR):
        rule = "a zip must do without the 64-bit form, which is for more than four gigabytes"
        raise archive_error(path, "the 64-bit form", rule, "Pack the scan alone.")
    if directory_bytes > _LARGEST_DIRECTORY_BYTES:
        rule = f"its directory must have at most {_LARGEST_DIRECTORY_BYTES} bytes"
        raise archive_error(path, directory_bytes, rule, "Pack the scan alone.")


def checked_entries(
    path: Path, entries: Sequence[ZipInfo], most_files: int, most_bytes: int
) -> list[ZipInfo]:
    """The entries that are files, when all of them are such as a scan's would be.

    Raises:
        ArchiveError: too many, too large, and what ``_refuse_odd_*`` name.
    """
    if len(entries) > most_files:
        rule = f"an archive must hold at most {most_files} entries"
        raise archive_error(path, len(entries), rule, "Pack the scan alone.")
    for entry in entries:
        _refuse_odd_name(path, entry)
        _refuse_odd_kind(path, entry)
    files = [entry for entry in entries if not entry.is_dir()]
    _refuse_same_place(path, [entry.filename for entry in files])
    promised = sum(entry.file_size for entry in files)
    if promised > most_bytes:
        rule = f"an archive of its size must unpack to at most {most_bytes} bytes"
        cure = "Pack the scan alone; where it is alone, hand in the folder or file itself."
        raise archive_error(path, promised, rule, cure)
    return files


def refuse_archive_in_archive(path: Path, name: str, beginning: bytes) -> None:
    """Refuse a file that is itself an archive, by its ending or its first bytes.

    Raises:
        ArchiveError: it is one. A ``.nii.gz`` is a scan.
    """
    lower = name.lower()
    if lower.endswith(_PACKED_SCAN):
        return
    if lower.endswith(_ARCHIVES) or beginning.startswith(_ARCHIVE_MARKS):
        cure = "Unpack the inner archive, and pack the scan alone."
        raise archive_error(path, repr(name), "there must be no archive in the archive", cure)


def _refuse_odd_name(path: Path, entry: ZipInfo) -> None:
    """Refuse a name that leads elsewhere, or that some system takes for more than a name."""
    # A name as it stands in the file: Python's own is cut at the first zero byte.
    name = entry.orig_filename
    parts = name.removesuffix("/").split("/")
    reasons = {
        "must not be absolute": name.startswith("/") or bool(PureWindowsPath(name).drive),
        "must not lead upward or stand still": not {"", ".", ".."}.isdisjoint(parts),
        "must have no backslash or colon": "\\" in name or ":" in name,
        "must be printable": not name.isprintable(),
        "must have no part that ends in a dot or a blank": any(p[-1:] in {".", " "} for p in parts),
        "must be no device's name": any(PureWindowsPath(p).is_reserved() for p in parts),
        "must not be longer or deeper than file systems take": len(parts) > _DEEPEST
        or any(len(part.encode("utf-8", "replace")) > _LONGEST_NAME for part in parts),
    }
    for reason, is_so in reasons.items():
        if is_so:
            cure = "Pack the scan again, with plain names below one folder."
            raise archive_error(path, repr(name[:_LONGEST_NAME]), f"a name in it {reason}", cure)


def _refuse_odd_kind(path: Path, entry: ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    reasons = {
        "must be a plain file or folder, no link or device": kind
        not in {0, stat.S_IFREG, stat.S_IFDIR},
        "must not be encrypted": bool(entry.flag_bits & _ENCRYPTED),
        "must be stored or deflated": entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED},
        "must not be an archive": _is_archive(entry),
    }
    for reason, is_so in reasons.items():
        if is_so:
            value = repr(entry.filename[:_LONGEST_NAME])
            cure = "Pack the files themselves again, as a plain zip without a password."
            raise archive_error(path, value, f"each entry {reason}", cure)


def _is_archive(entry: ZipInfo) -> bool:
    name = entry.filename.lower()
    return name.endswith(_ARCHIVES) and not name.endswith(_PACKED_SCAN)


def _refuse_same_place(path: Path, names: Sequence[str]) -> None:
    """Refuse two files at one place; some systems do not tell "A" from "a"."""
    seen: set[str] = set()
    folded = [unicodedata.normalize("NFC", name).casefold() for name in names]
    folders = {str(parent) for one in folded for parent in PurePosixPath(one).parents}
    for name, one in zip(names, folded, strict=True):
        if one in seen or one in folders:
            cure = "Pack the scan again, each file once."
            raise archive_error(path, repr(name), "no two entries may have one place", cure)
        seen.add(one)
