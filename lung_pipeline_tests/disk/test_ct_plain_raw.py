# SPDX-License-Identifier: Apache-2.0
"""Plain files of numbers are read without ITK, and only those: both give one volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.ct import itk
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.metaio import plain_int16
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.phantom.folder import make_header

_VALUES = np.random.default_rng(3).integers(-2000, 2000, (7, 9, 8)).astype("<i2")


def _written(folder: Path, values: np.ndarray = _VALUES, **changed: str) -> Path:
    header = make_header(VoxelGrid((7, 9, 8), (2.5, 0.7, 0.7), (-10.0, -20.0, 30.0)), "a.raw")
    kept = [line for line in header.splitlines() if line.split(" ")[0] not in changed]
    # Before the last line, which must be the file's name, and after NDims, as MetaIO asks.
    kept[-1:-1] = [f"{key} = {value}" for key, value in changed.items()]
    header = "\n".join([*kept, ""])
    values.tofile(folder / "a.raw")
    (folder / "a.mhd").write_text(header)
    return folder / "a.mhd"


def test_the_volume_is_that_of_itk(tmp_path: Path) -> None:
    scan = _written(tmp_path, TransformMatrix="-1 0 0 0 -1 0 0 0 1")
    assert plain_int16(scan) == tmp_path / "a.raw"
    with itk.opened_image(scan, "MetaImageIO") as (values, grid):
        expected = np.clip(values, -1000, 1000)[:, ::-1, ::-1]
        volume = read_ct(scan)
        assert volume.original_grid == grid
    np.testing.assert_array_equal(volume.voxels_hu, expected)


@pytest.mark.parametrize(
    ("changed", "stored"),
    [
        pytest.param({"BinaryDataByteOrderMSB": "True"}, ">i2", id="the other order of bytes"),
        pytest.param({"ElementByteOrderMSB": "True"}, ">i2", id="the other order, by its old name"),
        pytest.param({"ElementType": "MET_FLOAT"}, "<f4", id="another type"),
    ],
)
def test_other_files_are_left_to_itk(tmp_path: Path, changed: dict[str, str], stored: str) -> None:
    scan = _written(tmp_path, _VALUES.astype(stored), **changed)
    assert plain_int16(scan) is None
    if changed.get("ElementByteOrderMSB") is None:
        np.testing.assert_array_equal(read_ct(scan).voxels_hu, np.clip(_VALUES, -1000, 1000))


def test_a_line_that_stands_twice_is_left_to_itk(tmp_path: Path) -> None:
    scan = _written(tmp_path)
    scan.write_text(scan.read_text().replace("NDims = 3\n", "NDims = 3\ncompresseddata = True\n"))
    assert plain_int16(scan) is None
