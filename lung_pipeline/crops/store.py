# SPDX-License-Identifier: Apache-2.0
"""The crops of a subset on disk: one memory-mapped array and a table that says what each row is.

``crops/<subset>/crops.npy`` is int16 HU of shape (n, 32, 48, 48); ``index.parquet`` has one row
for each, in the same order, with the columns of the candidates' table; ``signatures.npy`` has the
signature of each, by which duplicates are looked for. A plain array is read row by row 50 times as
fast as a chunked one. How rows are read is in ``reading.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.crops.reading import CropFile, CropReader
from lung_pipeline.crops.signatures import SIGNATURE_LENGTH, Signatures, signatures_of
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import StoreError
from lung_pipeline.remote.copies import local_copy
from lung_pipeline.tables import read_origin, read_table, write_table
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    import pandas as pd

CROPS, INDEX, SIGNATURES = "crops.npy", "index.parquet", "signatures.npy"

_PIECE = 2**24
"""Bytes that are written at once where room on the disk cannot be asked for."""


@dataclass(frozen=True, slots=True)
class CropSet:
    """The crops of one or more subsets."""

    arrays: tuple[VoxelsHu, ...]
    """One memory-mapped array a subset, each (n, 32, 48, 48)."""

    index: pd.DataFrame
    """One row a crop, in the order of the arrays."""

    files: tuple[CropFile, ...] = ()
    """Where the arrays lie on disk; empty where they are in memory only."""

    def __len__(self) -> int:
        return len(self.index)

    def __reduce__(self) -> tuple[object, ...]:
        """Cross process borders as folders: a memory map would go as the bytes of the file."""
        if self.files:
            return open_crops, ([file.path.parent for file in self.files],)
        return CropSet, (self.arrays, self.index)

    def reader(self) -> CropReader:
        """Reads many rows, and goes to another thread or process for it."""
        return CropReader(self.files or self.arrays)

    def read(self, rows: Sequence[int] | np.ndarray) -> VoxelsHu:
        """The crops of some rows of the index, shape (len(rows), 32, 48, 48)."""
        with self.reader() as reader:
            return reader.read(rows)


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
        _reserve(temporary / CROPS)
        signatures = np.empty((len(table), SIGNATURE_LENGTH), dtype=np.int16)
        positions = np.arange(len(table))
        for _, rows in table.reset_index(drop=True).groupby("series_uid", sort=False):
            of_series = cut(rows)
            crops[positions[rows.index]] = of_series
            signatures[positions[rows.index]] = signatures_of(of_series)
        crops.flush()
        del crops
        np.save(temporary / SIGNATURES, signatures)
        return write_table(table, temporary / INDEX, origin)


def crops_stand(folder: Path, origin: Mapping[str, Any]) -> bool:
    """Whether whole crops of this origin stand there, and nobody touched them since.

    The index is written last, so that an array younger than it was changed by somebody else. What
    is in the arrays is not looked at; the check ``crops_equal_their_windows`` does that.
    """
    try:
        if read_origin(folder / INDEX) != dict(origin):
            return False
        written_s = (folder / INDEX).stat().st_mtime
        arrays = [folder / CROPS, folder / SIGNATURES]
        return all(_is_whole(path) and path.stat().st_mtime <= written_s for path in arrays)
    except (StoreError, OSError, ValueError):
        return False


def open_crops(folders: Sequence[Path]) -> CropSet:
    """The crops of some subsets, memory-mapped; nothing is read yet but the tables.

    Raises:
        StoreError: a subset without crops, or an array and a table that do not fit.
    """
    import pandas as pd

    arrays, tables, files = [], [], []
    for place in folders:
        folder = _near(place)
        table = read_table(folder / INDEX)
        arrays.append(_open_array(folder / CROPS, (len(table), *CROP_SHAPE_IRC)))
        files.append(CropFile.of(folder / CROPS, arrays[-1]))
        tables.append(table)
    return CropSet(tuple(arrays), pd.concat(tables, ignore_index=True), tuple(files))


def read_signatures(folder: Path) -> Signatures:
    """The signatures of one subset's crops, in their order.

    Raises:
        StoreError: none, or not one for each crop.
    """
    folder = _near(folder)
    num_crops = len(read_table(folder / INDEX, ["series_uid"]))
    return np.array(_open_array(folder / SIGNATURES, (num_crops, SIGNATURE_LENGTH)))


def _reserve(file: Path) -> None:
    """Take a file's room on the disk at once, or raise ``OSError``.

    A memory map that meets a full disk later ends its process by a signal, and nothing is said.
    """
    size = file.stat().st_size
    with file.open("r+b") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
            return
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        while rest := size - stream.tell():  # macOS and Windows: what is written has its room
            stream.write(bytes(min(rest, _PIECE)))


def _is_whole(path: Path) -> bool:
    """Whether a file has as many bytes as its header says."""
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            return False
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return path.stat().st_size == file.tell() + int(np.prod(shape)) * dtype.itemsize


def _near(folder: Path) -> Path:
    """A folder of crops that can be memory-mapped: of one in an object store a copy."""
    return local_copy(folder) if (folder / INDEX).is_file() else folder


def _open_array(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.int16]]:
    try:
        array: np.memmap[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unfit(path, type(error).__name__, "the array must be there, and whole") from error
    if array.dtype != np.int16 or array.shape != shape or not array.flags.c_contiguous:
        rule = f"the array must hold one row of int16 for each of {shape[0]} rows of the index"
        raise _unfit(path, f"{array.dtype} {array.shape}", rule)
    return array


def _unfit(path: Path, value: object, rule: str) -> StoreError:
    cure = "Materialize the crops of this subset again."
    return StoreError(value=value, place=path, rule=rule, cure=cure)
