# SPDX-License-Identifier: Apache-2.0
"""A reader's outline of a nodule, slice by slice, in the scan's own grid of pixels.

The convention of LIDC-IDRI (S. G. Armato et al., Med. Phys. 38, 2011): a reader drew through the
first pixels *outside* the nodule, so the outline itself is not part of it. An outline may also
mark an exclusion, a hole within another one. Columns and rows are those of the source file, slices
are named by their position along the patient's axis.

Belongs here: outlines, and the pixels they enclose. Does not belong here: XML, readers, and the
patient's space (``pixel_frame.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.int64]
"""Pixel numbers along one axis, shape (n,)."""

_WIDTH = 1 << 15
"""More than any column: row and column together become one number."""


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One outline on one slice."""

    z_mm: float
    """Position of the slice in patient space."""

    is_inclusion: bool
    """Whether it encloses nodule (True) or a hole in it."""

    columns: npt.NDArray[np.int16]
    """Columns of the outline's pixels, in the order drawn."""

    rows: npt.NDArray[np.int16]
    """Rows of the same pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelSet:
    """Some pixels of a stack of slices, each once, by slice, row and column."""

    z_mm: npt.NDArray[np.float64]
    """Position of each pixel's slice, shape (n,)."""

    rows: Pixels
    """Its row, shape (n,)."""

    columns: Pixels
    """Its column, shape (n,)."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """One number a pixel, the same for the same pixel of every set, ascending."""
        slices = np.round(self.z_mm * 1000).astype(np.int64)
        return (slices * _WIDTH + self.rows) * _WIDTH + self.columns


def interior(contour: Contour) -> tuple[Pixels, Pixels]:
    """Rows and columns of the pixels an outline encloses, without the outline's own.

    An outline that is not closed is closed by a straight line.
    """
    from PIL import Image, ImageDraw

    row, column = int(contour.rows.min()), int(contour.columns.min())
    height, width = int(contour.rows.max()) - row + 1, int(contour.columns.max()) - column + 1
    if len(contour.rows) < 3 or height < 3 or width < 3:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    picture = Image.new("L", (width, height))
    points = np.column_stack([contour.columns - column, contour.rows - row]).ravel().tolist()
    ImageDraw.Draw(picture).polygon(points, fill=1, outline=0)
    rows, columns = np.nonzero(np.asarray(picture))
    return rows + row, columns + column


def enclosed(contours: Iterable[Contour]) -> PixelSet:
    """The pixels that the outlines of one reader enclose, holes left out.

    The outline of a hole is drawn around it and stays part of the nodule, as the nodule's own
    outline is drawn around the nodule.
    """
    keys: dict[float, Pixels] = {}
    # Holes last: an inclusion drawn after its hole must not fill it.
    for contour in sorted(contours, key=lambda one: not one.is_inclusion):
        rows, columns = interior(contour)
        drawn = rows * _WIDTH + columns
        former = keys.get(contour.z_mm, np.empty(0, np.int64))
        keys[contour.z_mm] = (
            np.union1d(former, drawn) if contour.is_inclusion else np.setdiff1d(former, drawn)
        )
    if not keys:
        return PixelSet(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    slices = sorted(keys)
    z_mm = np.repeat(np.asarray(slices, np.float64), [len(keys[z]) for z in slices])
    rows, columns = np.divmod(np.concatenate([keys[z] for z in slices]), _WIDTH)
    return PixelSet(z_mm, rows, columns)
