# SPDX-License-Identifier: Apache-2.0
"""What the check after an ingest says of a volume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.stored_quality import problems

GRID = VoxelGrid((7, 4, 4), (2.5, 0.8, 0.8), (0.0, 0.0, 0.0))


def well() -> npt.NDArray[np.int16]:
    voxels_hu = np.full(GRID.shape_irc, -1000, np.int16)
    voxels_hu[2:5] = 40
    return voxels_hu


def with_value(value: int) -> npt.NDArray[np.int16]:
    voxels_hu = well()
    voxels_hu[3, 1, 1] = value
    return voxels_hu


def test_a_well_volume_has_no_problems() -> None:
    assert problems(well(), GRID) == []


CASES: list[tuple[str, npt.NDArray[Any], dict[str, Any], str]] = [
    ("above the range", with_value(1001), {}, "HU reach from -1000 to 1001"),
    ("below the range", with_value(-1024), {}, "HU reach from -1024 to 40"),
    ("float", well().astype(np.float32), {}, "Voxels are float32, not int16."),
    ("no air", np.maximum(well(), -499), {}, "No air: the lowest value is -499 HU"),
    ("all alike", np.full(GRID.shape_irc, -1000, np.int16), {}, "Every voxel is -1000 HU."),
    ("empty", np.zeros((0, 4, 4), np.int16), {}, "There are no voxels."),
    ("another shape", well()[:, :3], {}, "shape (7, 3, 4), their grid (7, 4, 4)"),
    ("too few slices", well()[:6], {"shape_irc": (6, 4, 4)}, "6 slices, fewer than 7."),
    ("metres", well(), {"spacing_irc_mm": (2500.0, 800.0, 800.0)}, "above 10 mm"),
    (
        "flipped",
        well(),
        {"direction": ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))},
        "not in canonical order",
    ),
]


@pytest.mark.parametrize(
    ("voxels", "changes", "said"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_each_broken_rule_is_told_in_a_sentence(
    voxels: npt.NDArray[Any], changes: dict[str, Any], said: str
) -> None:
    found = problems(voxels, replace(GRID, **changes))
    assert any(said in sentence for sentence in found), found


def test_several_problems_are_all_told() -> None:
    found = problems(with_value(3000)[:5], replace(GRID, shape_irc=(5, 4, 4)))
    assert len(found) == 2
