# SPDX-License-Identifier: Apache-2.0
"""Where the lungs lie, by classical means: threshold, border clearing, components, closing.

Belongs here: the mask and what is asked of it. Does not belong here: what a scan without lungs
means (``quality.py``), and what is looked for in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.cells import cell_means, step_for
from lung_pipeline.ct.geometry import Points, VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.lung_air import find_aerated, find_trunk
from lung_pipeline.ct.lung_border import Border
from lung_pipeline.ct.lung_closing import closed_by_side

BoxIrc = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Start and stop of a half-open box of voxels."""

CELL_MM = 2.5
"""A cell's edge, as near as whole voxels come: a chest is then one to four million cells."""

SMALLEST_ML = 100.0
"""Less air than this is no chest: a newborn's lungs at rest hold about as much (some 30 ml to
each kg of weight)."""

SMALLEST_HEIGHT_MM = 60.0
"""Lungs of less height are the bases that the top of an abdominal scan shows, not a chest."""

CUT_SHARE = 0.05
"""Lungs are cut off where the outermost slice has more than this share of the largest slice's
area: 15 to 25 cm2 in a grown person, more than a windpipe (2 to 5 cm2) or the tip of a lung."""


@dataclass(frozen=True, eq=False)
class Lungs:
    """The lungs of one volume, on a coarser grid than its own."""

    mask: npt.NDArray[np.bool_]
    """Coarse mask, shape (index, row, column); a cell covers ``step_irc`` voxels."""

    step_irc: tuple[int, int, int]
    """Voxels of the volume to a cell along each axis."""

    grid: VoxelGrid
    """The volume's own grid, in canonical order."""

    @property
    def cell_irc_mm(self) -> tuple[float, float, float]:
        """The size of a cell along each axis."""
        return _times(self.step_irc, self.grid.spacing_irc_mm)

    @property
    def volume_ml(self) -> float:
        """Volume of the mask; 0 where there is no lung."""
        return float(self._areas.sum() * np.prod(self.cell_irc_mm) / 1000.0)

    @property
    def is_cut_below(self) -> bool:
        """Whether the lungs go on beyond the first slice (towards the feet)."""
        return bool(self._areas[0] > CUT_SHARE * self._areas.max())

    @property
    def is_cut_above(self) -> bool:
        """Whether the lungs go on beyond the last slice (towards the head)."""
        return bool(self._areas[-1] > CUT_SHARE * self._areas.max())

    def box(self, margin_mm: float, slices: range | None = None) -> BoxIrc | None:
        """The box of voxels around the lungs (of some slices) with a margin; None without lung.

        The margin counts along all three axes: slices just below the lungs have a box too, and
        the box of some slices holds what the slices within the margin show. It never leaves the
        volume, nor the slices asked for, which must be in order and without gaps.
        """
        shape, spacing = self.grid.shape_irc, self.grid.spacing_irc_mm
        wanted = range(shape[0]) if slices is None else slices
        margin = [int(np.ceil(margin_mm / step_mm)) for step_mm in spacing]
        cells = slice(
            max(wanted.start - margin[0], 0) // self.step_irc[0],
            -(-(wanted.stop + margin[0]) // self.step_irc[0]),
        )
        seen = (self._areas[cells] > 0, self._rows[cells].any(0), self._columns[cells].any(0))
        if not seen[0].any():
            return None
        ends = []
        for axis, (along, first) in enumerate(zip(seen, (cells.start, 0, 0), strict=True)):
            marked = np.flatnonzero(along) + first
            start = int(marked[0]) * self.step_irc[axis] - margin[axis]
            stop = int(marked[-1] + 1) * self.step_irc[axis] + margin[axis]
            low, high = (wanted.start, wanted.stop) if axis == 0 else (0, shape[axis])
            ends.append((max(start, low, 0), min(stop, high, shape[axis])))
        (i0, i1), (r0, r1), (c0, c1) = ends
        return ((i0, r0, c0), (i1, r1, c1)) if i0 < i1 else None

    def depth_mm(self, points_irc: npt.ArrayLike) -> Points:
        """How deep in the lungs each point lies: to the border; negative outside, shape (n,).

        Where the scan ends within the lungs is no border. Right to about a cell. Without lung
        every point is infinitely far outside.
        """
        corner_mm = (np.asarray(points_irc, dtype=np.float64).reshape(-1, 3) + 0.5) * np.asarray(
            self.grid.spacing_irc_mm
        )
        return self._border.depth_mm(corner_mm)

    @cached_property
    def _border(self) -> Border:
        return Border.of(self.mask, self.cell_irc_mm)

    @cached_property
    def _areas(self) -> npt.NDArray[np.int64]:
        """Cells of lung in each layer of cells."""
        return self.mask.sum(axis=(1, 2), dtype=np.int64)

    @cached_property
    def _rows(self) -> npt.NDArray[np.bool_]:
        """For each layer of cells, which of its rows hold lung."""
        return np.asarray(self.mask.any(axis=2))

    @cached_property
    def _columns(self) -> npt.NDArray[np.bool_]:
        """For each layer of cells, which of its columns hold lung."""
        return np.asarray(self.mask.any(axis=1))


def find_lungs(voxels_hu: VoxelsHu, grid: VoxelGrid) -> Lungs:
    """Find the lungs of a chest CT in canonical order; an empty mask where there are none.

    Air enclosed by the trunk, without gas and the windpipe above, closed with a ball so that
    nodules, vessels and masses at the wall are inside. What is less than a newborn's lungs, or
    lower than the bases that an abdominal scan shows, is none. A lung that the picture's side
    cuts open is taken for the air around the body.

    Args:
        voxels_hu: the CT in canonical order, shape (index, row, column).
        grid: where its voxels lie; a tilted one is looked at along its own axes.
    """
    step = step_for(grid.spacing_irc_mm, CELL_MM)
    cell_irc_mm = _times(step, grid.spacing_irc_mm)
    cells_hu = cell_means(voxels_hu, step)
    trunk = find_trunk(cells_hu)
    aerated = find_aerated(cells_hu, trunk, float(np.prod(cell_irc_mm)) / 1000.0)
    lungs = Lungs(closed_by_side(aerated, trunk, cell_irc_mm), step, grid)
    height_mm = np.count_nonzero(aerated.any(axis=(1, 2))) * cell_irc_mm[0]
    if lungs.volume_ml < SMALLEST_ML or height_mm < SMALLEST_HEIGHT_MM:
        return Lungs(np.zeros_like(aerated), step, grid)
    return lungs


def _times(
    step_irc: tuple[int, int, int], spacing_irc_mm: tuple[float, float, float]
) -> tuple[float, float, float]:
    index, row, column = (n * mm for n, mm in zip(step_irc, spacing_irc_mm, strict=True))
    return index, row, column
