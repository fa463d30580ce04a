# SPDX-License-Identifier: Apache-2.0
"""Where is looked: boxes around the lungs, run of slices by run of slices."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.diagnosis.steps.parts import MARGIN_MM, MULTIPLE, RUN_SLICES, parts_to_look_at

SHAPE_IRC = (40, 200, 220)
GRID = VoxelGrid(SHAPE_IRC, (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def _lungs(box: tuple[slice, ...] | None) -> Lungs:
    mask = np.zeros(SHAPE_IRC, dtype=np.bool_)
    if box is not None:
        mask[box] = True
    return Lungs(mask, (1, 1, 1), GRID)


def test_without_lungs_in_mind_every_voxel_is_looked_at_once() -> None:
    seen = np.zeros(SHAPE_IRC, dtype=int)
    for part in parts_to_look_at(SHAPE_IRC, None):
        seen[part] += 1
    assert (seen == 1).all()


def test_where_there_is_no_lung_nothing_is_looked_at() -> None:
    assert parts_to_look_at(SHAPE_IRC, _lungs(None)) == []


def test_boxes_hold_the_lungs_with_a_margin_and_little_more() -> None:
    lung = np.s_[16:24, 80:120, 100:140]
    parts = parts_to_look_at(SHAPE_IRC, _lungs(lung))
    seen = np.zeros(SHAPE_IRC, dtype=int)
    for slices, rows, columns in parts:
        seen[slices, rows, columns] += 1
        assert slices.stop - slices.start <= RUN_SLICES
        for along in (rows, columns):
            # Whichever box a pixel lies in, the network halves it together with the same ones.
            assert along.start % MULTIPLE == along.stop % MULTIPLE == 0
            assert along.stop - along.start <= 40 + 2 * MARGIN_MM + 2 * MULTIPLE
    assert seen.max() == 1
    margin = int(MARGIN_MM)
    assert seen[16:24, 80 - margin : 120 + margin, 100 - margin : 140 + margin].all()
    # 18 mm above and below are 9 slices: 7 to 33.
    assert seen[7:33].any(axis=(1, 2)).all()


@pytest.mark.parametrize("lung", [np.s_[:, :, :], np.s_[0:8, 0:3, 217:220]])
def test_no_box_leaves_the_scan(lung: tuple[slice, ...]) -> None:
    for part in parts_to_look_at(SHAPE_IRC, _lungs(lung)):
        assert all(
            0 <= along.start < along.stop <= size
            for along, size in zip(part, SHAPE_IRC, strict=True)
        )
