# SPDX-License-Identifier: Apache-2.0
"""The crops of a subset on disk: one memory-mapped array and a table that says what each row is.

``crops/<subset>/crops.npy`` is int16 HU of shape (n, 32, 48, 48); ``index.parquet`` has one row
for each, in the same order, with the columns of the candidates' table. A plain array is read row
by row 50 times as fast as a chunked one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import StoreError
from lung_pipeline.home import written_whole
from lung_pipeline.tables import read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

CROPS, INDEX = "crops.npy", "index.parquet"


@dataclass(frozen=True, slots=True)
class CropSet:
    """The crops of one or more subsets."""

    arrays: tuple[VoxelsHu, ...]
    """One memory-mapped array a subset, each (n, 32, 48, 48)."""

    index: pd.DataFrame
    """One row a crop, in the order of the arrays."""

    def __len__(self) -> int:
        return len(self.index)

    def read(self, rows: Sequence[int] | np.ndarray) -> VoxelsHu:
        """The crops of some rows of the index, shape (len(rows), 32, 48, 48)."""
        starts = np.cumsum([0, *(len(array) for array in self.arrays)])
        which = np.searchsorted(starts, np.asarray(rows), side="right") - 1
        crops = np.empty((len(rows), *CROP_SHAPE_IRC), dtype=np.int16)
        for place, (part, row) in enumerate(zip(which, rows, strict=True)):
            crops[place] = self.arrays[part][row - starts[part]]
        return crops


def write_crops(
    folder: Path,
    table: pd.DataFrame,
    cut: Callable[[pd.DataFrame], VoxelsHu],
    origin: Mapping[str, Any],
) -> str:
    """Write the crops of a subset, series by series, whole or not at all.

    Args:
        folder: ``crops/<subset>``.
        table: candidates; its order is the order of the crops.
        cut: the windows of the rows of one series, shape (rows, 32, 48, 48).
        origin: what made them.

    Returns:
        The fingerprint of the table and its origin.
    """
    with written_whole(folder) as temporary:
        temporary.mkdir()
        crops = np.lib.format.open_memmap(
            temporary / CROPS, mode="w+", dtype=np.int16, shape=(len(table), *CROP_SHAPE_IRC)
        )
        positions = np.arange(len(table))
        for _, rows in table.reset_index(drop=True).groupby("series_uid", sort=False):
            crops[positions[rows.index]] = cut(rows)
        crops.flush()
        del crops
        return write_table(table, temporary / INDEX, origin)


def open_crops(folders: Sequence[Path]) -> CropSet:
    """The crops of some subsets, memory-mapped; nothing is read yet but the tables.

    Raises:
        StoreError: a subset without crops, or an array and a table that do not fit.
    """
    import pandas as pd

    arrays, tables = [], []
    for folder in folders:
        table = read_table(folder / INDEX)
        arrays.append(_open_array(folder / CROPS, num_crops=len(table)))
        tables.append(table)
    return CropSet(tuple(arrays), pd.concat(tables, ignore_index=True))


def _open_array(path: Path, *, num_crops: int) -> VoxelsHu:
    try:
        crops = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unfit(path, type(error).__name__, "the array must be there, and whole") from error
    if crops.dtype != np.int16 or crops.shape != (num_crops, *CROP_SHAPE_IRC):
        rule = f"the array must hold one int16 crop for each of {num_crops} rows of the index"
        raise _unfit(path, f"{crops.dtype} {crops.shape}", rule)
    return crops


def _unfit(path: Path, value: object, rule: str) -> StoreError:
    cure = "Materialize the crops of this subset again."
    return StoreError(value=value, place=path, rule=rule, cure=cure)
