# SPDX-License-Identifier: Apache-2.0
"""The stack of slices: which are shown, what they are called, what is marked on them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from lung_pipeline.ct.geometry import VoxelGrid, canonical_axes
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.patient.shown import Shown
from lung_pipeline.reporting.patient.slice_pictures import MEAN_BYTES, QUALITIES, affordable_quality
from lung_pipeline.reporting.patient.slices import (
    SliceStack,
    file_slice,
    nearest_index,
    shown_indices,
    slice_title,
    stack_of,
)

GRID = VoxelGrid((12, 40, 50), (2.0, 0.8, 0.7), (-20.0, -20.0, -100.0))
VOXELS_HU = np.full(GRID.shape_irc, -850, dtype=np.int16)

FROM_HEAD = VoxelGrid(
    (12, 40, 50), (2.0, 0.8, 0.7), (-20.0, -20.0, -78.0), ((1, 0, 0), (0, 1, 0), (0, 0, -1))
)
"""The same voxels as a file that begins at the head."""

SAGITTAL = VoxelGrid(
    (50, 12, 40), (0.7, 2.0, 0.8), (-20.0, -20.0, -100.0), ((0, 0, 1), (1, 0, 0), (0, 1, 0))
)
"""The same voxels as a file that was cut from right to left."""


def shown(index: float, number: int | None, mask: FindingMask | None = None) -> Shown:
    x_mm, y_mm, z_mm = GRID.irc_to_xyz_mm([(index, 20, 25)])[0].tolist()
    return Shown(Finding("1", x_mm, y_mm, z_mm, index, 20, 25, 6.0, 0.9, 0.4), number, mask)


def stack(*findings: Shown, most: int = 300, original: VoxelGrid | None = GRID) -> SliceStack:
    return stack_of(VOXELS_HU, GRID, original, findings, (0, "1.2.3"), most)


@pytest.mark.parametrize(
    ("num_slices", "most", "every", "num_shown"),
    [(140, 300, 1, 140), (300, 300, 1, 300), (301, 300, 2, 151), (700, 300, 3, 234), (1, 9, 1, 1)],
)
def test_of_many_slices_every_nth_is_shown(
    num_slices: int, most: int, every: int, num_shown: int
) -> None:
    found, indices = shown_indices(num_slices, (), most)
    assert found == every
    assert len(indices) == num_shown


def test_slices_of_nodules_are_always_shown_and_the_head_comes_first() -> None:
    every, indices = shown_indices(10, {4, 7}, 4)
    assert every == 3
    assert indices == [9, 7, 6, 4, 3, 0]


def test_a_slice_is_called_as_the_file_counts_it() -> None:
    for original in (FROM_HEAD, SAGITTAL):
        turned = canonical_axes(original).turn_grid(original)
        np.testing.assert_allclose(
            turned.irc_to_xyz_mm([[3, 1, 2]]), GRID.irc_to_xyz_mm([[3, 1, 2]])
        )
    assert file_slice(3, GRID, GRID) == 3
    assert file_slice(3, GRID, FROM_HEAD) == 8
    assert file_slice(3, GRID, SAGITTAL) is None
    assert slice_title(3, GRID, FROM_HEAD) == "Slice 8 of the file, from 0 · z -94.0 mm"
    for unknown in (SAGITTAL, None):
        title = slice_title(3, GRID, unknown)
        assert title == "Slice 3, counted from the feet from 0 · z -94.0 mm"


def test_the_stack_starts_at_the_most_suspicious_nodule_and_marks_all() -> None:
    of_series = stack(shown(2.4, 2), shown(8.6, 1), shown(5.0, None))
    assert [view.slice_id for view in of_series.slices][:2] == ["slice-0-11", "slice-0-10"]
    assert of_series.slices[of_series.start].slice_id == "slice-0-9"
    ticks = {tick.number: (tick.slice_id, tick.share) for tick in of_series.ticks}
    assert ticks == {
        1: ("slice-0-9", pytest.approx(2 / 11)),
        2: ("slice-0-2", pytest.approx(9 / 11)),
    }
    central = [view.slice_id for view in of_series.slices if view.is_central]
    assert central == ["slice-0-9", "slice-0-2"]


def test_without_nodules_the_stack_starts_in_the_middle() -> None:
    of_series = stack(shown(2.0, None))
    assert of_series.start == 6
    assert of_series.ticks == ()


def test_numbers_and_outlines_stand_on_the_slices_a_mask_cuts() -> None:
    voxels = np.zeros((5, 3, 3), dtype=bool)
    voxels[1:4, 1, 1] = True  # slices 3 to 5 of the volume
    of_series = stack(shown(4.0, 1, FindingMask((2, 19, 24), voxels)))
    by_id = {view.slice_id: view for view in of_series.slices}
    for index in range(12):
        view = by_id[f"slice-0-{index}"]
        assert view.numbers == ((1,) if 3 <= index <= 5 else ())
        assert (view.layer is not None) == (3 <= index <= 5)


def test_outlines_tell_nodules_from_other_findings() -> None:
    voxel = np.ones((1, 1, 1), dtype=bool)
    of_series = stack(
        shown(4.0, 1, FindingMask((4, 10, 10), voxel)),
        shown(4.0, None, FindingMask((4, 30, 40), voxel)),
    )
    layer = next(view.layer for view in of_series.slices if view.layer)
    body = layer.partition(",")[2]
    rgba = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGBA"))
    assert rgba.shape == (40, 50, 4)
    assert rgba[9, 10].tolist() == [255, 196, 61, 255]
    assert rgba[29, 40].tolist() == [125, 180, 255, 255]


def test_a_finding_beyond_the_volume_belongs_to_its_first_or_last_slice() -> None:
    assert nearest_index(shown(-40.0, 1), GRID) == 0
    assert nearest_index(shown(400.0, 1), GRID) == 11


def test_pictures_are_slices_one_pixel_a_voxel_and_shown_in_proportion() -> None:
    of_series = stack()
    body = of_series.slices[0].picture.partition(",")[2]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))
    assert picture.shape == (40, 50)
    assert np.abs(picture.astype(int) - 85).max() <= 2
    assert of_series.aspect == pytest.approx(50 * 0.7 / (40 * 0.8))


def test_quality_falls_until_the_budget_holds() -> None:
    rng = np.random.default_rng(0)
    noise_hu = rng.normal(-700, 150, (20, 256, 256)).astype(np.int16)
    assert affordable_quality(noise_hu, range(20)) < QUALITIES[0]
    assert affordable_quality(np.full_like(noise_hu, -850), range(20)) == QUALITIES[0]
    hopeless_hu = rng.integers(-1000, 1000, (1, 1024, 1024)).astype(np.int16)
    assert affordable_quality(hopeless_hu, [0]) == QUALITIES[-1]
    assert MEAN_BYTES * 140 * 4 / 3 < 4_000_000
