# SPDX-License-Identifier: Apache-2.0
"""What a reader draws around a nodule: for each slice the ring of pixels just outside it.

LIDC's convention (S. G. Armato et al., Med. Phys. 38, 2011): the ring itself is not part of the
nodule. Pixels are those of the file as written: column, row, and the slice's z in patient space.

Belongs here: rings of pixels. Does not belong here: XML.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.phantom.nodules import Form
from lung_pipeline.phantom.shapes import Point

_CLOCKWISE = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
"""The eight neighbours of a pixel as (row, column), in turn."""


@dataclass(frozen=True, slots=True)
class Ring:
    """One slice of a reader's contour."""

    index: int
    """The slice in the file."""

    z_mm: float
    """Its place in patient space."""

    pixels_xy: tuple[tuple[int, int], ...]
    """Column and row of the pixels just outside, in turn; the first is named again at the end."""


def draw_rings(
    form: Form, centre_xyz_mm: Point, grid: VoxelGrid, bias_mm: float
) -> tuple[Ring, ...]:
    """A reader's contour of a form in every slice that cuts it.

    Args:
        form: the shape around its centre.
        centre_xyz_mm: where that is in patient space.
        grid: the grid of the file as written; its axes may be flipped, not turned.
        bias_mm: how far outside the surface this reader draws.
    """
    start, lines = _window(form, centre_xyz_mm, grid, bias_mm)
    distance = form.distance(
        lines[2][None, None, :], lines[1][None, :, None], lines[0][:, None, None]
    )
    rings = []
    for offset, mask in enumerate(distance < bias_mm):
        if not mask.any():
            continue
        index = int(start[0]) + offset
        z_mm = float(grid.irc_to_xyz_mm([[index, 0, 0]])[0, 2])
        pixels = tuple((c + int(start[2]), r + int(start[1])) for r, c in trace(mask))
        rings.append(Ring(index, round(z_mm, 6), pixels))
    return tuple(rings)


def trace(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The closed ring of pixels (row, column) around the largest island of a mask.

    The mask must leave two pixels free at its borders.
    """
    labels, _ = ndimage.label(mask)
    island = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    grown = ndimage.binary_dilation(ndimage.binary_fill_holes(island))
    first_row = int(np.flatnonzero(grown.any(axis=1))[0])
    start = (first_row, int(np.flatnonzero(grown[first_row])[0]))
    ring, turn = [start], 0
    while True:
        here, turn = _step(grown, ring[-1], turn)
        ring.append(here)
        if here == start:
            return ring


def _step(
    grown: npt.NDArray[np.bool_], here: tuple[int, int], turn: int
) -> tuple[tuple[int, int], int]:
    """The next pixel clockwise along the border, and where to begin looking from there."""
    for k in range(8):
        way = (turn + k) % 8
        row, column = here[0] + _CLOCKWISE[way][0], here[1] + _CLOCKWISE[way][1]
        if grown[row, column]:
            return (row, column), (way + 6 if way % 2 == 0 else way + 5) % 8
    return here, turn


def _window(
    form: Form, centre_xyz_mm: Point, grid: VoxelGrid, bias_mm: float
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.float64]]]:
    """First voxel of a box around the form, and its lines (z, y, x) relative to the centre."""
    centre_irc = grid.xyz_mm_to_irc([centre_xyz_mm])[0]
    reach_irc = np.asarray(form.reach_mm[::-1]) + max(bias_mm, 0.0)
    reach_irc = reach_irc / np.asarray(grid.spacing_irc_mm) + 3.0
    start = np.floor(centre_irc - reach_irc).astype(np.int64)
    stop = np.ceil(centre_irc + reach_irc).astype(np.int64) + 1
    start[0], stop[0] = max(start[0], 0), min(stop[0], grid.shape_irc[0])
    lines = []
    for axis in range(3):
        along = np.repeat(centre_irc[None], stop[axis] - start[axis], axis=0)
        along[:, axis] = np.arange(start[axis], stop[axis])
        xyz = grid.irc_to_xyz_mm(along)
        lines.append(xyz[:, 2 - axis] - centre_xyz_mm[2 - axis])
    return start, lines
