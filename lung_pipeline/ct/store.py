# SPDX-License-Identifier: Apache-2.0
"""Volumes on disk: one chunked Zarr array a series, read whole or window by window.

Belongs here: the layout of that array and all that knows Zarr. Does not belong here: what a volume
must be like; ``quality`` says that.

The group holds the array "0" and two sets of attributes. "lung_pipeline" is the truth: grid,
original grid, source. "ome" is OME-Zarr 0.5, so that common viewers open the volume; it knows
spacings (in the order z, y, x) but no direction. Specification: https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.grid_attributes import attributes_of, grid_from
from lung_pipeline.ct.hounsfield import AIR_HU, VoxelsHu
from lung_pipeline.ct.shards import write_shards
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import GeometryError, StoreError
from lung_pipeline.remote.objects import objects_at
from lung_pipeline.remote.places import is_remote, store_of
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

CONVERTER_VERSION = "2"
"""Raised when the same source would be stored otherwise: other voxels, layout or attributes."""

CHUNK_IRC = (32, 64, 64)
"""Read at once: a crop touches few of these. 256 KiB before compression."""

SHARD_SLICES = 256
"""Slices a file: a scan becomes two to four files, however many chunks it has."""

_ARRAY = "0"
_OURS = "lung_pipeline"


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """A volume on disk, its voxels still there."""

    series_uid: str
    """As in ``CtVolume``."""

    grid: VoxelGrid
    """As in ``CtVolume``: in canonical order."""

    original_grid: VoxelGrid
    """As in ``CtVolume``: as the source had it."""

    source_sha256: str
    """As in ``CtVolume``."""

    slice_thickness_mm: float | None
    """As in ``CtVolume``: the gate asks for it."""

    path: Path
    """The folder of the store."""

    array: Any = field(repr=False, compare=False)
    """The Zarr array behind ``read_all`` and ``read_window``."""

    def read_all(self) -> VoxelsHu:
        """The whole volume in HU, shape ``grid.shape_irc``."""
        return self.read_window((0, 0, 0), self.grid.shape_irc)

    def read_window(self, start_irc: Sequence[int], stop_irc: Sequence[int]) -> VoxelsHu:
        """The voxels of the half-open range in HU; it must lie within the volume.

        Raises:
            StoreError: the range is empty or leaves the volume, or the store is damaged.
        """
        ranges = list(zip(start_irc, stop_irc, self.grid.shape_irc, strict=True))
        if not all(0 <= start < stop <= size for start, stop, size in ranges):
            raise StoreError(
                value=f"[{tuple(start_irc)}, {tuple(stop_irc)})",
                place=self.path,
                rule=f"a window must lie within the volume of shape {self.grid.shape_irc}",
                cure="Cut the window to the volume and pad the rest with air.",
            )
        try:
            return np.asarray(self.array[tuple(slice(start, stop) for start, stop, _ in ranges)])
        except (RuntimeError, ValueError, OSError) as error:
            raise _unusable(self.path, f"'{error}'") from None


def write_volume(volume: CtVolume, path: Path) -> None:
    """Write a volume as a Zarr group at ``path``, whole or not at all; an older one is replaced."""
    import zarr
    from zarr.codecs import BloscCodec
    from zarr.storage import MemoryStore

    shape = volume.grid.shape_irc
    # Waiting for the disk would take a third longer; who opens it asks each file for its size.
    with written_whole(path, is_flushed=False) as temporary:
        # Zarr writes a few files at once, and goes on with the others when one meets a full disk:
        # what we remove then could come back. So it describes in memory, and the files are ours.
        described: dict[str, Buffer] = {}
        group = zarr.open_group(MemoryStore(described), mode="w-", zarr_format=3)
        group.create_array(
            _ARRAY,
            shape=shape,
            dtype="int16",
            chunks=CHUNK_IRC,
            shards=_shard_irc(shape),
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
            fill_value=AIR_HU,
            dimension_names=("z", "y", "x"),
            # Chunks of nothing but air are written too, so that an absent one is a lost one.
            config={"write_empty_chunks": True},
        )
        _write_described(described, temporary)
        _write_voxels(volume.voxels_hu, temporary / _ARRAY / "c")
        group.attrs.update({_OURS: _our_attributes(volume, temporary), "ome": _ome(volume)})
        _write_described(described, temporary)


def _write_described(described: dict[str, Buffer], folder: Path) -> None:
    for name, text in described.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.to_bytes())


def _write_voxels(voxels_hu: VoxelsHu, folder: Path) -> None:
    from numcodecs import Blosc

    write_shards(
        voxels_hu,
        folder,
        shard=_shard_irc(voxels_hu.shape),
        chunk=CHUNK_IRC,
        fill=AIR_HU,
        pack=Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE).encode,
    )


def open_volume(path: Path) -> StoredVolume:
    """Open a stored volume; no voxel is read yet.

    Raises:
        StoreError: absent, incomplete, of another converter version, or not a store of ours.
    """
    import zarr

    try:
        group = zarr.open_group(_zarr_store(path), mode="r", zarr_format=3)
        array: Any = group[_ARRAY]
        ours: Any = group.attrs[_OURS]
        if ours["converter_version"] != CONVERTER_VERSION:
            raise _unusable(path, f"converter version {ours['converter_version']}")
        _refuse_lost(path, ours["bytes_of_file"])
        stored = StoredVolume(
            series_uid=ours["series_uid"],
            grid=grid_from(ours),
            original_grid=grid_from(ours["original_grid"]),
            source_sha256=ours["source_sha256"],
            slice_thickness_mm=_thickness_from(ours),
            path=path,
            array=array,
        )
    except (OSError, LookupError, TypeError, ValueError, AttributeError, GeometryError) as error:
        raise _unusable(path, f"'{error}'") from None
    if not isinstance(array, zarr.Array):
        raise _unusable(path, f"no array '{_ARRAY}'")
    if array.shape != stored.grid.shape_irc or array.dtype != np.int16:
        raise _unusable(path, f"an array of {array.dtype} and shape {array.shape}")
    return stored


def is_current(path: Path, source_sha256: str) -> bool:
    """Whether a whole store stands there, of the same source and converter: nothing to redo."""
    try:
        return open_volume(path).source_sha256 == source_sha256
    except StoreError:
        return False


def _shard_irc(shape_irc: tuple[int, ...]) -> tuple[int, int, int]:
    """Whole slices, in multiples of the chunk, as Zarr asks; a shard may exceed the array."""
    wanted = (min(shape_irc[0], SHARD_SLICES), shape_irc[1], shape_irc[2])
    index, row, column = (
        -(-size // chunk) * chunk for size, chunk in zip(wanted, CHUNK_IRC, strict=True)
    )
    return (index, row, column)


def _our_attributes(volume: CtVolume, written: Path) -> dict[str, Any]:
    return {
        "converter_version": CONVERTER_VERSION,
        "series_uid": volume.series_uid,
        "source_sha256": volume.source_sha256,
        "slice_thickness_mm": volume.slice_thickness_mm,
        **attributes_of(volume.grid),
        "original_grid": attributes_of(volume.original_grid),
        "bytes_of_file": {
            file.relative_to(written).as_posix(): file.stat().st_size
            for file in sorted((written / _ARRAY).rglob("*"))
            if file.is_file()
        },
    }


def _thickness_from(ours: dict[str, Any]) -> float | None:
    """None only where it was written so: a lost one would let thick slices through the gate."""
    thickness_mm = ours["slice_thickness_mm"]
    return None if thickness_mm is None else float(thickness_mm)


def _ome(volume: CtVolume) -> dict[str, Any]:
    scale = {"type": "scale", "scale": list(volume.grid.spacing_irc_mm)}
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": volume.series_uid,
                "axes": [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"],
                "datasets": [{"path": _ARRAY, "coordinateTransformations": [scale]}],
            }
        ],
    }


def _refuse_lost(path: Path, bytes_of_file: dict[str, int]) -> None:
    """Refuse a store with lost or cut files, which Zarr would read as air."""
    found = _bytes_of_files(path, bytes_of_file)
    for name, expected in bytes_of_file.items():
        if found.get(name, 0) != expected:
            raise _unusable(path, f"{found.get(name, 0)} of {expected} bytes in {name}")


def _bytes_of_files(path: Path, names: Iterable[str]) -> dict[str, int]:
    """Sizes of those that are there; from an object store in one listing."""
    if is_remote(path):
        return {name: one.num_bytes for name, one in objects_at(path).items()}
    files = {name: path / name for name in names}
    return {name: file.stat().st_size for name, file in files.items() if file.is_file()}


def _zarr_store(path: Path) -> Any:
    """What Zarr reads a volume from: its folder, or the object store and the name there."""
    if not is_remote(path):
        return path
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from zarr.storage import FsspecStore

    store, name = store_of(path)
    # Wrapped: Zarr's event loop is another than the store's, which is closed with it.
    return FsspecStore(AsyncFileSystemWrapper(store, asynchronous=True), read_only=True, path=name)


def _unusable(path: Path, found: str) -> StoreError:
    return StoreError(
        value=found,
        place=path,
        rule="a whole volume, as this version writes it, must be stored there",
        cure="Materialize hu_volumes for this subset again.",
    )
