# SPDX-License-Identifier: Apache-2.0
"""Each candidate of a subset gets its window of the volume, and a changed one is named."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from lung_pipeline.annotations.subset import CANDIDATES
from lung_pipeline.crops.store import CROPS, INDEX, open_crops
from lung_pipeline.crops.subset import crops_that_differ, make_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC, cut_window
from lung_pipeline.ct.hounsfield import AIR_HU
from lung_pipeline.ct.store import open_volume
from lung_pipeline.errors import AnnotationError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table, write_table


def test_every_candidate_has_the_window_around_its_voxel(phantom_home: Home) -> None:
    crops = open_crops([phantom_home.crops("subset0")])
    table = read_table(phantom_home.manifest(CANDIDATES, "subset0"))
    assert crops.index["candidate_id"].tolist() == table["candidate_id"].tolist()
    for series_uid, rows in table.groupby("series_uid"):
        volume = open_volume(phantom_home.volume("subset0", str(series_uid)))
        voxels_hu = volume.read_all()
        for row in rows.itertuples():
            (irc,) = volume.grid.xyz_mm_to_irc([(row.x_mm, row.y_mm, row.z_mm)])
            nearest = [int(value) for value in np.floor(irc + 0.5)]
            (crop,) = crops.read([int(row.Index)])
            np.testing.assert_array_equal(crop, cut_window(voxels_hu, nearest))
            assert crop[tuple(size // 2 for size in CROP_SHAPE_IRC)] == voxels_hu[tuple(nearest)]


def test_crops_of_nodules_show_them(phantom_home: Home) -> None:
    crops = open_crops([phantom_home.crops("subset0"), phantom_home.crops("subset1")])
    large = np.flatnonzero(crops.index["is_nodule"] & (crops.index["diameter_mm"] > 6))
    assert len(large) > 0
    middle = tuple(size // 2 for size in CROP_SHAPE_IRC)
    assert all(crop[middle] > AIR_HU + 200 for crop in crops.read(large))


def test_crops_as_made_do_not_differ_from_their_windows(phantom_home: Home) -> None:
    assert crops_that_differ(phantom_home, "subset0") == []
    assert crops_that_differ(phantom_home, "subset1") == []


def test_one_changed_voxel_names_its_candidate_and_no_other(own_home: Home) -> None:
    path = own_home.crops("subset0") / CROPS
    crops = np.load(path)
    crops[7, 3, 4, 5] += 1
    path.unlink()
    np.save(path, crops)
    table = read_table(own_home.crops("subset0") / INDEX)
    assert crops_that_differ(own_home, "subset0") == [table["candidate_id"][7]]


def test_crops_name_the_candidates_they_were_cut_for(own_home: Home) -> None:
    told: list[str] = []
    shutil.rmtree(own_home.crops("subset0"))
    num_crops, first = make_crops(own_home, "subset0", told.append)
    path = own_home.manifest(CANDIDATES, "subset0")
    table = read_table(path)
    origin = read_origin(own_home.crops("subset0") / INDEX)
    assert origin["candidates"] == fingerprint(table, read_origin(path))
    assert num_crops == len(table)
    assert told == table["series_uid"].drop_duplicates().tolist()
    assert make_crops(own_home, "subset0") == (num_crops, first)
    write_table(table.iloc[1:], path, read_origin(path))
    assert make_crops(own_home, "subset0") != (num_crops, first)


def test_subset_without_candidates_has_no_crops(own_home: Home) -> None:
    path = own_home.manifest(CANDIDATES, "subset0")
    write_table(read_table(path).iloc[:0], path, read_origin(path))
    assert make_crops(own_home, "subset0")[0] == 0
    assert crops_that_differ(own_home, "subset0") == []
    folders = [own_home.crops("subset0"), own_home.crops("subset1")]
    both, alone = open_crops(folders), open_crops(folders[1:])
    np.testing.assert_array_equal(both.read([0, 1]), alone.read([0, 1]))


def test_lost_volume_is_an_error_and_leaves_the_former_crops(own_home: Home) -> None:
    table = read_table(own_home.manifest(CANDIDATES, "subset0"))
    volume = own_home.volume("subset0", str(table["series_uid"].iloc[-1]))
    volume.rename(volume.with_name("lost"))
    path = own_home.manifest(CANDIDATES, "subset0")
    write_table(table.iloc[1:], path, read_origin(path))
    with pytest.raises(StoreError, match="Materialize hu_volumes"):
        make_crops(own_home, "subset0")
    assert len(open_crops([own_home.crops("subset0")])) == len(table)


def _move_up(home: Home, *, is_nodule: bool) -> str:
    """Put a candidate three metres above its scan."""
    path = home.manifest(CANDIDATES, "subset0")
    table = read_table(path)
    row = table.index[table["is_nodule"] == is_nodule][0]
    table.loc[row, "z_mm"] += 3000
    write_table(table, path, read_origin(path))
    return str(table.loc[row, "candidate_id"])


def test_nodule_off_its_scan_is_refused_by_its_name(own_home: Home) -> None:
    moved = _move_up(own_home, is_nodule=True)
    with pytest.raises(AnnotationError, match=rf"nodule {re.escape(moved)}: a nodule must lie"):
        make_crops(own_home, "subset0")


def test_negative_off_its_scan_is_plain_air(own_home: Home) -> None:
    # A detector's wrong candidate is a negative wherever it lies.
    moved = _move_up(own_home, is_nodule=False)
    make_crops(own_home, "subset0")
    crops = open_crops([own_home.crops("subset0")])
    [row] = np.flatnonzero(crops.index["candidate_id"] == moved)
    assert (crops.read([int(row)]) == AIR_HU).all()
