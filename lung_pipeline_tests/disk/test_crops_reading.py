# SPDX-License-Identifier: Apache-2.0
"""Crops are read from their files by position, and files that changed are refused."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.crops.reading import ANNOUNCED, CROP_BYTES, CropReader
from lung_pipeline.crops.store import CROPS, CropSet, open_crops, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import StoreError


def _noise(rows: pd.DataFrame) -> VoxelsHu:
    rng = np.random.default_rng(len(rows))
    return rng.integers(-1000, 400, (len(rows), *CROP_SHAPE_IRC), dtype=np.int16)


@pytest.fixture
def crops(tmp_path: Path) -> CropSet:
    """Two subsets of 3 and 5 crops."""
    folders = [tmp_path / "subset0", tmp_path / "subset1"]
    for folder, number in zip(folders, (3, 5), strict=True):
        write_crops(folder, pd.DataFrame({"series_uid": ["a"] * number}), _noise, {})
    return open_crops(folders)


def test_what_is_read_is_what_the_memory_map_shows(crops: CropSet) -> None:
    expected = np.concatenate(crops.arrays)
    for rows in ([0], [7, 0, 3, 3, 2], list(range(8)) * (ANNOUNCED // 5)):
        np.testing.assert_array_equal(crops.read(rows), expected[rows])


def test_a_reader_writes_where_it_is_told_and_nowhere_else(crops: CropSet) -> None:
    room = np.full((4, *CROP_SHAPE_IRC), 7, dtype=np.int16)
    with crops.reader() as reader:
        reader.read_into([6, 1], room[1:3])
    np.testing.assert_array_equal(room[1:3], np.concatenate(crops.arrays)[[6, 1]])
    assert (room[[0, 3]] == 7).all()


@pytest.mark.parametrize("row", [-1, 8])
def test_a_row_before_or_behind_the_crops_is_no_other_crop(crops: CropSet, row: int) -> None:
    with pytest.raises(IndexError, match="of 8 crops"):
        crops.read([0, row])


def test_arrays_in_memory_and_files_read_alike(crops: CropSet) -> None:
    in_memory = CropSet(tuple(np.array(array) for array in crops.arrays), crops.index)
    np.testing.assert_array_equal(in_memory.read([4, 0]), crops.read([4, 0]))


def test_crops_cross_process_borders_as_paths(crops: CropSet) -> None:
    packed = pickle.dumps(crops)
    assert len(packed) < 2000 < CROP_BYTES
    again = pickle.loads(packed)  # noqa: S301
    np.testing.assert_array_equal(again.read([5, 1]), crops.read([5, 1]))
    pd.testing.assert_frame_equal(again.index, crops.index)
    reader = crops.reader()
    reader.read([0])
    packed = pickle.dumps(reader)
    assert len(packed) < 2000
    moved: CropReader = pickle.loads(packed)  # noqa: S301
    with moved, reader:
        np.testing.assert_array_equal(moved.read([7]), reader.read([7]))


def test_crops_made_anew_meanwhile_are_not_taken_for_the_old(crops: CropSet) -> None:
    folder = crops.files[1].path.parent
    write_crops(folder, crops.index[3:], _noise, {})
    status = (folder / CROPS).stat()
    os.utime(folder / CROPS, ns=(status.st_atime_ns, crops.files[1].stamp[1] + 1))
    assert crops.read([0]).shape == (1, *CROP_SHAPE_IRC)
    with pytest.raises(StoreError, match="materialize no crops") as told:
        crops.read([0, 4])
    assert told.value.place == str(folder / CROPS)


def test_a_file_that_is_cut_off_or_gone_is_named(crops: CropSet) -> None:
    path = crops.files[1].path
    with crops.reader() as reader:
        reader.read([7])
        os.truncate(path, path.stat().st_size - 10)
        with pytest.raises(StoreError, match=r"subset1.*cut off"):
            reader.read([7])
    path.unlink()
    with pytest.raises(StoreError, match=r"subset1.*No such file"):
        crops.read([7])


@pytest.mark.slow
def test_reading_processes_need_no_torch() -> None:
    code = (
        "import sys, lung_pipeline.crops.read_ahead;"
        "print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
