# SPDX-License-Identifier: Apache-2.0
"""The outline of what was found, as a transparent layer that a page lays over a picture.

A layer of its own, because the picture below stays as the scanner gave it, and the page can take
the outline away. Belongs here: which pixels are outline, and their colour. Does not belong here:
the pictures below (``overlay.py``), and the colours of the truth (``truth_overlay.py``).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.overlay import PIXEL_MM, RING_COLOR_RGB

CLEAR, NODULE, OTHER = 0, 1, 2
"""What a pixel of a layer is: nothing, the outline of a nodule, or that of another finding."""

NODULE_RGB = RING_COLOR_RGB
"""The amber of the ring around a nodule."""

OTHER_RGB = (125, 180, 255)
"""A light blue, which amber is never taken for."""

Plane = npt.NDArray[np.bool_]
"""The pixels of a picture that a mask covers, shape (row, column)."""

Layer = npt.NDArray[np.uint8]
"""For each pixel ``CLEAR``, ``NODULE`` or ``OTHER``, shape (height, width)."""


def outline(mask: Plane) -> Plane:
    """The pixels beside a mask that share an edge with one of its own, and are none of its own.

    They lie outside, so that no pixel of the finding is hidden; a hole has an outline too.
    """
    beside = np.zeros_like(mask)
    beside[1:] |= mask[:-1]
    beside[:-1] |= mask[1:]
    beside[:, 1:] |= mask[:, :-1]
    beside[:, :-1] |= mask[:, 1:]
    return beside & ~mask


def outline_layer(masks: Sequence[tuple[Plane, int]], shape_rc: tuple[int, int]) -> Layer:
    """The outlines of masks, each ``NODULE`` or ``OTHER``; where two meet, the first one stays."""
    layer = np.full(shape_rc, CLEAR, dtype=np.uint8)
    for mask, kind in reversed(masks):
        layer[outline(mask)] = kind
    return layer


def layer_uri(layer: Layer) -> str:
    """A layer as a PNG inside a ``data:`` address: opaque on an outline, clear elsewhere."""
    from PIL import Image

    image = Image.fromarray(layer)
    image.putpalette([0, 0, 0, *NODULE_RGB, *OTHER_RGB])
    png = io.BytesIO()
    image.save(png, format="PNG", transparency=CLEAR)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode("ascii")


def on_slice(mask: FindingMask, index: int, shape_rc: tuple[int, int]) -> Plane:
    """Which pixels of the axial slice ``index`` of the volume belong to a finding."""
    plane = np.zeros(shape_rc, dtype=np.bool_)
    slices, rows, columns = mask.box
    if slices.start <= index < slices.stop:
        plane[rows, columns] = mask.voxels[index - slices.start]
    return plane


def on_cutout(
    mask: FindingMask,
    center_irc: tuple[float, float, float],
    spacing_irc_mm: tuple[float, float, float],
    num_pixels: int,
) -> Plane:
    """Which pixels of the axial cut-out around a point belong to a finding.

    Args:
        mask: the finding's voxels.
        center_irc: the point in the middle of the cut-out, as for ``overlay.cutouts``.
        spacing_irc_mm: distance of voxel centres along index, row and column.
        num_pixels: edge of the cut-out.

    Returns:
        Shape (num_pixels, num_pixels); a pixel is that of the voxel it lies in, so the steps of
        the mask stay to be seen: its surface is not known any finer.
    """
    steps_mm = (np.arange(num_pixels) - (num_pixels - 1) / 2) * PIXEL_MM
    index, row, column = center_irc
    _, row_mm, column_mm = spacing_irc_mm
    start_index, start_row, start_column = mask.start_irc
    voxel_index = int(np.floor(index + 0.5)) - start_index
    rows = np.floor(row + steps_mm / row_mm + 0.5).astype(np.int64) - start_row
    columns = np.floor(column + steps_mm / column_mm + 0.5).astype(np.int64) - start_column
    plane = np.zeros((num_pixels, num_pixels), dtype=np.bool_)
    num_slices, num_rows, num_columns = mask.voxels.shape
    if not 0 <= voxel_index < num_slices:
        return plane
    has_row, has_column = (rows >= 0) & (rows < num_rows), (columns >= 0) & (columns < num_columns)
    inside = np.ix_(rows[has_row], columns[has_column])
    plane[np.ix_(has_row, has_column)] = mask.voxels[voxel_index][inside]
    return plane
