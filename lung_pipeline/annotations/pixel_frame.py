# SPDX-License-Identifier: Apache-2.0
"""From the readers' pixels to the patient's space: with the CT, or without it.

The readers' XML names a column, a row and a slice position, never a millimetre along the row. With
the CT its grid says the rest. Without it LUNA16's own tables do, for most series: the rows of
annotations_excluded.csv whose diameter is unknown are the small nodules and non-nodules of the
XML, one row each in the order of the file, in patient space (so in 883 of its 884 series). Two
such points give the size of a pixel and the place of the first, exactly.

Belongs here: frames, and how one is fitted. Does not belong here: what is done with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Points, VoxelGrid, canonical_axes

if TYPE_CHECKING:
    import pandas as pd

    from lung_pipeline.annotations.lidc_message import Mark

FROM_CT, FROM_EXCLUDED = "ct", "excluded findings"
"""How a frame came about."""

LARGEST_RESIDUAL_MM = 0.05
"""How far a mark may lie from where the fitted frame puts it; the real set's lie within 1e-9."""

SAME_SLICE_MM = 0.02
"""How far apart the XML and LUNA16's table may put the same slice: both are rounded."""


class PixelFrame(Protocol):
    """Where pixels lie in the patient."""

    @property
    def source(self) -> str:
        """``FROM_CT`` or ``FROM_EXCLUDED``."""

    def to_xyz_mm(self, columns: npt.ArrayLike, rows: npt.ArrayLike, z_mm: npt.ArrayLike) -> Points:
        """Pixels, fractions allowed, on slices by their position, to patient space, (n, 3)."""


@dataclass(frozen=True, slots=True)
class GridFrame:
    """The frame of a CT whose grid, as its file has it, is known."""

    original_grid: VoxelGrid
    """The grid of the source file, before axes were turned."""

    @property
    def source(self) -> str:
        """See ``PixelFrame``."""
        return FROM_CT

    def to_xyz_mm(self, columns: npt.ArrayLike, rows: npt.ArrayLike, z_mm: npt.ArrayLike) -> Points:
        """See ``PixelFrame``. A slice's position is that of its first pixel, as in DICOM."""
        first, second = self.original_grid.irc_to_xyz_mm([[0, 0, 0], [1, 0, 0]])[:, 2]
        indices = (np.asarray(z_mm, dtype=np.float64) - first) / (second - first)
        return self.original_grid.irc_to_xyz_mm(np.column_stack([indices, rows, columns]))


@dataclass(frozen=True, slots=True)
class FittedFrame:
    """The frame of an untilted scan, from marks that are known in both spaces."""

    origin_x_mm: float
    """Where column 0 lies."""

    origin_y_mm: float
    """Where row 0 lies."""

    pixel_mm: float
    """From one column to the next, and from one row to the next; negative if they run back."""

    @property
    def source(self) -> str:
        """See ``PixelFrame``."""
        return FROM_EXCLUDED

    def to_xyz_mm(self, columns: npt.ArrayLike, rows: npt.ArrayLike, z_mm: npt.ArrayLike) -> Points:
        """See ``PixelFrame``."""
        x_mm = self.origin_x_mm + self.pixel_mm * np.asarray(columns, dtype=np.float64)
        y_mm = self.origin_y_mm + self.pixel_mm * np.asarray(rows, dtype=np.float64)
        return np.column_stack([x_mm, y_mm, np.asarray(z_mm, dtype=np.float64)])


def has_readers_pixels(original_grid: VoxelGrid) -> bool:
    """Whether a file's columns and rows can be those of the DICOM slices the readers saw.

    They can where slices are stacked along the patient's length, and columns and rows run both
    along the patient's axes or both against them, as in every CT series of LIDC-IDRI. One alone
    turned round is the work of a converter: dcm2niix turns rows. The stack may run either way.
    """
    change = canonical_axes(original_grid)
    _, rows_flipped, columns_flipped = change.flipped
    return change.order == (0, 1, 2) and rows_flipped == columns_flipped


def fit_frame(marks: Sequence[Mark], excluded: pd.DataFrame) -> FittedFrame | None:
    """The frame in which a series' marks lie where its excluded findings do.

    Args:
        marks: all points of the series' message, in its order.
        excluded: the series' rows of ``luna.read_excluded``, in the file's order.

    Returns:
        None where the two do not fit one to one, or are too few to tell the size of a pixel.
    """
    points = excluded[excluded["diameter_mm"] < 0]
    if len(points) != len(marks) or len(marks) < 2:
        return None
    slices_mm = np.array([mark.z_mm for mark in marks])
    if np.abs(slices_mm - points["z_mm"].to_numpy()).max() > SAME_SLICE_MM:
        return None
    pixels = np.array([(mark.column, mark.row) for mark in marks], dtype=np.float64)
    return _least_squares(pixels, points[["x_mm", "y_mm"]].to_numpy())


def _least_squares(pixels: Points, points_xy_mm: Points) -> FittedFrame | None:
    """One pixel size and two origins for all points; None where that leaves a residual."""
    number = len(pixels)
    zero, one = np.zeros(number), np.ones(number)
    unknowns = np.block([[pixels[:, :1], one[:, None], zero[:, None]],
                         [pixels[:, 1:], zero[:, None], one[:, None]]])  # fmt: skip
    wanted = points_xy_mm.T.ravel()
    solution, _, rank, _ = np.linalg.lstsq(unknowns, wanted, rcond=None)
    if rank < 3 or np.abs(unknowns @ solution - wanted).max() > LARGEST_RESIDUAL_MM:
        return None
    pixel_mm, origin_x_mm, origin_y_mm = solution.tolist()
    return FittedFrame(origin_x_mm, origin_y_mm, pixel_mm)
