# SPDX-License-Identifier: Apache-2.0
"""The readers' marks of LIDC-IDRI, from a folder of XML or straight from ``LIDC-XML-only.zip``.

A file that is no message, or a part of one that cannot be used, is listed with its reason and
costs nobody else's marks. So is a series that stands in several files: TCIA's own set has six such
series in 23 files, every time with the same marks.

Belongs here: which files are read, and one message a series. Does not belong here: what stands in
a file (``lidc_message.py``) and whose marks are one nodule (``reads.py``).
"""

from __future__ import annotations

import hashlib
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.annotations.lidc_message import (
    NON_NODULE,
    SMALL_NODULE,
    Loss,
    Message,
    read_message,
)
from lung_pipeline.annotations.lidc_xml import plain
from lung_pipeline.errors import AnnotationError

LIDC_NAMES = ("LIDC-XML-only.zip", "LIDC-XML-only")
"""What TCIA's archive is called, and the folder it becomes when unpacked."""

MOST_BYTES = 16_000_000
"""The longest file that is read; the longest of the real set has 2.3 million bytes.

Of elements with nothing in them, so many bytes become half a gigabyte when parsed.
"""

_HEAD_BYTES = 8192
"""A message names its series before its first mark, within the first kilobyte."""

_LONGEST_PLACE = 1000

_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
"""What ``zipfile`` raises of an archive that is cut or changed."""

_FOREIGN = (RuntimeError, NotImplementedError)
"""And of one that is encrypted, or packed in a way it does not know."""

_SERIES = re.compile(rb"<SeriesInstanceU[iI][dD]>\s*([0-9.]+)\s*<")

_Read = Callable[[int], bytes]
_File = tuple[str, _Read]


@dataclass(frozen=True, slots=True)
class LidcMarks:
    """What the readers marked."""

    series: Mapping[str, Message]
    """One message for each CT series, sorted by series."""

    losses: tuple[Loss, ...]
    """What could not be used as it stands, in the files' order."""

    counts: Mapping[str, int]
    """Files and what was in them."""

    sources: Mapping[str, str]
    """For each series the file its message came from and that file's SHA-256."""


NO_MARKS = LidcMarks({}, (), {}, {})
"""What there is to know where there is no XML."""


def find_lidc(raw: Path) -> Path | None:
    """The readers' XML in the folder of the raw data; None where there is none."""
    return next((raw / name for name in LIDC_NAMES if (raw / name).exists()), None)


def read_lidc(source: Path, series_uids: Collection[str] | None = None) -> LidcMarks:
    """Read all messages, or those of some series.

    Args:
        source: a zip archive, or a folder with XML files at any depth.
        series_uids: the series to read; None for all.

    Raises:
        AnnotationError: the source is absent, no archive, or holds no XML file.
    """
    reading = _Reading()
    for place, read in _xml_files(source):
        reading.add(place, read, series_uids)
    if not reading.counts["files"]:
        raise _unfit("none", source, "there must be XML files in it")
    return reading.done()


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.series: dict[str, Message] = {}
        self.sources: dict[str, str] = {}
        self.losses: list[Loss] = []
        self.counts: Counter[str] = Counter()

    def add(self, place: str, read: _Read, wanted: Collection[str] | None) -> None:
        self.counts["files"] += 1
        try:
            if wanted is not None and _is_of_another(read(_HEAD_BYTES), wanted):
                return
            xml = _whole(read, place)
            message = read_message(xml, place)
        except AnnotationError as error:
            self.counts["unreadable_files"] += 1
            self.losses.append(Loss(place, f"{error.rule}, got {error.value}: left out"))
            return
        self.counts["ct_messages" if message.is_ct else "xray_messages"] += 1
        if message.is_ct and (wanted is None or message.series_uid in wanted):
            self._keep(place, message, hashlib.sha256(xml).hexdigest())

    def _keep(self, place: str, message: Message, sha256: str) -> None:
        first = self.series.get(message.series_uid)
        if first is None:
            self.series[message.series_uid] = message
            self.sources[message.series_uid] = f"{place}, sha256 {sha256}"
            self.losses += message.losses
            return
        self.counts["repeated_messages"] += 1
        same = "the same marks" if _digest(first) == _digest(message) else "other marks"
        kept = self.sources[message.series_uid].rpartition(",")[0]
        self.losses.append(Loss(place, f"{same} of the series that {kept} has: left out"))

    def done(self) -> LidcMarks:
        kinds = Counter(reads=0, rated_reads=0, small_nodules=0, non_nodules=0)
        for message in self.series.values():
            kinds["reads"] += len(message.reads)
            kinds["rated_reads"] += sum("malignancy" in r.characteristics for r in message.reads)
            kinds["small_nodules"] += sum(mark.kind == SMALL_NODULE for mark in message.marks)
            kinds["non_nodules"] += sum(mark.kind == NON_NODULE for mark in message.marks)
        names = ("files", "ct_messages", "xray_messages", "unreadable_files", "repeated_messages")
        counts = {name: self.counts[name] for name in names}
        counts |= {"series": len(self.series), "losses": len(self.losses), **kinds}
        series = dict(sorted(self.series.items()))
        return LidcMarks(series, tuple(self.losses), counts, dict(sorted(self.sources.items())))


def _is_of_another(head: bytes, wanted: Collection[str]) -> bool:
    """Whether a file is surely about other series; it is not parsed, a subset needs a tenth."""
    named = _SERIES.search(head)
    # In a comment or a CDATA section the name would mean nothing.
    return (
        named is not None and b"<!" not in head[: named.start()] and named[1].decode() not in wanted
    )


def _digest(message: Message) -> str:
    """A hash of all marks: two messages with the same have been copied."""
    digest = hashlib.sha256(repr(message.marks).encode())
    for read in message.reads:
        digest.update(f"{read.reader};{sorted(read.characteristics.items())};".encode())
        for contour in read.contours:
            digest.update(f"{contour.z_mm};{contour.is_inclusion};".encode())
            digest.update(contour.columns.tobytes() + contour.rows.tobytes())
    return digest.hexdigest()


def _xml_files(source: Path) -> Iterator[_File]:
    """The name of each XML file, sorted, and how to read up to so many bytes of it."""
    if source.is_dir():
        # By the whole name, as in an archive: a path sorts by its parts.
        named = {path.relative_to(source).as_posix(): path for path in source.rglob("*")}
        for name in sorted(filter(_is_xml, named)):
            if named[name].is_file():
                yield plain(name, _LONGEST_PLACE), _reader_of_file(named[name])
    elif zipfile.is_zipfile(source):
        yield from _zipped_files(source)
    else:
        found = "another file" if source.exists() else "nothing"
        raise _unfit(found, source, "the readers' XML must be a folder or a zip archive")


def _zipped_files(source: Path) -> Iterator[_File]:
    try:
        archive = zipfile.ZipFile(source)
    except (*_BROKEN, *_FOREIGN) as error:
        raise _unfit(f"'{error}'", source, "the archive must be whole") from error
    with archive:
        members = [member for member in archive.infolist() if _is_xml(member.filename)]
        for member in sorted(members, key=lambda one: one.filename):
            place = plain(member.filename, _LONGEST_PLACE)
            yield place, _reader_of_member(archive, member, place)


def _reader_of_file(path: Path) -> _Read:
    def read(num_bytes: int) -> bytes:
        try:
            with path.open("rb") as stream:
                return stream.read(num_bytes)
        except OSError as error:
            raise _unfit(f"'{error}'", path, "the file must be readable") from error

    return read


def _reader_of_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str) -> _Read:
    def read(num_bytes: int) -> bytes:
        try:
            with archive.open(member) as stream:
                return stream.read(num_bytes)
        except _BROKEN as error:
            raise _unfit(f"'{error}'", place, "the archive's file must be whole") from error
        except _FOREIGN as error:
            raise _unfit(f"'{error}'", place, "the archive's file must be a plain one") from error

    return read


def _whole(read: _Read, place: str) -> bytes:
    xml = read(MOST_BYTES + 1)
    if len(xml) > MOST_BYTES:
        raise _unfit("a longer one", place, f"a message must have at most {MOST_BYTES:,} bytes")
    return xml


def _is_xml(name: str) -> bool:
    parts = name.split("/")
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return parts[-1].lower().endswith(".xml") and not hidden


def _unfit(value: str, place: object, rule: str) -> AnnotationError:
    cure = "Give TCIA's LIDC-XML-only.zip, or the folder it unpacks to."
    told = plain(str(place), _LONGEST_PLACE)
    return AnnotationError(value=plain(value, 200), place=told, rule=rule, cure=cure)
