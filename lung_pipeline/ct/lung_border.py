# SPDX-License-Identifier: Apache-2.0
"""How far a point lies from the border of a mask: the faces between its cells and the others.

Findings are few and the mask has millions of cells, so the nearest faces are looked up in a tree;
a distance transform of the whole mask takes ten times as long.

Belongs here: distances. Knows neither lungs nor HU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Points

_NEAREST = 12
"""Faces looked at for each point, by their middles: the nearest face is among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Border:
    """The faces between the cells of a mask and those outside it."""

    mask: npt.NDArray[np.bool_]
    """Shape (index, row, column)."""

    cell_irc_mm: tuple[float, float, float]
    """The size of a cell along each axis."""

    half_faces_mm: Points
    """Half the size of each face along each axis, 0 along its normal; shape (n, 3)."""

    tree: Any
    """A ``scipy.spatial.KDTree`` of the faces' middles, in mm from the corner of the mask."""

    @classmethod
    def of(cls, mask: npt.NDArray[np.bool_], cell_irc_mm: tuple[float, float, float]) -> Border:
        """The border of a mask; where the mask ends is no border."""
        from scipy.spatial import KDTree

        cell_mm = np.asarray(cell_irc_mm)
        middles, halves = [], []
        for axis in range(3):
            before, after = (np.moveaxis(mask, axis, 0)[part] for part in (np.s_[:-1], np.s_[1:]))
            faces = np.argwhere(np.moveaxis(before != after, 0, axis))
            offset, half = np.full(3, 0.5), 0.5 * cell_mm
            offset[axis], half[axis] = 1.0, 0.0
            middles.append((faces + offset) * cell_mm)
            halves.append(np.broadcast_to(half, faces.shape))
        tree = KDTree(np.concatenate(middles), balanced_tree=False, compact_nodes=False)
        return cls(mask, cell_irc_mm, np.concatenate(halves), tree)

    def depth_mm(self, points_mm: Points) -> Points:
        """The distance to the border, negative outside the mask, shape (n,).

        Infinite where there is no border. Points off the mask belong to its nearest cell.

        Args:
            points_mm: shape (n, 3), in mm from the corner of the mask's first cell.
        """
        cells = np.floor(points_mm / np.asarray(self.cell_irc_mm)).astype(np.int64)
        cells = np.clip(cells, 0, np.asarray(self.mask.shape) - 1)
        sign = np.where(self.mask[tuple(cells.T)], 1.0, -1.0)
        count = min(_NEAREST, len(self.half_faces_mm))
        if count == 0 or len(points_mm) == 0:
            return sign * np.inf
        _, nearest = self.tree.query(points_mm, k=list(range(1, count + 1)))
        apart_mm = (
            np.abs(points_mm[:, None] - self.tree.data[nearest]) - self.half_faces_mm[nearest]
        )
        return sign * np.linalg.norm(np.maximum(apart_mm, 0.0), axis=2).min(axis=1)
