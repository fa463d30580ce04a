# SPDX-License-Identifier: Apache-2.0
"""Step 2 over LUNA subsets: gather the regions the U-Net learns from, one series at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.consensus import CONSENSUS_LEVEL, consensus_voxels
from lung_pipeline.annotations.contours import Contour
from lung_pipeline.annotations.lidc_subset import nodule_contours
from lung_pipeline.annotations.malignancy import NO_CONTOURS
from lung_pipeline.annotations.pixel_frame import has_readers_pixels
from lung_pipeline.annotations.subset import read_candidates_of
from lung_pipeline.ct.store import StoredVolume, open_volume
from lung_pipeline.home import Home
from lung_pipeline.segmentation.patches import (
    NoduleMark,
    Region,
    background_region,
    mark_nodules,
    nodule_region,
)
from lung_pipeline.segmentation.regions import Regions
from lung_pipeline.segmentation.slices import (
    WholeSlices,
    num_without_nodule,
    number_nodules,
    pick_slices,
    whole_slices,
)

if TYPE_CHECKING:
    import pandas as pd

    from lung_pipeline.ct.geometry import VoxelGrid

Outlines = Mapping[tuple[str, int], Sequence[Sequence[Contour]]]
"""For a series and the readers' nodule in it, the outlines of each reader."""


def gather_regions(
    home: Home,
    subsets: Sequence[str],
    part: str,
    *,
    background_per_series: int,
    seed: int,
    consensus_level: float = CONSENSUS_LEVEL,
    slices_per_series: int | None = None,
    on_series: Callable[[str], None] = lambda series_uid: None,
) -> Regions:
    """The regions of one part of the patients: all nodules, and some of what is none.

    The truth of a nodule is what its readers enclose, where their outlines are there and can be
    placed in the scan, else a mask grown from its centre.

    Args:
        home: where the volumes and candidates are.
        subsets: the subsets to learn from.
        part: train, validation or test.
        background_per_series: regions around non-nodules of each series, drawn from the seed.
        seed: of that draw.
        consensus_level: which of the readers' surfaces is the truth (``consensus_voxels``).
        slices_per_series: whole slices without a nodule to judge by, beside one of each nodule;
            None: no whole slices at all.
        on_series: told each series as it is read.
    """
    table = read_candidates_of(home, subsets)
    outlines = _outlines(home, subsets)
    rng = np.random.default_rng(seed)
    nodule: list[Region] = []
    background: list[Region] = []
    slices: list[WholeSlices] = []
    num_outlined = 0
    by_series = table[table["part"] == part].groupby("series_uid")
    for series_uid, rows in by_series:
        on_series(str(series_uid))
        volume = open_volume(home.volume(str(rows["subset"].iloc[0]), str(series_uid)))
        voxels_hu, grid = volume.read_all(), volume.grid
        marks = _marks(rows[rows["is_nodule"]], volume, outlines, consensus_level)
        num_outlined += sum(mark.is_from_contours for mark in marks)
        mask = mark_nodules(voxels_hu, grid, marks)
        nodule += [nodule_region(voxels_hu, mask, grid, mark) for mark in marks]
        others = _drawn(rows[~rows["is_nodule"]], grid, background_per_series, rng)
        background += [background_region(voxels_hu, mask, center) for center in others]
        if slices_per_series is not None:
            nodules = number_nodules(voxels_hu, grid, marks)
            wanted = num_without_nodule(slices_per_series, by_series.ngroups, len(slices))
            # A stream of its own, so that the regions are the same with and without slices.
            picked = pick_slices(nodules, wanted, np.random.default_rng((seed, len(slices))))
            slices.append(whole_slices(str(series_uid), voxels_hu, nodules, picked))
    return Regions(nodule, background, num_outlined, len(nodule) - num_outlined, slices)


def _drawn(
    rows: pd.DataFrame, grid: VoxelGrid, most: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """The voxels of some of the candidates."""
    places = rows[["x_mm", "y_mm", "z_mm"]].to_numpy()[rng.permutation(len(rows))[:most]]
    voxels = grid.voxel_of(places).clip(0, np.asarray(grid.shape_irc) - 1)
    return [(index, row, column) for index, row, column in voxels.tolist()]


def _outlines(home: Home, subsets: Sequence[str]) -> Outlines:
    """The readers' outlines of all subsets; no series stands in two."""
    found: dict[tuple[str, int], Sequence[Sequence[Contour]]] = {}
    for subset in subsets:
        found |= nodule_contours(home, subset)
    return found


def _marks(
    rows: pd.DataFrame, volume: StoredVolume, outlines: Outlines, level: float
) -> list[NoduleMark]:
    # A table of candidates from before the readers' outlines were read has no such column.
    rows = rows.assign(lidc_nodule=rows.get("lidc_nodule", NO_CONTOURS))
    names = ("series_uid", "lidc_nodule", "x_mm", "y_mm", "z_mm", "diameter_mm")
    columns = (rows[name].tolist() for name in names)
    return [
        _outlined(NoduleMark((x, y, z), diameter), volume, outlines.get((uid, number)), level)
        for uid, number, x, y, z, diameter in zip(*columns, strict=True)
    ]


def _outlined(
    mark: NoduleMark,
    volume: StoredVolume,
    readers: Sequence[Sequence[Contour]] | None,
    level: float,
) -> NoduleMark:
    """The nodule with what its readers enclose, where that is known.

    A file with other pixels than the readers', as a converter left it, costs its nodules' outlines
    and not the training; so do outlines that lie elsewhere, since the table is older than they.
    """
    if not readers or not has_readers_pixels(volume.original_grid):
        return mark
    voxels_irc = consensus_voxels(readers, volume.original_grid, volume.grid, level)
    apart_mm = volume.grid.irc_to_xyz_mm(voxels_irc) - np.asarray(mark.center_xyz_mm)
    nearest_mm = np.sqrt((apart_mm**2).sum(axis=1)).min(initial=np.inf)
    return replace(mark, voxels_irc=voxels_irc) if nearest_mm <= mark.diameter_mm / 2 else mark
