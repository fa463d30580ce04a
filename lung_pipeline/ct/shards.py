# SPDX-License-Identifier: Apache-2.0
"""The files of a Zarr array whose chunks lie in shards, written all chunks at once.

Zarr's own writer takes each chunk through a dozen small tasks and fills it with nothing first:
half of the time of packing again. Reading is left to Zarr. The bytes are those that Zarr writes:
chunks in Morton order, then offset and length of each, then a checksum of these.
Specification: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/

Belongs here: those bytes. Does not belong here: which codec and shapes (``store.py``).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from lung_pipeline.ct.geometry import Triple
from lung_pipeline.ct.hounsfield import VoxelsHu

Pack = Callable[[VoxelsHu], bytes]
"""A chunk, contiguous in memory, to its bytes on disk."""


def write_shards(
    voxels: VoxelsHu, folder: Path, *, shard: Triple, chunk: Triple, fill: int, pack: Pack
) -> None:
    """Write an array's shards as ``folder/<index>/<row>/<column>``.

    Args:
        voxels: the array.
        folder: the folder of its chunks, called "c" by Zarr.
        shard: shape of a shard, a multiple of the chunk's; it may exceed the array.
        chunk: shape of a chunk.
        fill: what stands beyond the array's end in a chunk that exceeds it.
        pack: the codec.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for place in itertools.product(*map(_starts, voxels.shape, shard)):
            window = tuple(slice(at, at + size) for at, size in zip(place, shard, strict=True))
            file = folder.joinpath(*(str(at // n) for at, n in zip(place, shard, strict=True)))
            file.parent.mkdir(parents=True, exist_ok=True)
            _write_shard(voxels[window], file, shard, chunk, fill, pack, threads)


def _write_shard(
    voxels: VoxelsHu,
    file: Path,
    shard: Triple,
    chunk: Triple,
    fill: int,
    pack: Pack,
    threads: ThreadPoolExecutor,
) -> None:
    from numcodecs.checksum32 import CRC32C

    counts = tuple(size // n for size, n in zip(shard, chunk, strict=True))
    inside = [len(_starts(*pair)) for pair in zip(voxels.shape, chunk, strict=True)]
    wanted = [at for at in _morton_order(counts) if np.less(at, inside).all()]
    # All ones: what the specification says of a chunk that is not there.
    index = np.full((*counts, 2), np.iinfo(np.uint64).max, dtype="<u8")
    start = 0
    with file.open("wb") as stream:
        packed = threads.map(lambda at: pack(_chunk_at(voxels, at, chunk, fill)), wanted)
        for at, content in zip(wanted, packed, strict=True):
            stream.write(content)
            index[at] = (start, len(content))
            start += len(content)
        # Numcodecs puts the checksum behind the bytes, as Zarr does.
        stream.write(CRC32C(location="end").encode(index.tobytes()))


def _chunk_at(voxels: VoxelsHu, at: Sequence[int], chunk: Triple, fill: int) -> VoxelsHu:
    window = tuple(slice(n * size, (n + 1) * size) for n, size in zip(at, chunk, strict=True))
    part = voxels[window]
    if part.shape == chunk:
        return np.ascontiguousarray(part)
    whole = np.full(chunk, fill, dtype=voxels.dtype)
    whole[tuple(slice(0, size) for size in part.shape)] = part
    return whole


def _starts(size: int, step: int) -> range:
    return range(0, size, step)


def _morton_order(counts: tuple[int, ...]) -> Iterator[Any]:
    """Places of chunks, the bits of their three numbers interleaved; a number ends at its own bits.

    An axis with fewer bits than the others drops out of the turns where its bits are used up.
    """
    bits = [(count - 1).bit_length() for count in counts]
    turns = [
        (axis, bit) for bit in range(max(bits)) for axis in range(len(counts)) if bit < bits[axis]
    ]
    for code in range(1 << len(turns)):
        at = [0] * len(counts)
        for place, (axis, bit) in enumerate(turns):
            at[axis] |= (code >> place & 1) << bit
        if all(n < count for n, count in zip(at, counts, strict=True)):
            yield tuple(at)
