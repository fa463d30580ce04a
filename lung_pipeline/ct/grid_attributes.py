# SPDX-License-Identifier: Apache-2.0
"""A grid as it stands in the attributes of what we store: plain lists under names with units.

Belongs here: the names, there and back. Does not belong here: which file they stand in
(``store.py``, ``ome_zarr.py``).
"""

from __future__ import annotations

from typing import Any

from lung_pipeline.ct.geometry import VoxelGrid


def attributes_of(grid: VoxelGrid) -> dict[str, Any]:
    """A grid as JSON takes it; ``grid_from`` gives the same grid back, to the last bit."""
    return {
        "shape_irc": list(grid.shape_irc),
        "spacing_irc_mm": list(grid.spacing_irc_mm),
        "origin_xyz_mm": list(grid.origin_xyz_mm),
        "direction": [list(row) for row in grid.direction],
    }


def grid_from(attributes: dict[str, Any]) -> VoxelGrid:
    """The grid that stands in attributes.

    Raises:
        GeometryError: what stands there is no grid.
        KeyError, TypeError, ValueError: something is missing or of another shape.
    """
    direction: Any = tuple(tuple(row) for row in attributes["direction"])
    index, row, column = attributes["shape_irc"]
    index_mm, row_mm, column_mm = attributes["spacing_irc_mm"]
    x_mm, y_mm, z_mm = attributes["origin_xyz_mm"]
    return VoxelGrid(
        shape_irc=(index, row, column),
        spacing_irc_mm=(index_mm, row_mm, column_mm),
        origin_xyz_mm=(x_mm, y_mm, z_mm),
        direction=direction,
    )
