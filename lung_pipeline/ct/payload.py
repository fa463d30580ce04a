# SPDX-License-Identifier: Apache-2.0
"""The voxels' bytes in a file: exactly as many as the header says, not one fewer or more.

Belongs here: counting, also through compression. Does not belong here: what a header means; each
format's own module says that.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Literal

from lung_pipeline.errors import ReadingError

Packing = Literal["raw", "zlib", "gzip"]
"""How the bytes are packed; gzip may come in several members, as ``bgzip`` writes it."""

MOST_VOLUME_BYTES = 1 << 30
"""The voxels of a scan, unpacked: 512 x 512 x 2048 in 16 bits, three times the longest chest CT.
A compressed file of a megabyte may promise, and hold, a thousand times as much."""

WIDEST_VOXEL_BYTES = 8
"""A voxel as float64, the widest type that is read of any format."""

_BLOCK_BYTES = 1 << 16
"""Read at once; a block of zlib grows at most 1032-fold, so 64 MiB bound the memory."""


def refuse_other_length(path: Path, *, start: int, expected: int, packing: Packing) -> None:
    """Refuse a file whose voxels, from byte ``start``, do not fill exactly ``expected`` bytes.

    Raises:
        ReadingError: too few bytes, too many, more than a scan has, or a compressed stream that
            breaks off.
    """
    if expected > MOST_VOLUME_BYTES:
        raise ReadingError(
            value=f"{expected} bytes",
            place=path,
            rule=f"the voxels must fill at most {MOST_VOLUME_BYTES} bytes",
            cure="Reconstruct the scan with fewer or coarser slices, or as 16-bit integers.",
        )
    found = _count(path, start, expected, packing)
    if found == expected:
        return
    # Of a compressed stream no more is unpacked than shows that it is too long.
    too_long = packing != "raw" and found > expected
    raise ReadingError(
        value="more" if too_long else f"{found}",
        place=path,
        rule=f"the voxels must fill {expected} bytes, as the header says",
        cure="Copy the file again; where the copy is right, the header's size or type is wrong.",
    )


def refuse_odd_shape(place: Path, shape: Iterable[int]) -> None:
    """Refuse a size that is not three numbers of at least one."""
    sizes = tuple(shape)
    if len(sizes) != 3 or min(sizes) < 1:
        raise ReadingError(
            value=sizes,
            place=place,
            rule="a CT must have three dimensions of at least one voxel",
            cure="Give one whole volume: not a picture, a time series or a vector field.",
        )


def bytes_of(shape: Iterable[int], bytes_per_voxel: int) -> int:
    """The bytes a volume fills."""
    return math.prod(shape) * bytes_per_voxel


def _count(path: Path, start: int, expected: int, packing: Packing) -> int:
    with path.open("rb") as file:
        file.seek(start)
        if packing == "raw":
            return max(path.stat().st_size - start, 0)
        try:
            return (_count_gzip if packing == "gzip" else _count_zlib)(file, expected)
        except (EOFError, OSError, zlib.error) as error:
            raise ReadingError(
                value=f"'{error}'",
                place=path,
                rule="the compressed voxels must unpack to their end",
                cure="Copy the file again from its source: it is truncated or damaged.",
            ) from None


def _count_gzip(file: BinaryIO, expected: int) -> int:
    found = 0
    with gzip.GzipFile(fileobj=file) as stream:
        while found <= expected and (block := stream.read(_BLOCK_BYTES)):
            found += len(block)
    return found


def _count_zlib(file: BinaryIO, expected: int) -> int:
    found = 0
    # 47 = the largest window, and either of the two headers that MetaIO writes and reads.
    inflater = zlib.decompressobj(wbits=47)
    while found <= expected and (block := file.read(_BLOCK_BYTES)):
        found += len(inflater.decompress(block))
    if found <= expected and not inflater.eof:
        raise EOFError(f"the stream breaks off after {found} bytes")
    return found
