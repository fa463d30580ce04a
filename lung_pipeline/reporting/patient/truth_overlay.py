# SPDX-License-Identifier: Apache-2.0
"""The thesis's picture of what was found and what is there: 512 x 512, three colours over grey.

Grey is the lung window, black 0 and white 1, the same in red, green and blue. A voxel that was
found or is marked by the readers shows the mean of its grey and its colour, so that its tissue
stays visible below. Red is a false positive (found, not marked), green a true positive (both),
orange a false negative (marked, not found). All values lie within 0 and 1.

Belongs here: this picture. Does not belong here: which slices are shown (``truth_views.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import AIR_HU
from lung_pipeline.reporting.overlay import LUNG_WINDOW_HU
from lung_pipeline.reporting.patient.outline import Plane

EDGE_PIXELS = 512
"""Edge of the picture: that of the slices of most scanners."""

FALSE_POSITIVE_RGB = (1.0, 0.0, 0.0)
TRUE_POSITIVE_RGB = (0.0, 1.0, 0.0)
FALSE_NEGATIVE_RGB = (1.0, 0.5, 0.0)
"""Red, green and orange, within 0 and 1."""

COLOR_SHARE = 0.5
"""How much of a coloured voxel is its colour; the rest is its grey."""

TruthPicture = npt.NDArray[np.float32]
"""RGB within 0 and 1, shape (512, 512, 3); the first row is on top."""


def truth_picture(slice_hu: npt.NDArray[Any], found_mask: Plane, true_mask: Plane) -> TruthPicture:
    """The picture of one axial slice.

    A slice of another size is enlarged or shrunk, in proportion and without interpolation, to fit;
    what it leaves free is air.

    Args:
        slice_hu: shape (row, column).
        found_mask: voxels of findings, same shape.
        true_mask: voxels of the readers' marks, same shape.
    """
    darkest_hu, brightest_hu = LUNG_WINDOW_HU
    onto = onto_square(slice_hu.shape)
    hu = _laid(slice_hu, onto, AIR_HU).astype(np.float32)
    found, true = _laid(found_mask, onto, False), _laid(true_mask, onto, False)
    grey = ((hu - darkest_hu) / (brightest_hu - darkest_hu)).clip(0, 1)
    picture = np.repeat(grey[..., None], 3, axis=2)
    for kind, rgb in (
        (found & ~true, FALSE_POSITIVE_RGB),
        (found & true, TRUE_POSITIVE_RGB),
        (true & ~found, FALSE_NEGATIVE_RGB),
    ):
        color = np.asarray(rgb, dtype=np.float32)
        picture[kind] += np.float32(COLOR_SHARE) * (color - picture[kind])
    return picture


def onto_square(shape_rc: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each row and column of the picture the slice's row and column in it, or -1."""
    num_rows, num_columns = shape_rc
    scale = EDGE_PIXELS / max(num_rows, num_columns)
    return _taken(num_rows, scale), _taken(num_columns, scale)


def _taken(size: int, scale: float) -> npt.NDArray[np.int64]:
    free_pixels = (EDGE_PIXELS - size * scale) / 2
    taken = np.floor((np.arange(EDGE_PIXELS) + 0.5 - free_pixels) / scale).astype(np.int64)
    return np.where((taken >= 0) & (taken < size), taken, -1)


def _laid(
    plane: npt.NDArray[Any],
    onto: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    outside: float,
) -> npt.NDArray[Any]:
    rows, columns = onto
    inside = (rows >= 0)[:, None] & (columns >= 0)[None, :]
    return np.where(inside, plane[np.ix_(rows, columns)], plane.dtype.type(outside))
