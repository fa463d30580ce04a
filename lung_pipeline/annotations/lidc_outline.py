# SPDX-License-Identifier: Apache-2.0
"""Where a mark of LIDC's lies: slices, points and outlines, as its XML writes them.

Belongs here: positions, and which of them are plausible. Does not belong here: what an outline
encloses (``contours.py``), and whose it is (``lidc_message.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.contours import Contour
from lung_pipeline.annotations.lidc_xml import children, local_name, text_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_LONGEST_NUMBER = 40
"""In characters; a number that ``text_of`` has cut is longer."""

_OF_NUMBERS = frozenset("0123456789+-.eE")
"""Python's own ``float`` takes "nan", "1_0" and the digits of every script."""

_LARGEST_PIXEL = (1 << 15) - 1
_LARGEST_Z_MM = 1e5


def slice_z_mm(element: _Element) -> float | None:
    """The slice's position, to a thousandth: readers' files write the same slice differently."""
    text = text_of(element, "imageZposition")
    if len(text) > _LONGEST_NUMBER or not _OF_NUMBERS.issuperset(text):
        return None
    try:
        z_mm = float(text)
    except ValueError:
        return None
    return round(z_mm, 3) + 0.0 if abs(z_mm) < _LARGEST_Z_MM else None


def pixel_of(element: _Element) -> tuple[int, int] | None:
    """Column and row of an edge or a locus; None where it names no pixel."""
    # One walk over the children: a file has tens of thousands of points.
    given = {local_name(child): child.text or "" for child in element if not len(child)}
    column, row = _pixel_number(given.get("xCoord", "")), _pixel_number(given.get("yCoord", ""))
    return None if column is None or row is None else (column, row)


def outline_of(roi: _Element, most_pixels: int) -> tuple[Contour | None, int, list[str]]:
    """One outline.

    Args:
        roi: the element.
        most_pixels: of the box around it; a larger one is left out.

    Returns:
        The outline, None where there is none to use; the pixels of its box; and what of it
        could not be used as it stands.
    """
    losses: list[str] = []
    z_mm = slice_z_mm(roi)
    points = [pixel_of(edge) for edge in children(roi, "edgeMap")]
    known = [point for point in points if point is not None]
    if len(known) < len(points):
        losses.append(f"{len(points) - len(known)} points without a pixel: left out")
    if z_mm is None or not known:
        return None, 0, [*losses, "an outline without a slice or without points: left out"]
    pixels = np.asarray(known, dtype=np.int16)
    width, height = (np.ptp(pixels, axis=0).astype(np.int64) + 1).tolist()
    if width * height > most_pixels:
        return None, 0, [*losses, f"an outline of {width} x {height} pixels: too large, left out"]
    inclusion = text_of(roi, "inclusion").upper()
    if inclusion not in ("TRUE", "FALSE"):
        losses.append(f"inclusion {inclusion[:20]!r}: taken as TRUE")
    contour = Contour(z_mm, inclusion != "FALSE", pixels[:, 0], pixels[:, 1])
    return contour, width * height, losses


def _pixel_number(text: str) -> int | None:
    text = text.strip()
    is_number = text.isdecimal() and text.isascii() and len(text) < 6
    return int(text) if is_number and int(text) <= _LARGEST_PIXEL else None
