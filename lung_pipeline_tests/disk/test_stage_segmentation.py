# SPDX-License-Identifier: Apache-2.0
"""What the U-Net learns from is gathered from the patients of one part, and from no others."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.annotations.subset import read_candidates_of, read_series_of
from lung_pipeline.ct.store import open_volume
from lung_pipeline.home import Home
from lung_pipeline.segmentation.patches import REGION_SIZE, Region
from lung_pipeline.segmentation.subset import gather_regions
from lung_pipeline.segmentation.training import Regions
from lung_pipeline.segmentation.unet import CONTEXT_SLICES

SUBSETS = ("subset0", "subset1")


def _gather(home: Home, part: str = "train", background: int = 4, seed: int = 0) -> Regions:
    return gather_regions(home, SUBSETS, part, background_per_series=background, seed=seed)


def _equal(first: Region, second: Region) -> bool:
    return np.array_equal(first.slices_hu, second.slices_hu) and np.array_equal(
        first.mask, second.mask
    )


@pytest.mark.parametrize("part", ["train", "validation"])
def test_only_patients_of_the_part_are_read(phantom_home: Home, part: str) -> None:
    read: list[str] = []
    regions = gather_regions(
        phantom_home, SUBSETS, part, background_per_series=4, seed=0, on_series=read.append
    )
    series = read_series_of(phantom_home, SUBSETS)
    inside = series.loc[series["part"] == part, "series_uid"].tolist()
    candidates = read_candidates_of(phantom_home, SUBSETS)
    nodules = candidates[candidates["is_nodule"] & candidates["series_uid"].isin(inside)]
    assert sorted(read) == sorted(inside)
    assert len(inside) == {"train": 4, "validation": 2}[part]
    assert len(regions.nodule) == len(nodules) > 0
    assert len(regions.background) == 4 * len(inside)


def test_part_without_patients_gives_nothing(phantom_home: Home) -> None:
    regions = _gather(phantom_home, "test")
    assert (list(regions.nodule), list(regions.background)) == ([], [])


def test_one_seed_gives_one_draw_and_another_seed_another(phantom_home: Home) -> None:
    first, again, other = (_gather(phantom_home, seed=seed) for seed in (3, 3, 4))
    assert all(map(_equal, first.nodule, again.nodule))
    assert all(map(_equal, first.background, again.background))
    assert all(map(_equal, first.nodule, other.nodule))
    assert not all(map(_equal, first.background, other.background))


def test_every_nodule_is_marked_at_its_centre(phantom_home: Home) -> None:
    regions = _gather(phantom_home, background=0)
    table = read_candidates_of(phantom_home, SUBSETS)
    rows = table[table["is_nodule"] & (table["part"] == "train")].sort_values(
        "series_uid", kind="stable"
    )
    assert not regions.background
    for region, row in zip(regions.nodule, rows.itertuples(), strict=True):
        grid = open_volume(phantom_home.volume(str(row.subset), str(row.series_uid))).grid
        index = int(grid.voxel_of([(row.x_mm, row.y_mm, row.z_mm)])[0][0])
        reach = int(np.ceil(row.diameter_mm / 2 / grid.spacing_irc_mm[0])) + 1
        place = index - max(0, index - reach)
        assert region.mask[place, REGION_SIZE // 2, REGION_SIZE // 2]
        assert region.mask.shape[1:] == (REGION_SIZE, REGION_SIZE)
        assert len(region.slices_hu) == len(region.mask) + 2 * CONTEXT_SLICES


def test_no_more_background_is_drawn_than_there_are_negatives(
    phantom_home: Home,
) -> None:
    regions = _gather(phantom_home, background=1000)
    table = read_candidates_of(phantom_home, SUBSETS)
    assert len(regions.background) == int((~table["is_nodule"] & (table["part"] == "train")).sum())
