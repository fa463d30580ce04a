# SPDX-License-Identifier: Apache-2.0
"""What lies around a finding: how much of it is as dense as tissue.

Measured while findings are made, since only then it is known which voxels are the finding's own. It
tells what lies free in the lung from what lies at or in the chest wall, the mediastinum or the
great vessels; it does not tell these from each other.

Belongs here: the measure and its table. Does not belong here: from where on it is much
(``evaluation/lost_nodules/false_positives.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.grouped import Grouped

if TYPE_CHECKING:
    import pandas as pd

REACH_MM = 10.0
"""So far around its centre a finding is looked at: 95 of 100 nodules of LUNA16 fit in."""

TISSUE_HU = -500
"""Denser than this is tissue: half-way between aerated lung and soft tissue."""

_STEP_MM = 2.0
"""Distance between the points looked at: 515 of them, whatever the size of a voxel."""

_AT_ONCE = 1000
"""Findings looked at together: 12 MB of points."""

COLUMNS = ("series_uid", "x_mm", "y_mm", "z_mm", "tissue_share")
"""The columns of ``surroundings.parquet``: whose finding, where it lies, and the share."""


def tissue_shares(
    grouped: Grouped, voxels_hu: VoxelsHu, spacing_irc_mm: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    """For each component the share of tissue among what lies around it, shape (n,).

    Its own voxels and what lies off the scan do not count; NaN where nothing is left to count.
    """
    offsets_irc = _ball_of_points() / spacing_irc_mm
    shares = [np.empty(0)]
    for start in range(0, len(grouped.components), _AT_ONCE):
        chosen = grouped.components[start : start + _AT_ONCE]
        centers_irc = np.array([component.center_irc for component in chosen])
        points_irc = np.floor(centers_irc[:, None] + offsets_irc + 0.5).astype(np.int64)
        within = (points_irc >= 0) & (points_irc < voxels_hu.shape)
        voxels = tuple(np.moveaxis(np.clip(points_irc, 0, np.array(voxels_hu.shape) - 1), -1, 0))
        own = np.array([component.label for component in chosen])[:, None]
        counts = within.all(axis=-1) & (grouped.labels_at(points_irc) != own)
        is_tissue = counts & (voxels_hu[voxels] > TISSUE_HU)
        num = counts.sum(axis=1)
        shares.append(np.where(num > 0, is_tissue.sum(axis=1) / np.maximum(num, 1), np.nan))
    return np.concatenate(shares)


def surroundings_table(findings: Sequence[Finding], shares: Sequence[float]) -> pd.DataFrame:
    """The shares as a table, one row a finding, in the order given."""
    import pandas as pd

    rows = [
        (f.series_uid, f.x_mm, f.y_mm, f.z_mm, share)
        for f, share in zip(findings, shares, strict=True)
    ]
    types = {**dict.fromkeys(COLUMNS, "float64"), "series_uid": "str"}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def _ball_of_points() -> npt.NDArray[np.float64]:
    """Points of a lattice in the ball around the origin, in mm, shape (n, 3)."""
    line = np.arange(-REACH_MM, REACH_MM + _STEP_MM / 2, _STEP_MM)
    points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[(points**2).sum(axis=1) <= REACH_MM**2]
