# SPDX-License-Identifier: Apache-2.0
"""Which parts of a volume are looked at: for a few slices at a time, the box around the lungs.

Belongs here: the boxes. Does not belong here: where the lungs are (``ct/lungs.py``), and looking.
"""

from __future__ import annotations

from lung_pipeline.ct.geometry import Triple
from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.segmentation.inference import Part

RUN_SLICES = 8
"""Slices that share a box: fewer hug the lungs closer, and ask for the box more often."""

MARGIN_MM = 18.0
"""The box reaches so far beyond the lungs: zeros beyond it are felt some twenty pixels inward. With
10 mm centres of findings at the wall move by a voxel, and with them what is thought of them."""

MULTIPLE = 16
"""Boxes begin and end at such rows and columns: the network halves the picture, and which pixels it
puts together must not depend on where a box begins. With odd beginnings a quarter of the marked
voxels are others (docs/results.md)."""


def parts_to_look_at(shape_irc: Triple, lungs: Lungs | None) -> list[Part]:
    """Boxes of the volume, a run of slices each, that hold the lungs with a margin.

    Args:
        shape_irc: of the volume.
        lungs: where the lungs lie; None looks at all of it.
    """
    runs = (
        range(start, min(start + RUN_SLICES, shape_irc[0]))
        for start in range(0, shape_irc[0], RUN_SLICES)
    )
    parts = (_part(shape_irc, lungs, run) for run in runs)
    return [part for part in parts if part is not None]


def _part(shape_irc: Triple, lungs: Lungs | None, run: range) -> Part | None:
    slices = slice(run.start, run.stop)
    if lungs is None:
        return slices, slice(0, shape_irc[1]), slice(0, shape_irc[2])
    box = lungs.box(MARGIN_MM, run)
    if box is None:
        return None
    start, stop = box
    rows, columns = (_widened(start[axis], stop[axis], shape_irc[axis]) for axis in (1, 2))
    return slices, rows, columns


def _widened(start: int, stop: int, size: int) -> slice:
    """To multiples, within the picture."""
    return slice(start // MULTIPLE * MULTIPLE, min(-(-stop // MULTIPLE) * MULTIPLE, size))
