# SPDX-License-Identifier: Apache-2.0
"""Volumes written to disk and read back, whole and by windows; damage is never read as air."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from lung_pipeline.ct import store
from lung_pipeline.ct.geometry import VoxelGrid, canonical_axes
from lung_pipeline.ct.store import is_current, open_volume, write_volume
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import StoreError

COS, SIN = math.cos(0.3), math.sin(0.3)
OBLIQUE = ((-COS, SIN, 0.0), (-SIN, -COS, 0.0), (0.0, 0.0, 1.0))


def volume(
    shape_irc: tuple[int, int, int] = (40, 70, 90), seed: int = 5, thickness_mm: float | None = 3.75
) -> CtVolume:
    """Noise on an oblique, mirrored grid whose three spacings differ."""
    values = np.random.default_rng(seed).integers(-1000, 1001, shape_irc).astype(np.int16)
    original = VoxelGrid(shape_irc, (2.5, 0.8, 0.1 + 0.2), (-151.3, 12.7, 1 / 3), OBLIQUE)
    change = canonical_axes(original)
    return CtVolume(
        series_uid="1.2.3",
        voxels_hu=change.turn_voxels(values),
        grid=change.turn_grid(original),
        original_grid=original,
        source_sha256="ab" * 32,
        slice_thickness_mm=thickness_mm,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "volumes" / "subset0" / "1.2.3.zarr"


@pytest.mark.parametrize("shape_irc", [(40, 70, 90), (1, 1, 1), (32, 64, 64), (300, 5, 7)], ids=str)
def test_volume_comes_back_as_it_was(path: Path, shape_irc: tuple[int, int, int]) -> None:
    written = volume(shape_irc)
    write_volume(written, path)
    stored = open_volume(path)
    np.testing.assert_array_equal(stored.read_all(), written.voxels_hu)
    assert stored.read_all().dtype == np.int16
    for name in ("series_uid", "grid", "original_grid", "source_sha256", "slice_thickness_mm"):
        assert getattr(stored, name) == getattr(written, name), name


def test_thickness_that_no_header_gave_stays_unknown(path: Path) -> None:
    write_volume(volume(thickness_mm=None), path)
    assert open_volume(path).slice_thickness_mm is None


def test_windows_are_slices_of_the_volume(path: Path) -> None:
    written = volume()
    write_volume(written, path)
    stored = open_volume(path)
    rng = np.random.default_rng(1)
    for _ in range(20):
        start = [int(rng.integers(0, size)) for size in written.grid.shape_irc]
        stop = [
            int(rng.integers(low + 1, size + 1))
            for low, size in zip(start, written.grid.shape_irc, strict=True)
        ]
        index, row, column = (slice(a, b) for a, b in zip(start, stop, strict=True))
        expected = written.voxels_hu[index, row, column]
        np.testing.assert_array_equal(stored.read_window(start, stop), expected)


@pytest.mark.parametrize(
    ("start_irc", "stop_irc"),
    [
        ((-1, 0, 0), (5, 5, 5)),
        ((0, 0, 0), (41, 5, 5)),
        ((0, 0, 60), (5, 5, 91)),
        ((5, 5, 5), (5, 6, 6)),
        ((5, 5, 5), (6, 6, 4)),
    ],
    ids=["before", "behind", "beside", "empty", "backward"],
)
def test_window_that_leaves_the_volume_is_refused(
    path: Path, start_irc: tuple[int, int, int], stop_irc: tuple[int, int, int]
) -> None:
    write_volume(volume(), path)
    with pytest.raises(StoreError, match=r"within the volume of shape \(40, 70, 90\)"):
        open_volume(path).read_window(start_irc, stop_irc)


def test_layout_on_disk_is_the_one_written_down(path: Path) -> None:
    write_volume(volume((300, 70, 90)), path)
    metadata = json.loads((path / "0" / "zarr.json").read_text())
    assert metadata["zarr_format"] == 3
    assert metadata["data_type"] == "int16"
    assert metadata["fill_value"] == -1000
    assert metadata["dimension_names"] == ["z", "y", "x"]
    assert metadata["chunk_grid"]["configuration"]["chunk_shape"] == [256, 128, 128]
    (sharding,) = metadata["codecs"]
    assert sharding["configuration"]["chunk_shape"] == [32, 64, 64]
    blosc = sharding["configuration"]["codecs"][-1]
    assert blosc["name"] == "blosc"
    wanted = {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle"}
    assert {key: blosc["configuration"][key] for key in wanted} == wanted
    assert len([file for file in (path / "0" / "c").rglob("*") if file.is_file()]) == 2


def test_ome_metadata_has_its_scale_in_the_order_of_its_axes(path: Path) -> None:
    written = volume()
    write_volume(written, path)
    ome = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (image,) = ome["multiscales"]
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in image["axes"]} == {"millimeter"}
    (level,) = image["datasets"]
    assert level["path"] == "0"
    assert level["coordinateTransformations"] == [{"type": "scale", "scale": [2.5, 0.8, 0.1 + 0.2]}]
    assert level["coordinateTransformations"][0]["scale"] == list(written.grid.spacing_irc_mm)


def test_plain_zarr_reads_the_same_voxels(path: Path) -> None:
    written = volume()
    write_volume(written, path)
    array: Any = zarr.open_array(path / "0", mode="r")
    np.testing.assert_array_equal(array[:], written.voxels_hu)


def test_crash_while_writing_leaves_no_final_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: CtVolume) -> dict[str, Any]:
        raise OSError("no space left on device")

    # The last thing written before the rename: all voxels are on disk by then.
    monkeypatch.setattr(store, "_ome", crash)
    with pytest.raises(OSError, match="no space left"):
        write_volume(volume(), path)
    assert list(path.parent.iterdir()) == []


def test_crash_while_writing_leaves_the_older_volume(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = volume(seed=1)
    write_volume(older, path)

    def crash(_: CtVolume) -> dict[str, Any]:
        raise OSError("no space left on device")

    monkeypatch.setattr(store, "_ome", crash)
    with pytest.raises(OSError, match="no space left"):
        write_volume(volume(seed=2), path)
    np.testing.assert_array_equal(open_volume(path).read_all(), older.voxels_hu)
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_volume_written_again_replaces_the_older_one(path: Path) -> None:
    write_volume(volume((40, 70, 90), seed=1), path)
    newer = volume((20, 30, 40), seed=2)
    write_volume(newer, path)
    np.testing.assert_array_equal(open_volume(path).read_all(), newer.voxels_hu)


def test_store_is_current_for_the_same_source_only(path: Path) -> None:
    written = volume()
    assert not is_current(path, written.source_sha256)
    write_volume(written, path)
    assert is_current(path, written.source_sha256)
    assert not is_current(path, "cd" * 32)


def test_store_of_another_converter_is_not_current(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_volume(volume(), path)
    monkeypatch.setattr(store, "CONVERTER_VERSION", "another")
    assert not is_current(path, volume().source_sha256)
    with pytest.raises(StoreError, match="converter version 2"):
        open_volume(path)


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Damage our attributes."""

    def edit(path: Path) -> None:
        metadata = json.loads((path / "zarr.json").read_text())
        change(metadata["attributes"])
        (path / "zarr.json").write_text(json.dumps(metadata))

    return edit


def shard(path: Path) -> Path:
    return path / "0" / "c" / "0" / "0" / "0"


DAMAGES: list[tuple[str, Callable[[Path], object]]] = [
    ("lost shard", lambda path: shard(path).unlink()),
    ("cut shard", lambda path: shard(path).write_bytes(shard(path).read_bytes()[:-100])),
    ("lost metadata", lambda path: (path / "zarr.json").unlink()),
    ("lost array", lambda path: (path / "0" / "zarr.json").unlink()),
    ("cut metadata", lambda path: (path / "zarr.json").write_text('{"zarr_format": 3, "no')),
    ("other metadata", lambda path: (path / "zarr.json").write_text("[]")),
    ("no attributes of ours", edited(lambda all_: all_.pop("lung_pipeline"))),
    ("attributes of another kind", edited(lambda all_: all_.update(lung_pipeline=[1]))),
    ("no spacing", edited(lambda all_: all_["lung_pipeline"].pop("spacing_irc_mm"))),
    ("two spacings", edited(lambda all_: all_["lung_pipeline"].update(spacing_irc_mm=[1, 1]))),
    ("no direction", edited(lambda all_: all_["lung_pipeline"].update(direction=None))),
    ("zero spacing", edited(lambda all_: all_["lung_pipeline"].update(spacing_irc_mm=[0, 1, 1]))),
    ("another shape", edited(lambda all_: all_["lung_pipeline"].update(shape_irc=[40, 70, 91]))),
    ("lost thickness", edited(lambda all_: all_["lung_pipeline"].pop("slice_thickness_mm"))),
    ("no list of files", edited(lambda all_: all_["lung_pipeline"].update(bytes_of_file=3))),
]


@pytest.mark.parametrize("damage", [d[1] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_damaged_store_is_refused_when_opened(path: Path, damage: Callable[[Path], object]) -> None:
    write_volume(volume(), path)
    damage(path)
    with pytest.raises(StoreError) as caught:
        open_volume(path)
    assert caught.value.place == str(path)
    assert not is_current(path, volume().source_sha256)


def test_garbage_within_a_shard_is_refused_when_read(path: Path) -> None:
    write_volume(volume(), path)
    content = bytearray(shard(path).read_bytes())
    content[: len(content) // 2] = b"\xff" * (len(content) // 2)
    shard(path).write_bytes(content)
    with pytest.raises(StoreError, match="a whole volume"):
        open_volume(path).read_all()


def test_absent_store_is_refused(path: Path) -> None:
    with pytest.raises(StoreError, match="must be stored there"):
        open_volume(path)


def test_file_or_foreign_array_at_the_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.zarr").write_text("no store")
    zarr.create_array(tmp_path / "array.zarr", shape=(2, 2), dtype="int16")
    (tmp_path / "empty.zarr").mkdir()
    for name in ("file.zarr", "array.zarr", "empty.zarr"):
        with pytest.raises(StoreError):
            open_volume(tmp_path / name)


def test_volume_of_nothing_but_air_is_told_from_a_lost_one(path: Path) -> None:
    air = volume()
    write_volume(replace(air, voxels_hu=np.full_like(air.voxels_hu, -1000)), path)
    assert (open_volume(path).read_all() == -1000).all()
    shard(path).unlink()
    with pytest.raises(StoreError, match=r"0 of \d+ bytes in 0/c/0/0/0"):
        open_volume(path)
