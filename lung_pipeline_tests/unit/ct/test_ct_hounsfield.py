# SPDX-License-Identifier: Apache-2.0
"""What counts as Hounsfield units, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lung_pipeline.ct.hounsfield import to_hu
from lung_pipeline.errors import HounsfieldError


def cube(*values: float, dtype: str = "float64") -> npt.NDArray[Any]:
    return np.array(values, dtype=dtype).reshape(-1, 1, 1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "float32", "float64"])
def test_values_are_clipped_whatever_their_type(dtype: str) -> None:
    voxels_hu = to_hu(cube(-3024, -1001, -1000, 0, 1000, 1001, 5892, dtype=dtype), "scan")
    assert voxels_hu.dtype == np.int16
    assert voxels_hu.ravel().tolist() == [-1000, -1000, -1000, 0, 1000, 1000, 1000]


def test_fractions_are_rounded_not_cut() -> None:
    assert to_hu(cube(-999.6, -0.6, 0.4, 0.6), "scan").ravel().tolist() == [-1000, -1, 0, 1]


def test_reader_s_values_are_left_as_they_were() -> None:
    values = cube(-2000, 0, 2000, dtype="int16")
    to_hu(values, "scan")
    assert values.ravel().tolist() == [-2000, 0, 2000]


REFUSED = [
    ("not a number", cube(-1000, np.nan, np.nan), "every voxel must be finite, got 2 voxels"),
    ("infinite", cube(-1000, np.inf), "every voxel must be finite, got 1 voxels"),
    ("a mask", cube(0, 1, dtype="uint8"), r"must contain air.*\[0, 1\]"),
    ("a windowed picture", cube(0, 255, dtype="uint8"), r"must contain air.*\[0, 255\]"),
    ("not rescaled", cube(0, 4095, dtype="uint16"), r"must contain air.*\[0, 4095\]"),
    ("just too dense", cube(-499, 0), "must contain air"),
    ("beyond 16 bits", cube(-1000, 32768), "must fit into 16 bits"),
    ("below 16 bits", cube(-32769, 0), "must fit into 16 bits"),
    ("truth values", cube(0, 1, dtype="bool"), "must be single numbers, got bool"),
    ("complex", cube(-1000, 1, dtype="complex64"), "must be single numbers, got complex64"),
]


@pytest.mark.parametrize(("values", "rule"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_values_that_are_no_ct_are_refused(values: npt.NDArray[Any], rule: str) -> None:
    with pytest.raises(HounsfieldError, match=rule) as caught:
        to_hu(values, "the/scan.mhd")
    assert caught.value.place == "the/scan.mhd"


def test_values_at_the_edge_of_16_bits_and_of_air_are_taken() -> None:
    assert to_hu(cube(-32768, 32767), "scan").ravel().tolist() == [-1000, 1000]
    assert to_hu(cube(-500, 0), "scan").ravel().tolist() == [-500, 0]
