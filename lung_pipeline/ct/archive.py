# SPDX-License-Identifier: Apache-2.0
"""A zip from a stranger, unpacked to the one scan in it, or refused in one line.

Belongs here: the bytes: how many come out, counted as they come and never taken from a header, and
where they are put: below one folder, and nowhere else. Does not belong here: what the archive's
directory says (``archive_entries``), and reading the scan.
Format: PKWARE's APPNOTE 6.3.10.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from lung_pipeline.ct.archive_entries import (
    archive_error,
    checked_entries,
    refuse_archive_in_archive,
    refuse_large_directory,
)
from lung_pipeline.ct.reading import scans_in
from lung_pipeline.writing import written_whole

UNPACKED = "unpacked"
"""The folder below ``into`` that an archive's files lie in."""

_BLOCK_BYTES = 1 << 20
"""Unpacked at once."""

_SMALL_BYTES = 1 << 24
"""Up to here no ratio is asked for: a header of zeros packs a thousandfold and harms nobody."""


_DAMAGES = (
    BadZipFile,
    EOFError,
    OSError,
    NotImplementedError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Python's reader raises on damaged archives."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may unpack to."""

    most_bytes: int = 2 << 30
    """Of all its files together: a volume of the largest size, and as much beside it."""

    most_files: int = 6000
    """The largest series, and what lies beside it."""

    largest_ratio: float = 100.0
    """Unpacked to packed. CTs pack two- to fivefold; deflate can do no more than 1032."""

    def most_bytes_of(self, packed_bytes: int) -> int:
        """What an archive of so many bytes may unpack to."""
        return min(self.most_bytes, max(int(packed_bytes * self.largest_ratio), _SMALL_BYTES))


LIMITS = Limits()
"""For a scan that a person hands in."""


def unpacked(path: Path, into: Path, limits: Limits = LIMITS) -> Path:
    """Unpack an archive below a folder, and find the one scan in it.

    Args:
        path: the zip.
        into: the folder; made where it is absent. What was unpacked there before is replaced.
        limits: what is let through.

    Returns:
        What ``read_ct`` takes: a folder of DICOM files, or a file.

    Raises:
        ArchiveError: no zip or a damaged one, too many files or bytes, an entry that would lead
            elsewhere, is no plain file, or comes twice; no scan in it, or several. Then nothing is
            left below ``into`` that was not there before.
        OSError: it cannot be written, as on a full disk, which is not the archive's fault.
    """
    with _opened(path) as archive:
        most_bytes = limits.most_bytes_of(path.stat().st_size)
        entries = checked_entries(path, archive.infolist(), limits.most_files, most_bytes)
        with written_whole(into / UNPACKED, is_flushed=False) as temporary:
            temporary.mkdir()
            _unpack(path, archive, entries, temporary)
            _only_scan(path, temporary)
    return _only_scan(path, into / UNPACKED)


def _opened(path: Path) -> ZipFile:
    with _damages_in_words(path):
        refuse_large_directory(path)
        return ZipFile(path)


@contextlib.contextmanager
def _damages_in_words(path: Path) -> Iterator[None]:
    """Around what reads the archive, and nothing that writes."""
    try:
        yield
    except _DAMAGES as error:
        rule = "the archive must be a whole zip"
        cure = "Pack the scan again, as a plain zip."
        raise archive_error(path, f"'{error}'", rule, cure) from None


def _unpack(path: Path, archive: ZipFile, entries: Sequence[ZipInfo], folder: Path) -> None:
    """Write each file; directories are made for the files in them, empty ones not at all."""
    for entry in entries:
        target = folder / entry.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            found = sum(file.write(block) for block in _blocks(path, archive, entry))
        if found != entry.file_size:
            rule = f"{entry.filename!r} must unpack to {entry.file_size} bytes, as its entry says"
            raise archive_error(path, found, rule, "Pack the scan again: the archive is damaged.")


def _blocks(path: Path, archive: ZipFile, entry: ZipInfo) -> Iterator[bytes]:
    """No more than is promised, which was judged, whatever the stream would give."""
    found = 0
    with _damages_in_words(path), archive.open(entry) as stream:
        while found <= entry.file_size and (block := stream.read(_BLOCK_BYTES)):
            if found == 0:
                refuse_archive_in_archive(path, entry.filename, block)
            found += len(block)
            yield block


def _only_scan(path: Path, folder: Path) -> Path:
    visible = [p for p in folder.rglob("*") if p.is_dir() and not _is_hidden(p, folder)]
    scans = sorted({scan for each in (folder, *visible) for scan in scans_in(each)})
    if len(scans) == 1:
        return scans[0]
    names = ", ".join(scan.relative_to(folder).as_posix() for scan in scans)
    found = f"{len(scans)}: {names}" if scans else "none"
    rule = "an archive must hold exactly one scan: a DICOM folder, or a file that read_ct knows"
    raise archive_error(path, found, rule, "Pack one series alone, with all its files.")


def _is_hidden(path: Path, folder: Path) -> bool:
    """Whether ``scans_in`` would pass over it, or a folder it lies in."""
    return any(part[0] in "._~" for part in path.relative_to(folder).parts)
