# SPDX-License-Identifier: Apache-2.0
"""Which marks lie near which, each series for itself, in one search over all series.

A fourth coordinate keeps the series apart: it is the number of the series times a distance no
patient has. Marks of one series then have their true distance, marks of two series never meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

_SERIES_APART_MM = 1e7
"""Between two series along the fourth coordinate: ten kilometres."""


def nearest(
    table: pd.DataFrame, among: pd.DataFrame, within_mm: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each row of a table the position of the nearest row of the same series in another.

    Args:
        table: rows with series_uid, x_mm, y_mm, z_mm.
        among: the other table, with the same columns.
        within_mm: how far away it may lie.

    Returns:
        The positions in ``among``, and whether there is one; where not, the position means nothing.
    """
    if table.empty or among.empty:
        return np.zeros(len(table), dtype=np.int64), np.zeros(len(table), dtype=np.bool_)
    points, others = _points(table, among)
    distance, position = _tree(others).query(points, distance_upper_bound=within_mm)
    found = np.isfinite(distance)
    return np.where(found, position, 0).astype(np.int64), found


def inside_any(
    table: pd.DataFrame, balls: pd.DataFrame, radius_mm: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """For each row of a table, whether it lies in a ball of the same series, border included.

    Args:
        table: rows with series_uid, x_mm, y_mm, z_mm.
        balls: the balls' centres, in the same columns.
        radius_mm: the balls' radii, shape (number of balls,).
    """
    inside = np.zeros(len(table), dtype=np.bool_)
    if table.empty or balls.empty:
        return inside
    points, centres = _points(table, balls)
    for members in _tree(points).query_ball_point(centres, radius_mm):
        inside[members] = True
    return inside


def first_of_clusters(table: pd.DataFrame, within_mm: float) -> npt.NDArray[np.int64]:
    """The row of each cluster that comes first in the order of z, y, x.

    Two rows of a series stand in one cluster where a chain of rows leads from one to the other
    whose steps are at most ``within_mm`` long; rows of two clusters lie farther apart than that.

    Args:
        table: rows with series_uid, x_mm, y_mm, z_mm.
        within_mm: the longest step, included.

    Returns:
        Positions in the table, series by series, each in the order of z, y, x.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if table.empty:
        return np.zeros(0, dtype=np.int64)
    (points,) = _points(table)
    order = np.lexsort(points.T)
    points = points[order]
    # Rows in one and the same place would make a pair with each other: n rows n squared pairs.
    is_new = np.r_[True, (points[1:] != points[:-1]).any(axis=1)]
    order, points = order[is_new], points[is_new]
    one, other = _tree(points).query_pairs(within_mm, output_type="ndarray").T
    steps = coo_array((np.ones(len(one), dtype=np.bool_), (one, other)), shape=2 * points.shape[:1])
    _, cluster = connected_components(steps, directed=False)
    _, first = np.unique(cluster, return_index=True)
    return order[np.sort(first)].astype(np.int64)


def _points(*tables: pd.DataFrame) -> list[npt.NDArray[np.float64]]:
    """Each table as points (x, y, z, series), shape (n, 4), mm."""
    import pandas as pd

    number, _ = pd.factorize(pd.concat([table["series_uid"] for table in tables]))
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return [
        np.column_stack([table[["x_mm", "y_mm", "z_mm"]], of_series * _SERIES_APART_MM])
        for table, of_series in zip(tables, np.split(number, ends), strict=True)
    ]


def _tree(points: npt.NDArray[np.float64]) -> Any:
    from scipy.spatial import cKDTree

    # An unbalanced tree is built several times as fast, and few points are asked for.
    return cKDTree(points, balanced_tree=False, compact_nodes=False)
