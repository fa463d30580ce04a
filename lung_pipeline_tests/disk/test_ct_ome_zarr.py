# SPDX-License-Identifier: Apache-2.0
"""OME-Zarr as viewers read it: valid, each cell where its voxels lie, the exact grid beside it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from yaozarrs import v05, validate_ome_object

from lung_pipeline.ct import ome_zarr
from lung_pipeline.ct.geometry import Matrix3, VoxelGrid, canonical_axes
from lung_pipeline.ct.grid_attributes import grid_from
from lung_pipeline.ct.ome_zarr import write_ome_zarr
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import GeometryError

COS, SIN = math.cos(0.3), math.sin(0.3)
SPACING_IRC_MM = (2.5, 0.8, 0.1 + 0.2)
DIRECTIONS: dict[str, Matrix3] = {
    "upright": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "mirrored": ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0)),
    "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    "tilted": ((1.0, 0.0, 0.0), (0.0, COS, -SIN), (0.0, SIN, COS)),
    "turned and mirrored": ((-COS, SIN, 0.0), (-SIN, -COS, 0.0), (0.0, 0.0, 1.0)),
}


@dataclass(frozen=True)
class Box:
    """In place of the network's: half as sure in each further voxel of a row."""

    start_irc: tuple[int, int, int]
    values: npt.NDArray[np.float16]


def volume(shape_irc: tuple[int, int, int] = (70, 150, 131), name: str = "upright") -> CtVolume:
    values = np.random.default_rng(3).integers(-1000, 1001, shape_irc).astype(np.int16)
    original = VoxelGrid(shape_irc, SPACING_IRC_MM, (-151.3, 12.7, 1 / 3), DIRECTIONS[name])
    change = canonical_axes(original)
    voxels_hu, grid = change.turn_voxels(values), change.turn_grid(original)
    return CtVolume("1.2.3", voxels_hu, grid, original, "ab" * 32)


def no_labels(of: CtVolume) -> npt.NDArray[np.uint16]:
    return np.zeros(of.grid.shape_irc, dtype=np.uint16)


def ome_of(group: Path) -> dict[str, Any]:
    return json.loads((group / "zarr.json").read_text())["attributes"]["ome"]


def centres_mm(group: Path, level: int, voxel: tuple[int, int, int]) -> list[float]:
    """Where a viewer shows the centre of a voxel of a resolution, in z, y, x."""
    (image,) = ome_of(group)["multiscales"]
    scale, move = image["datasets"][level]["coordinateTransformations"]
    assert (scale["type"], move["type"]) == ("scale", "translation")
    return (np.asarray(voxel) * scale["scale"] + move["translation"]).tolist()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ome.zarr"


def test_every_group_is_valid_by_the_specification(path: Path) -> None:
    scan = volume()
    labels = no_labels(scan)
    labels[3:5, 10:20, 10:20] = 2
    write_ome_zarr(path, scan, Box((10, 20, 30), np.ones((20, 40, 50), np.float16)), labels)
    (image,) = validate_ome_object(ome_of(path), v05.Image).multiscales
    assert len(image.datasets) == 3
    validate_ome_object(ome_of(path / "probability"), v05.Image)
    assert validate_ome_object(ome_of(path / "labels"), v05.LabelsGroup).labels == ["findings"]
    of_label = validate_ome_object(ome_of(path / "labels" / "findings"), v05.LabelImage)
    assert [colour.label_value for colour in of_label.image_label.colors] == [1, 2]
    assert len({tuple(colour.rgba) for colour in of_label.image_label.colors}) == 2


def test_every_resolution_holds_all_voxels_as_means_and_labels_as_highest(path: Path) -> None:
    scan = volume()
    labels = no_labels(scan)
    labels[69, 149, 130] = 7  # the last voxel, alone in its cell
    write_ome_zarr(path, scan, None, labels)
    stored: Any = zarr.open_group(path, mode="r")
    np.testing.assert_array_equal(stored["0"][:], scan.voxels_hu)
    assert [stored[str(n)].shape for n in range(3)] == [(70, 150, 131), (70, 75, 66), (35, 38, 33)]
    for array in ("0", "1", "2"):
        assert stored[f"labels/findings/{array}"].shape == stored[array].shape
        assert stored[f"labels/findings/{array}"][-1, -1, -1] == 7
    hu = scan.voxels_hu
    assert stored["1"][5, 3, 4] == np.rint(hu[5, 6:8, 8:10].mean())
    assert stored["2"][33, 3, 4] == np.rint(hu[66:68, 12:16, 16:20].mean())
    # A cell that leaves the volume repeats the last voxels: here one column of two.
    assert stored["1"][5, 3, 65] == np.rint(hu[5, 6:8, 130].mean())
    assert "probability" not in stored


def test_probabilities_lie_in_their_box_in_a_type_that_viewers_read(path: Path) -> None:
    scan = volume()
    box = Box((10, 20, 30), np.linspace(0, 1, 20 * 40 * 70).reshape(20, 40, 70).astype(np.float16))
    write_ome_zarr(path, scan, box, no_labels(scan))
    array: Any = zarr.open_array(path / "probability" / "0", mode="r")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[:], box.values.astype(np.float32))
    of_box = centres_mm(path / "probability", 0, (1, 2, 3))
    assert of_box == pytest.approx(centres_mm(path, 0, (11, 22, 33)), abs=1e-9)


def test_a_cell_lies_in_the_middle_of_its_voxels(path: Path) -> None:
    scan = volume()
    write_ome_zarr(path, scan, None, no_labels(scan))
    for group in (path, path / "labels" / "findings"):
        low, high = (centres_mm(path, 0, voxel) for voxel in ((4, 8, 12), (5, 11, 15)))
        assert centres_mm(group, 2, (2, 2, 3)) == pytest.approx(np.mean([low, high], axis=0))
        low, high = (centres_mm(path, 0, voxel) for voxel in ((4, 8, 12), (4, 9, 13)))
        assert centres_mm(group, 1, (4, 4, 6)) == pytest.approx(np.mean([low, high], axis=0))


@pytest.mark.parametrize("name", ["upright", "mirrored", "coronal"])
def test_a_viewer_shows_the_patients_own_millimetres_without_a_tilt(path: Path, name: str) -> None:
    scan = volume(name=name)
    write_ome_zarr(path, scan, None, no_labels(scan))
    (xyz_mm,) = scan.grid.irc_to_xyz_mm([(3, 50, 70)]).tolist()
    assert centres_mm(path, 0, (3, 50, 70))[::-1] == pytest.approx(xyz_mm, abs=1e-9)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_grids_come_back_to_the_last_bit(path: Path, name: str) -> None:
    scan = volume((5, 6, 7), name)
    write_ome_zarr(path, scan, None, no_labels(scan))
    ours = json.loads((path / "zarr.json").read_text())["attributes"]["lung_pipeline"]
    assert grid_from(ours) == scan.grid
    assert grid_from(ours["original_grid"]) == scan.original_grid
    assert (ours["series_uid"], ours["source_sha256"]) == ("1.2.3", "ab" * 32)


@pytest.mark.parametrize(("shape", "levels"), [((1, 1, 1), 1), ((9, 65, 9), 2), ((9, 9, 130), 3)])
def test_small_pictures_are_not_made_smaller(
    path: Path, shape: tuple[int, int, int], levels: int
) -> None:
    scan = volume(shape)
    write_ome_zarr(path, scan, None, no_labels(scan))
    assert len(ome_of(path)["multiscales"][0]["datasets"]) == levels


def test_what_does_not_fit_the_volume_is_refused_and_nothing_is_written(path: Path) -> None:
    scan = volume((5, 6, 7))
    with pytest.raises(GeometryError, match=r"labels must have the volume's shape \(5, 6, 7\)"):
        write_ome_zarr(path, scan, None, np.zeros((5, 6, 8), np.uint16))
    beyond = Box((0, 0, 3), np.zeros((5, 6, 5), np.float16))
    with pytest.raises(GeometryError, match="box of probabilities must lie within"):
        write_ome_zarr(path, scan, beyond, no_labels(scan))
    assert not path.exists()


def test_crash_while_writing_leaves_the_older_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = volume((5, 6, 7))
    write_ome_zarr(path, scan, None, no_labels(scan))

    def crash(_: int) -> dict[str, Any]:
        raise OSError("no space left on device")

    monkeypatch.setattr(ome_zarr, "_image_label", crash)
    with pytest.raises(OSError, match="no space left"):
        write_ome_zarr(path, volume((2, 2, 2)), None, no_labels(volume((2, 2, 2))))
    stored: Any = zarr.open_array(path / "0", mode="r")
    assert stored.shape == (5, 6, 7)
    assert [child.name for child in path.parent.iterdir()] == [path.name]
