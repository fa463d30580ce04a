# SPDX-License-Identifier: Apache-2.0
"""Our files of shards are those that Zarr writes, byte for byte, whatever the shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec

from lung_pipeline.ct.geometry import Triple
from lung_pipeline.ct.shards import write_shards

_FILL = -1000


@pytest.mark.parametrize(
    ("shape", "shard", "chunk"),
    [
        pytest.param((8, 16, 16), (8, 16, 16), (2, 4, 4), id="one full shard"),
        pytest.param((19, 16, 16), (8, 16, 16), (2, 4, 4), id="the last shard begun only"),
        pytest.param((5, 13, 10), (8, 16, 12), (2, 4, 4), id="an array within one shard"),
        pytest.param((21, 13, 30), (20, 16, 32), (4, 4, 4), id="numbers of chunks with other bits"),
        pytest.param((3, 3, 3), (4, 4, 4), (4, 4, 4), id="one chunk"),
    ],
)
def test_the_files_are_those_that_zarr_writes(
    tmp_path: Path, shape: Triple, shard: Triple, chunk: Triple
) -> None:
    voxels = np.random.default_rng(5).integers(-1000, 400, shape).astype(np.int16)
    voxels[: shape[0] // 2] = _FILL  # chunks of nothing but the fill are written too
    for name in ("zarr", "ours"):
        array = zarr.create_array(
            tmp_path / name,
            shape=shape,
            dtype="int16",
            chunks=chunk,
            shards=shard,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
            fill_value=_FILL,
            config={"write_empty_chunks": True},
        )
        if name == "zarr":
            array[:] = voxels

    write_shards(
        voxels,
        tmp_path / "ours" / "c",
        shard=shard,
        chunk=chunk,
        fill=_FILL,
        pack=Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE).encode,
    )

    assert _files(tmp_path / "ours") == _files(tmp_path / "zarr")
    assert np.array_equal(zarr.open_array(tmp_path / "ours", mode="r")[:], voxels)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }
