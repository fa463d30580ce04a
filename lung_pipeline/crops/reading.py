# SPDX-License-Identifier: Apache-2.0
"""Reads single crops out of large files, straight to where they are wanted.

The bytes are asked for by position, not through a memory map. A page fault reads ahead as far as
the disk is set to, which on a cloud disk of 8 MB read-ahead is 35 times what a crop needs; and each
page that was touched counts as memory of the process, which so grows to the size of the file.

Belongs here: bytes to crops. Does not belong here: which crops are wanted, and torch: worker
processes load this module, and torch would cost each of them two seconds and 200 MB.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from math import prod
from pathlib import Path

import numpy as np

from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import StoreError

CROP_VOXELS = prod(CROP_SHAPE_IRC)
CROP_BYTES = CROP_VOXELS * np.dtype(np.int16).itemsize

ANNOUNCED = 256
"""Crops the disk is told of at once: 38 MB, which no page cache drops before they are read."""


@dataclass(frozen=True, slots=True)
class CropFile:
    """Crops in a file, one behind the other, int16 in the order of the machine."""

    path: Path
    """The file."""

    offset: int
    """Bytes before the first crop."""

    num_crops: int
    """How many there are."""

    stamp: tuple[int, int]
    """Size in bytes and time of the last change in ns, by which another file is told."""

    @classmethod
    def of(cls, path: Path, array: np.memmap) -> CropFile:
        """The file of a memory-mapped array of crops."""
        return cls(path.absolute(), array.offset, len(array), _stamp(path.stat()))

    def open(self) -> FileIO:
        """The file for reading; ``StoreError`` where it is gone or another by now."""
        try:
            file = FileIO(self.path)
        except OSError as error:
            raise self.unreadable(error) from error
        if _stamp(os.fstat(file.fileno())) != self.stamp:
            file.close()
            raise StoreError(
                value="another file",
                place=self.path,
                rule="crops must stay as they were when they were opened",
                cure="Start again, and materialize no crops that are being learned from.",
            )
        return file

    def unreadable(self, error: OSError) -> StoreError:
        """What a person is told when the system cannot read it."""
        rule = "the crops must be readable"
        cure = "Look after the disk, or materialize the crops of this subset again."
        return StoreError(value=error.strerror, place=self.path, rule=rule, cure=cure)


Source = CropFile | VoxelsHu
"""Crops on disk, or an array of them in memory."""


class CropReader:
    """Crops by their number over several sources; for one thread at a time.

    It crosses process borders as paths: files are opened where they are first read.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        lengths = [s.num_crops if isinstance(s, CropFile) else len(s) for s in self._sources]
        self._starts = np.cumsum([0, *lengths])
        self._files: dict[int, FileIO] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return CropReader, (self._sources,)

    def __enter__(self) -> CropReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; reading opens them again."""
        while self._files:
            self._files.popitem()[1].close()

    def read_into(self, rows: Sequence[int] | np.ndarray, crops_hu: VoxelsHu) -> None:
        """Read crops to where they are wanted.

        Args:
            rows: numbers over all sources, one behind the other.
            crops_hu: int16 (len(rows), 32, 48, 48) in one piece; is overwritten.

        Raises:
            IndexError: a row that is not there.
            StoreError: a file that is gone, cut off, or another than when it was opened.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if len(wanted) == 0:
            return
        if wanted.min() < 0 or wanted.max() >= self._starts[-1]:
            msg = f"rows {wanted.min()} to {wanted.max()} of {self._starts[-1]} crops"
            raise IndexError(msg)
        parts = np.searchsorted(self._starts, wanted, side="right") - 1
        places = list(zip(parts.tolist(), (wanted - self._starts[parts]).tolist(), strict=True))
        for first in range(0, len(places), ANNOUNCED):
            announced = slice(first, first + ANNOUNCED)
            self._announce(places[announced])
            self._read_places(places[announced], crops_hu[announced])

    def read(self, rows: Sequence[int] | np.ndarray) -> VoxelsHu:
        """The crops of some rows, shape (len(rows), 32, 48, 48)."""
        crops_hu = np.empty((len(rows), *CROP_SHAPE_IRC), dtype=np.int16)
        self.read_into(rows, crops_hu)
        return crops_hu

    def _announce(self, places: Sequence[tuple[int, int]]) -> None:
        """Have the disk fetch all of them at once, where the system can be told to.

        Linux can, macOS and Windows cannot. It costs 3 µs a crop and saves a third or more of the
        time where a batch does not lie in the page cache. Reading in the order of the file saves
        nothing beside it.
        """
        if not hasattr(os, "posix_fadvise"):
            return
        for part, row in places:
            source = self._sources[part]
            if isinstance(source, CropFile):
                place = source.offset + row * CROP_BYTES
                number = self._file(part, source).fileno()
                os.posix_fadvise(number, place, CROP_BYTES, os.POSIX_FADV_WILLNEED)

    def _read_places(self, places: Sequence[tuple[int, int]], crops_hu: VoxelsHu) -> None:
        bytes_of_crops = memoryview(crops_hu).cast("B")  # type: ignore[arg-type]  # NumPy's is one
        for number, (part, row) in enumerate(places):
            source, start = self._sources[part], number * CROP_BYTES
            if isinstance(source, CropFile):
                target = bytes_of_crops[start : start + CROP_BYTES]
                _fill(target, self._file(part, source), source, row)
            else:
                crops_hu[number] = source[row]

    def _file(self, part: int, source: CropFile) -> FileIO:
        if part not in self._files:
            self._files[part] = source.open()
        return self._files[part]


def _fill(target: memoryview, file: FileIO, source: CropFile, row: int) -> None:
    """Read one crop; the system may hand it out in pieces."""
    filled = 0
    try:
        file.seek(source.offset + row * CROP_BYTES)
        while filled < CROP_BYTES:
            num_bytes = file.readinto(target[filled:])
            if not num_bytes:
                raise OSError(0, "a file that was cut off")  # noqa: TRY301
            filled += num_bytes
    except OSError as error:
        raise source.unreadable(error) from error


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
