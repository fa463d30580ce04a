# SPDX-License-Identifier: Apache-2.0
"""One XML file of LIDC-IDRI: what up to four readers marked in one CT series.

A message is a ``LidcReadMessage`` with one ``readingSession`` for each reader. A session holds
nodules of 3 mm and more (``unblindedReadNodule`` with outlines and characteristics), smaller
nodules (the same element, one point, no characteristics) and other findings (``nonNodule``).
The X-ray studies of the collection have ``IdriReadMessage`` files, which are told apart here.

What of a message cannot be used is listed with its reason; the rest goes on.

Belongs here: the names of LIDC's elements, and what a whole mark is. Does not belong here: parsing
(``lidc_xml.py``), positions (``lidc_outline.py``), files and archives (``lidc.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lung_pipeline.annotations.contours import Contour
from lung_pipeline.annotations.lidc_outline import outline_of, pixel_of, slice_z_mm
from lung_pipeline.annotations.lidc_xml import (
    add_numbers,
    children,
    local_name,
    no_message,
    parsed,
    refuse_more_than,
    text_of,
    texts,
)

if TYPE_CHECKING:
    from lxml.etree import _Element

CHARACTERISTICS = (
    "subtlety",
    "internalStructure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
)
"""What readers rated of a nodule of 3 mm and more, by LIDC's names; every scale begins at 1."""

HIGHEST_MALIGNANCY = 5
"""Highly suspicious. Calcification ends at 6, the others at 5."""

NUM_READERS = 4
"""Readers of a series in LIDC-IDRI."""

SMALL_NODULE, NON_NODULE = "nodule < 3 mm", "non-nodule"
"""The two kinds of a mark that is one point."""

_CT, _XRAY = "LidcReadMessage", "IdriReadMessage"
_HIGHEST = {**dict.fromkeys(CHARACTERISTICS, HIGHEST_MALIGNANCY), "calcification": 6}
_SERIES_UID = re.compile("[0-9.]{1,64}")

_MOST_ELEMENTS = {"unblindedReadNodule": 500, "nonNodule": 5_000, "roi": 10_000}
"""In one message; the real ones have at most 195, 147 and 376."""

_MOST_PIXELS = 1 << 21
"""Of the boxes around a message's outlines: a mistyped point can span a billion.

The real messages have at most 0.3 million.
"""


@dataclass(frozen=True, slots=True)
class Read:
    """One reader's mark of one nodule of 3 mm and more."""

    reader: int
    """Which of the readers, from 0."""

    name: str
    """The reader's own name for the nodule."""

    characteristics: Mapping[str, int]
    """His ratings by the names of ``CHARACTERISTICS``; one he did not give is absent."""

    contours: tuple[Contour, ...]
    """His outlines; at least one has more than a point."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One reader's mark of something else: a point."""

    reader: int
    """Which of the readers, from 0."""

    kind: str
    """``SMALL_NODULE`` or ``NON_NODULE``."""

    column: int
    """Column of the point in the source file."""

    row: int
    """Its row."""

    z_mm: float
    """Its slice's position in patient space."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that could not be used as it stands, and why."""

    place: str
    """The file, and where in it."""

    reason: str
    """What is wrong, and what became of it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One file."""

    series_uid: str
    """The CT series that was read; empty for an X-ray study."""

    is_ct: bool
    """Whether it is about a CT."""

    reads: tuple[Read, ...] = ()
    """In the order of the file."""

    marks: tuple[Mark, ...] = ()
    """In the order of the file: sessions, and each session's marks as they stand."""

    losses: tuple[Loss, ...] = ()
    """What was left out of it."""


def read_message(xml: bytes, place: str) -> Message:
    """Read one message.

    Args:
        xml: the file's bytes.
        place: the file's name, for errors and losses.

    Raises:
        AnnotationError: no well-formed XML, one with a document type, none of LIDC's, no single
            series, or more elements than readers can have drawn.
    """
    root = parsed(xml, place)
    kind = local_name(root)
    if kind == _XRAY:
        return Message("", is_ct=False)
    if kind != _CT:
        raise no_message(f"<{kind}>", place, f"the outermost element must be {_CT} or {_XRAY}")
    return _MessageReader(place).read(root)


class _MessageReader:
    """Walks one message and keeps what it stumbles over."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.losses: list[Loss] = []
        self.pixels_left = _MOST_PIXELS

    def read(self, root: _Element) -> Message:
        series_uid = self._series_uid(root)
        refuse_more_than(root, _MOST_ELEMENTS, self.place)
        sessions = list(children(root, "readingSession"))
        if not sessions:
            self.lose("", "no reader's session: the series has no marks")
        if len(sessions) > NUM_READERS:
            # The real set has one such file: four readers, each with two sessions, in turn.
            self.lose("", f"{len(sessions)} sessions: read as {NUM_READERS} readers' in turn")
        reads: list[Read] = []
        marks: list[Mark] = []
        for number, session in enumerate(sessions):
            for element in session:
                read = self._any_mark(element, number % NUM_READERS)
                if isinstance(read, Read):
                    reads.append(read)
                elif read is not None:
                    marks.append(read)
        return Message(series_uid, True, tuple(reads), tuple(marks), tuple(self.losses))

    def _series_uid(self, root: _Element) -> str:
        found = sorted({uid for uid in texts(root, "SeriesInstanceUid") if uid})
        if len(found) != 1 or not _SERIES_UID.fullmatch(found[0]):
            rule = "a message must name one SeriesInstanceUid, of at most 64 digits and dots"
            raise no_message(", ".join(found[:2]) or "none", self.place, rule)
        return found[0]

    def lose(self, where: str, reason: str) -> None:
        self.losses.append(Loss(f"{self.place}{where}", reason))

    def _any_mark(self, element: _Element, reader: int) -> Read | Mark | None:
        kind = local_name(element)
        if kind == "nonNodule":
            return self._non_nodule(element, reader)
        return self._nodule(element, reader) if kind == "unblindedReadNodule" else None

    def _non_nodule(self, element: _Element, reader: int) -> Mark | None:
        where = f", reader {reader}, non-nodule {text_of(element, 'nonNoduleID')}"
        points = [pixel_of(locus) for locus in children(element, "locus")]
        z_mm = slice_z_mm(element)
        if len(points) != 1 or points[0] is None or z_mm is None:
            self.lose(where, "no single point on a slice: left out")
            return None
        return Mark(reader, NON_NODULE, *points[0], z_mm)

    def _nodule(self, element: _Element, reader: int) -> Read | Mark | None:
        name = text_of(element, "noduleID")
        where = f", reader {reader}, nodule {name}"
        contours = [c for roi in children(element, "roi") if (c := self._contour(roi, where))]
        if not contours:
            self.lose(where, "no outline with a point: left out")
            return None
        ratings = self._characteristics(element, where)
        if max(len(contour.rows) for contour in contours) == 1:
            if ratings:
                self.lose(where, "ratings, but only a point: taken as a nodule < 3 mm")
            if len(contours) > 1:
                self.lose(where, f"{len(contours)} single points: the first is taken")
            only = contours[0]
            return Mark(reader, SMALL_NODULE, int(only.columns[0]), int(only.rows[0]), only.z_mm)
        if "malignancy" not in ratings:
            self.lose(where, "outlines without a malignancy: kept, it says nothing of it")
        return Read(reader, name, ratings, tuple(contours))

    def _characteristics(self, element: _Element, where: str) -> dict[str, int]:
        ratings: dict[str, int] = {}
        refused: list[str] = []
        for given in children(element, "characteristics"):
            refused += add_numbers(given, _HIGHEST, ratings)
        if refused:
            told = ", ".join(refused[: len(CHARACTERISTICS)])
            self.lose(where, f"no rating: {told}; left out")
        return ratings

    def _contour(self, roi: _Element, where: str) -> Contour | None:
        contour, num_pixels, reasons = outline_of(roi, self.pixels_left)
        self.pixels_left -= num_pixels
        for reason in reasons:
            self.lose(where, reason)
        return contour
