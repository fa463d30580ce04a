# SPDX-License-Identifier: Apache-2.0
"""Step 2 over LUNA subsets: gather the regions the U-Net learns from, one series at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.subset import read_candidates_of
from lung_pipeline.ct.store import open_volume
from lung_pipeline.home import Home
from lung_pipeline.segmentation.patches import (
    NoduleMark,
    Region,
    background_region,
    mark_nodules,
    nodule_region,
)
from lung_pipeline.segmentation.training import Regions

if TYPE_CHECKING:
    import pandas as pd


def gather_regions(
    home: Home,
    subsets: Sequence[str],
    part: str,
    *,
    background_per_series: int,
    seed: int,
    on_series: Callable[[str], None] = lambda series_uid: None,
) -> Regions:
    """The regions of one part of the patients: all nodules, and some of what is none.

    Args:
        home: where the volumes and candidates are.
        subsets: the subsets to learn from.
        part: train, validation or test.
        background_per_series: regions around non-nodules of each series, drawn from the seed.
        seed: of that draw.
        on_series: told each series as it is read.
    """
    table = read_candidates_of(home, subsets)
    rng = np.random.default_rng(seed)
    nodule: list[Region] = []
    background: list[Region] = []
    for series_uid, rows in table[table["part"] == part].groupby("series_uid"):
        on_series(str(series_uid))
        volume = open_volume(home.volume(str(rows["subset"].iloc[0]), str(series_uid)))
        voxels_hu, grid = volume.read_all(), volume.grid
        marks = _marks(rows[rows["is_nodule"]])
        mask = mark_nodules(voxels_hu, grid, marks)
        nodule += [nodule_region(voxels_hu, mask, grid, mark) for mark in marks]
        others = rows.loc[~rows["is_nodule"], ["x_mm", "y_mm", "z_mm"]].to_numpy()
        chosen = rng.permutation(len(others))[:background_per_series]
        centers = grid.voxel_of(others[chosen]).clip(0, np.asarray(grid.shape_irc) - 1)
        background += [
            background_region(voxels_hu, mask, (index, row, column))
            for index, row, column in centers.tolist()
        ]
    return Regions(nodule, background)


def _marks(rows: pd.DataFrame) -> list[NoduleMark]:
    columns = (rows[name].tolist() for name in ("x_mm", "y_mm", "z_mm", "diameter_mm"))
    return [NoduleMark((x, y, z), diameter) for x, y, z, diameter in zip(*columns, strict=True)]
