# SPDX-License-Identifier: Apache-2.0
"""Crops on disk come back row by row, over one subset or several."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.crops.signatures import signatures_of
from lung_pipeline.crops.store import (
    CROPS,
    INDEX,
    SIGNATURES,
    CropSet,
    open_crops,
    read_signatures,
    write_crops,
)
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import StoreError
from lung_pipeline.tables import fingerprint, read_origin, read_table

ORIGIN = {"stage": "crops"}


def _table(first: int, series: list[str]) -> pd.DataFrame:
    numbers = range(first, first + len(series))
    return pd.DataFrame({"series_uid": pd.array(series, dtype="str"), "number": numbers})


def _cut(rows: pd.DataFrame) -> VoxelsHu:
    """Crops filled with the number of their row; one call a series."""
    assert rows["series_uid"].nunique() == 1
    numbers = rows["number"].to_numpy().astype(np.int16)
    return np.broadcast_to(numbers[:, None, None, None], (len(rows), *CROP_SHAPE_IRC))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Three subsets: two crops, none, and four whose series stand mixed in the table."""
    tables = [_table(0, ["a", "a"]), _table(0, []), _table(2, ["c", "b", "c", "b"])]
    paths = [tmp_path / f"subset{number}" for number in range(3)]
    for path, table in zip(paths, tables, strict=True):
        write_crops(path, table, _cut, ORIGIN)
    return paths


def _values(crops: CropSet, rows: list[int]) -> list[int]:
    read = crops.read(rows)
    assert read.shape == (len(rows), *CROP_SHAPE_IRC)
    assert read.dtype == np.int16
    assert (read == read[:, :1, :1, :1]).all()
    return read[:, 0, 0, 0].tolist()


def test_crops_stand_in_the_order_of_their_table(folders: list[Path]) -> None:
    crops = open_crops(folders[2:])
    assert len(crops) == 4
    assert _values(crops, [0, 1, 2, 3]) == [2, 3, 4, 5]
    assert sorted(p.name for p in folders[2].iterdir()) == [CROPS, INDEX, SIGNATURES]


def test_rows_across_subsets_are_read_in_the_order_asked_for(folders: list[Path]) -> None:
    crops = open_crops(folders)
    assert len(crops) == 6
    assert crops.index["number"].tolist() == [0, 1, 2, 3, 4, 5]
    assert list(crops.index.index) == [0, 1, 2, 3, 4, 5]
    assert _values(crops, [5, 0, 2, 1, 2]) == [5, 0, 2, 1, 2]
    assert _values(crops, []) == []


def test_the_order_of_subsets_is_the_callers(folders: list[Path]) -> None:
    assert _values(open_crops(folders[::-1]), [0, 5]) == [2, 1]


def test_a_row_that_is_not_there_is_no_other_crop(folders: list[Path]) -> None:
    with pytest.raises(IndexError):
        open_crops(folders).read([6])


def test_arrays_are_mapped_and_not_read(folders: list[Path]) -> None:
    assert all(isinstance(array, np.memmap) for array in open_crops(folders).arrays)


def test_the_table_and_its_origin_lie_beside_the_array(folders: list[Path], tmp_path: Path) -> None:
    table = _table(2, ["c", "b", "c", "b"])
    pd.testing.assert_frame_equal(read_table(folders[2] / INDEX), table)
    assert read_origin(folders[2] / INDEX) == ORIGIN
    written = write_crops(tmp_path / "again", table, _cut, ORIGIN)
    assert written == fingerprint(table, ORIGIN)


def test_where_room_cannot_be_asked_for_it_is_written(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS and Windows."""
    monkeypatch.delattr(os, "posix_fallocate")
    table = _table(2, ["c", "b", "c", "b"])
    write_crops(tmp_path / "again", table, _cut, ORIGIN)
    written = (tmp_path / "again" / CROPS).read_bytes()
    assert written == (folders[2] / CROPS).read_bytes()


def test_each_crop_has_its_signature_in_the_order_of_the_table(folders: list[Path]) -> None:
    expected = signatures_of(open_crops(folders[2:]).read([0, 1, 2, 3]))
    np.testing.assert_array_equal(read_signatures(folders[2]), expected)
    assert len({tuple(row) for row in expected}) == 4
    assert len(read_signatures(folders[1])) == 0


def test_signatures_that_do_not_fit_the_table_are_refused(folders: list[Path]) -> None:
    np.save(folders[0] / SIGNATURES, read_signatures(folders[2]))
    with pytest.raises(StoreError, match="Materialize the crops"):
        read_signatures(folders[0])
    (folders[0] / SIGNATURES).unlink()
    with pytest.raises(StoreError, match=r"signatures\.npy"):
        read_signatures(folders[0])


def test_rows_of_the_table_may_be_numbered_in_any_way(tmp_path: Path) -> None:
    table = _table(0, ["a", "b", "a"]).iloc[[2, 0, 1]]
    write_crops(tmp_path / "s", table, _cut, ORIGIN)
    assert _values(open_crops([tmp_path / "s"]), [0, 1, 2]) == [2, 0, 1]


def test_a_cut_that_raises_leaves_the_former_crops(folders: list[Path]) -> None:
    def cut(rows: pd.DataFrame) -> VoxelsHu:
        if rows["series_uid"].iloc[0] == "b":
            raise KeyError
        return _cut(rows)

    with pytest.raises(KeyError):
        write_crops(folders[0], _table(7, ["a", "b"]), cut, ORIGIN)
    assert _values(open_crops(folders[:1]), [0, 1]) == [0, 1]
    assert sorted(p.name for p in folders[0].parent.iterdir()) == [p.name for p in folders]


def _other_length(array: Path) -> None:
    np.save(array, np.zeros((3, *CROP_SHAPE_IRC), dtype=np.int16))


def _other_shape(array: Path) -> None:
    np.save(array, np.zeros((2, 8, 8, 8), dtype=np.int16))


def _other_type(array: Path) -> None:
    np.save(array, np.zeros((2, *CROP_SHAPE_IRC), dtype=np.float32))


def _objects(array: Path) -> None:
    np.save(array, np.array([{}, {}], dtype=object), allow_pickle=True)


def _truncated(array: Path) -> None:
    array.write_bytes(array.read_bytes()[:-1000])


def _empty(array: Path) -> None:
    array.write_bytes(b"")


@pytest.mark.parametrize(
    "breaking",
    [_other_length, _other_shape, _other_type, _objects, _truncated, _empty, Path.unlink],
)
def test_an_array_that_does_not_fit_its_table_is_refused(folders: list[Path], breaking) -> None:  # type: ignore[no-untyped-def]
    breaking(folders[0] / CROPS)
    with pytest.raises(StoreError) as told:
        open_crops(folders)
    assert told.value.place == str(folders[0] / CROPS)
    assert "Materialize the crops" in told.value.cure


def test_a_subset_without_crops_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no file"):
        open_crops([tmp_path / "subset9"])
