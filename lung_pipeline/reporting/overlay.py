# SPDX-License-Identifier: Apache-2.0
"""Pictures of a CT as radiologists look at it.

Volumes come in canonical order (index grows to the head, row to the back, column to the patient's
left), so a picture is upright without knowing the patient: axial with the patient's left on the
picture's right and the front up, coronal with the left on the right and the head up, sagittal with
the front on the left and the head up. Pixels are square. What lies outside the volume is air.

Belongs here: grey values and marks on them. Does not belong here: pages (``patient/report.py``).
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import AIR_HU, VoxelsHu

LUNG_WINDOW_HU = (-1350.0, 150.0)
"""Shown from black to white: the usual lung window, width 1500 HU, level -600 HU."""

PIXEL_MM = 0.25
"""Edge of a cut-out's pixel: finer than any scanner's, so that interpolation stays invisible."""

RING_COLOR_RGB = (255, 196, 61)
"""Amber: seen on black lung and on white bone alike, by colour-blind readers too."""

RING_GAP_MM = 2.0
"""The ring keeps this far from the finding, so that it never hides the margin."""

_RING_WIDTH_PIXELS = 1.6
_RING_OPEN_DEGREES = 25.0
"""The ring is open toward the four sides, where a radiologist follows vessels into the finding."""

_SPLINE_REACH = 6
"""Voxels beyond a cut-out that cubic interpolation can still feel."""

Picture = npt.NDArray[np.uint8]
"""Grey, shape (height, width), or RGB, shape (height, width, 3); the first row is on top."""


def window_picture(
    voxels_hu_2d: npt.NDArray[Any], window: tuple[float, float] = LUNG_WINDOW_HU
) -> Picture:
    """HU of one plane, shape (height, width), as grey values: window[0] is black, [1] white."""
    darkest_hu, brightest_hu = window
    share = (np.asarray(voxels_hu_2d, dtype=np.float64) - darkest_hu) / (brightest_hu - darkest_hu)
    return np.rint(share.clip(0, 1) * 255).astype(np.uint8)


def cutouts(
    voxels_hu: VoxelsHu,
    center_irc: tuple[float, float, float],
    spacing_irc_mm: tuple[float, float, float],
    size_mm: float = 50.0,
) -> dict[str, Picture]:
    """Three square planes through a point, resampled to pixels of ``PIXEL_MM``.

    Args:
        voxels_hu: shape (index, row, column), in canonical order.
        center_irc: the point, fractions allowed; it comes to lie in the middle of the middle pixel.
        spacing_irc_mm: distance of voxel centres along index, row and column.
        size_mm: edge of the planes.

    Returns:
        "axial", "coronal" and "sagittal", each grey, shape (n, n) with n odd.
    """
    from scipy.ndimage import spline_filter

    half = round(size_mm / 2 / PIXEL_MM)
    steps_mm = np.arange(-half, half + 1) * PIXEL_MM
    box, box_center = _box(voxels_hu, center_irc, spacing_irc_mm, half * PIXEL_MM)
    spline = spline_filter(box)
    toward_head, across = steps_mm[::-1, None], steps_mm[None, :]
    planes_irc_mm: dict[str, tuple[Any, Any, Any]] = {
        "axial": (0.0, steps_mm[:, None], across),
        "coronal": (toward_head, 0.0, across),
        "sagittal": (toward_head, across, 0.0),
    }
    return {
        name: window_picture(_plane(spline, box_center, offsets_mm, spacing_irc_mm))
        for name, offsets_mm in planes_irc_mm.items()
    }


def axial_slice(
    voxels_hu: VoxelsHu, index: float, spacing_irc_mm: tuple[float, float, float]
) -> Picture:
    """The whole slice nearest to an index, with square pixels as fine as the finer of the two."""
    nearest = int(np.clip(np.floor(index + 0.5), 0, len(voxels_hu) - 1))
    picture = window_picture(voxels_hu[nearest])
    _, row_mm, column_mm = spacing_irc_mm
    if row_mm == column_mm:
        return picture
    from PIL import Image

    pixel_mm = min(row_mm, column_mm)
    height, width = picture.shape
    size = (round(width * column_mm / pixel_mm), round(height * row_mm / pixel_mm))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def ring(
    picture: Picture,
    diameter_mm: float,
    pixel_mm: float = PIXEL_MM,
    center_rc: tuple[float, float] | None = None,
) -> Picture:
    """Four thin arcs around a finding, ``RING_GAP_MM`` outside its diameter.

    Args:
        picture: grey, shape (height, width).
        diameter_mm: of the finding.
        pixel_mm: edge of a pixel.
        center_rc: row and column of the finding; by default the middle of the picture.

    Returns:
        RGB, shape (height, width, 3), smooth at the edges of the arcs.
    """
    height, width = picture.shape
    row, column = center_rc or ((height - 1) / 2, (width - 1) / 2)
    down, right = np.arange(height)[:, None] - row, np.arange(width)[None, :] - column
    radius_pixels = (diameter_mm / 2 + RING_GAP_MM) / pixel_mm
    beside_ring = np.abs(np.hypot(down, right) - radius_pixels) - _RING_WIDTH_PIXELS / 2
    degrees_from_axis = 45 - np.abs(np.degrees(np.arctan2(down, right)) % 90 - 45)
    opacity = np.clip(0.5 - beside_ring, 0, 1) * (degrees_from_axis > _RING_OPEN_DEGREES)
    grey = picture[..., None].astype(np.float64)
    mixed = grey + opacity[..., None] * (np.asarray(RING_COLOR_RGB) - grey)
    return np.rint(mixed).astype(np.uint8)


def data_uri(picture: Picture) -> str:
    """A picture as a PNG inside a ``data:`` address, so that a page needs no other file."""
    from PIL import Image

    png = io.BytesIO()
    Image.fromarray(picture).save(png, format="PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode("ascii")


def _box(
    voxels_hu: VoxelsHu,
    center_irc: tuple[float, float, float],
    spacing_irc_mm: tuple[float, float, float],
    half_mm: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The voxels around a point, padded with air, and where the point lies among them."""
    center = np.asarray(center_irc, dtype=np.float64)
    reach = np.ceil(half_mm / np.asarray(spacing_irc_mm)).astype(int) + _SPLINE_REACH
    start = np.floor(center).astype(int) - reach
    stop = start + 2 * reach + 2
    inside_start, inside_stop = start.clip(0, voxels_hu.shape), stop.clip(0, voxels_hu.shape)
    inside = voxels_hu[tuple(map(slice, inside_start, inside_stop))]
    # Clipped, because a readers' mark may lie wholly beside a cropped volume: then all is air.
    before = (inside_start - start).clip(0, stop - start)
    padding = list(zip(before, stop - start - before - inside.shape, strict=True))
    return np.pad(inside.astype(np.float64), padding, constant_values=AIR_HU), center - start


def _plane(
    spline: npt.NDArray[np.float64],
    center_irc: npt.NDArray[np.float64],
    offsets_irc_mm: tuple[Any, Any, Any],
    spacing_irc_mm: tuple[float, float, float],
) -> npt.NDArray[np.float64]:
    """HU on a plane: cubic where the grid is coarser than the picture, so without blocks."""
    from scipy.ndimage import map_coordinates

    steps = zip(center_irc, offsets_irc_mm, spacing_irc_mm, strict=True)
    points = [center + offset_mm / spacing_mm for center, offset_mm, spacing_mm in steps]
    grid = np.broadcast_arrays(*points)
    return np.asarray(map_coordinates(spline, grid, order=3, mode="nearest", prefilter=False))
