# SPDX-License-Identifier: Apache-2.0
"""What the U-Net learns from is gathered from the patients of one part, and from no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations.consensus import consensus_voxels
from lung_pipeline.annotations.lidc_subset import CONTOURS, READS, nodule_contours
from lung_pipeline.annotations.subset import CANDIDATES, read_candidates_of, read_series_of
from lung_pipeline.ct.geometry import AxesChange
from lung_pipeline.ct.store import open_volume, write_volume
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.home import Home
from lung_pipeline.segmentation.patches import REGION_SIZE, Region
from lung_pipeline.segmentation.regions import Regions
from lung_pipeline.segmentation.subset import gather_regions
from lung_pipeline.segmentation.unet import CONTEXT_SLICES
from lung_pipeline.tables import read_origin, read_table, write_table

SUBSETS = ("subset0", "subset1")


def _gather(
    home: Home, part: str = "train", background: int = 4, seed: int = 0, level: float = 0.5
) -> Regions:
    return gather_regions(
        home,
        SUBSETS,
        part,
        background_per_series=background,
        seed=seed,
        consensus_level=level,
    )


def _sizes(regions: Sequence[Region]) -> list[int]:
    return [int(region.mask.sum()) for region in regions]


def _rewrite(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Write a table again, changed; the former file may have other names, so it stays as it is."""
    write_table(change(read_table(path)), path, read_origin(path))


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


def _training_nodules(home: Home) -> pd.DataFrame:
    table = read_candidates_of(home, SUBSETS)
    return table[table["is_nodule"] & (table["part"] == "train")].sort_values(
        "series_uid", kind="stable"
    )


@pytest.mark.parametrize("level", [0.25, 0.5, 1.0])
def test_truth_is_what_the_readers_enclose_where_their_outlines_are_there(
    phantom_home: Home, level: float
) -> None:
    regions = _gather(phantom_home, background=0, level=level)
    nodules = _training_nodules(phantom_home)
    assert (regions.masks_from_contours, regions.masks_grown) == (len(nodules), 0)
    remaining = iter(regions.nodule)
    for (subset, series_uid), rows in nodules.groupby(["subset", "series_uid"], sort=False):
        volume = open_volume(phantom_home.volume(str(subset), str(series_uid)))
        contours = nodule_contours(phantom_home, str(subset))
        marked = np.zeros(volume.grid.shape_irc, dtype=bool)
        for number in rows["lidc_nodule"]:
            readers = contours[str(series_uid), number]
            voxels_irc = consensus_voxels(readers, volume.original_grid, volume.grid, level)
            marked[tuple(voxels_irc.T)] = True
        # A neighbour that reaches into a nodule's region is marked there too.
        for center_irc in volume.grid.voxel_of(rows[["x_mm", "y_mm", "z_mm"]].to_numpy()):
            mask = next(remaining).mask
            places = np.argwhere(marked) - center_irc + np.asarray(mask.shape) // 2
            within = ((places >= 0) & (places < mask.shape)).all(axis=1)
            np.testing.assert_array_equal(np.argwhere(mask), places[within])


def test_a_higher_level_gives_smaller_masks(phantom_home: Home) -> None:
    low, high = (_sizes(_gather(phantom_home, level=level).nodule) for level in (0.25, 1.0))
    assert all(many >= few for many, few in zip(low, high, strict=True))
    assert sum(low) > sum(high)


def _without_reads(home: Home) -> None:
    for subset in SUBSETS:
        home.manifest(READS, subset).unlink()


def _without_column(home: Home) -> None:
    for subset in SUBSETS:
        path = home.manifest(CANDIDATES, subset)
        _rewrite(path, lambda table: table.drop(columns="lidc_nodule"))


def _numbered_anew(home: Home) -> None:
    """The outlines were read again, and the table of candidates is older."""
    for subset in SUBSETS:
        path = home.manifest(READS, subset)
        _rewrite(path, lambda table: table.assign(lidc_nodule=table["lidc_nodule"] + 1))


def _mirrored_files(home: Home) -> None:
    """As a converter leaves them: the rows of a file are no longer those of the DICOM slices."""
    for path in sorted((home.root / "volumes").glob("*/*.zarr")):
        stored = open_volume(path)
        mirrored = AxesChange((0, 1, 2), (False, True, False)).turn_grid(stored.grid)
        volume = CtVolume(
            stored.series_uid, stored.read_all(), stored.grid, mirrored, stored.source_sha256
        )
        write_volume(volume, path)


@pytest.mark.parametrize(
    "change", [_without_reads, _without_column, _numbered_anew, _mirrored_files]
)
def test_mask_is_grown_where_outlines_are_absent_or_cannot_be_placed(
    own_home: Home, change: Callable[[Home], None]
) -> None:
    outlined = _sizes(_gather(own_home).nodule)
    change(own_home)
    regions = _gather(own_home)
    assert (regions.masks_from_contours, regions.masks_grown) == (0, len(outlined))
    assert all(size > 0 for size in _sizes(regions.nodule))
    assert _sizes(regions.nodule) != outlined


def test_nodule_without_agreement_is_grown_and_the_others_are_not(own_home: Home) -> None:
    chosen = _training_nodules(own_home).iloc[0]
    before = _gather(own_home, level=1.0)
    path = own_home.manifest(CONTOURS, str(chosen["subset"]))
    reads = read_table(own_home.manifest(READS, str(chosen["subset"])))
    of_nodule = reads[
        (reads["series_uid"] == chosen["series_uid"])
        & (reads["lidc_nodule"] == chosen["lidc_nodule"])
    ]

    def moved(points: pd.DataFrame) -> pd.DataFrame:
        is_moved = (points["series_uid"] == chosen["series_uid"]) & (
            points["read"] == of_nodule["read"].iloc[0]
        )
        away = (points["column"] + 60).astype("int16")
        return points.assign(column=points["column"].where(~is_moved, away))

    _rewrite(path, moved)
    after = _gather(own_home, level=1.0)
    number = len(before.nodule)
    assert (before.masks_from_contours, before.masks_grown) == (number, 0)
    assert (after.masks_from_contours, after.masks_grown) == (number - 1, 1)
    series_uids = _training_nodules(own_home)["series_uid"]
    for series_uid, old, new in zip(series_uids, before.nodule, after.nodule, strict=True):
        assert series_uid == chosen["series_uid"] or np.array_equal(old.mask, new.mask)
    assert after.nodule[0].mask.sum() > before.nodule[0].mask.sum()


def _gather_slices(home: Home, per_series: int | None, part: str = "validation") -> Regions:
    return gather_regions(
        home, SUBSETS, part, background_per_series=4, seed=0, slices_per_series=per_series
    )


def test_whole_slices_are_of_the_part_with_each_nodule_and_some_without(
    phantom_home: Home,
) -> None:
    regions = _gather_slices(phantom_home, 3)
    table = read_candidates_of(phantom_home, SUBSETS)
    rows = table[table["part"] == "validation"]
    assert [slices.name for slices in regions.slices] == sorted(set(rows["series_uid"]))
    for slices in regions.slices:
        of_series = rows[rows["series_uid"] == slices.name]
        volume = open_volume(phantom_home.volume(str(of_series["subset"].iloc[0]), slices.name))
        assert slices.windows_hu.shape[2:] == volume.grid.shape_irc[1:]
        num_nodules = int(of_series["is_nodule"].sum())
        assert set(np.unique(slices.nodules)) == set(range(num_nodules + 1))
        assert (~slices.nodules.any(axis=(1, 2))).sum() == 3
        middle = slices.windows_hu[:, CONTEXT_SLICES]
        np.testing.assert_array_equal(middle, volume.read_all()[list(slices.indices)])


def test_no_slices_are_kept_unless_asked_for_and_regions_stay_as_they_are(
    phantom_home: Home,
) -> None:
    without, with_none, with_some = (_gather_slices(phantom_home, n) for n in (None, 0, 4))
    assert not without.slices
    assert all(slices.nodules.any(axis=(1, 2)).all() for slices in with_none.slices)
    assert sum(len(slices.indices) for slices in with_none.slices) > 0
    for kind in ("nodule", "background"):
        assert all(map(_equal, getattr(without, kind), getattr(with_some, kind)))


def test_one_seed_gives_the_same_slices(phantom_home: Home) -> None:
    first, again = (_gather_slices(phantom_home, 4) for _ in range(2))
    assert [s.indices for s in first.slices] == [s.indices for s in again.slices]
    other = gather_regions(
        phantom_home, SUBSETS, "validation", background_per_series=0, seed=1, slices_per_series=4
    )
    assert [s.indices for s in first.slices] != [s.indices for s in other.slices]
