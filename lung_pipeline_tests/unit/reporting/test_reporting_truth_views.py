# SPDX-License-Identifier: Apache-2.0
"""Which slices are shown in the colours of the truth, and what is drawn on them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.patient.shown import Shown
from lung_pipeline.reporting.patient.truth import Mark
from lung_pipeline.reporting.patient.truth_views import Truth, TruthView, ball_on, truth_views

GRID = VoxelGrid((20, 128, 128), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))
VOXELS_HU = np.full(GRID.shape_irc, -850, dtype=np.int16)


def nodule(
    number: int, irc: tuple[float, float, float], diameter_mm: float = 6.0, mask: bool = True
) -> Shown:
    x_mm, y_mm, z_mm = GRID.irc_to_xyz_mm([irc])[0].tolist()
    start = tuple(int(i) - 1 for i in irc)
    voxels = FindingMask((start[0], start[1], start[2]), np.ones((3, 3, 3), dtype=bool))
    return Shown(
        Finding("1", x_mm, y_mm, z_mm, *irc, diameter_mm, 0.9, 0.4),
        number,
        voxels if mask else None,
    )


def mark(irc: tuple[float, float, float], diameter_mm: float, finding: int | None) -> Mark:
    x_mm, y_mm, z_mm = GRID.irc_to_xyz_mm([irc])[0].tolist()
    return Mark("1", (x_mm, y_mm, z_mm), diameter_mm, finding)


def views(
    nodules: list[Shown], marks: list[Mark], masks: list[FindingMask] | None = None, most: int = 8
) -> tuple[TruthView, ...]:
    truth = Truth(list(enumerate(marks, start=1)), masks)
    return truth_views(VOXELS_HU, GRID, GRID, nodules, truth, most)


def counts(view: TruthView) -> tuple[int, int, int]:
    return view.num_true_positive, view.num_false_positive, view.num_false_negative


def test_marks_come_first_and_then_nodules_on_no_mark() -> None:
    found, in_vain = nodule(1, (4, 60, 60)), nodule(2, (10, 30, 30))
    marks = [mark((15, 90, 90), 5.0, None), mark((4, 60, 60), 5.0, 1)]
    titles = [view.title for view in views([found, in_vain], marks)]
    assert [title.partition(" · z")[0] for title in titles] == [
        "Slice 15 of the file, from 0",
        "Slice 4 of the file, from 0",
        "Slice 10 of the file, from 0",
    ]
    assert titles[0].endswith("mark 1 (missed)")
    assert titles[1].endswith("mark 2 (nodule 1)")
    assert titles[2].endswith("nodule 2 (no mark of its own)")


def test_a_slice_is_shown_once_and_names_all_it_was_chosen_for() -> None:
    marks = [mark((4, 60, 60), 5.0, 1), mark((4.3, 20, 20), 5.0, None)]
    (view,) = views([nodule(1, (4, 60, 60))], marks)
    assert view.title.endswith("mark 1 (nodule 1), mark 2 (missed)")


def test_voxels_are_counted_by_kind() -> None:
    # Nine voxels were found; a ball of 2.2 mm holds its middle voxel and the four beside it.
    (hit,) = views([nodule(1, (4, 60, 60))], [mark((4, 60, 60), 2.2, 1)])
    assert counts(hit) == (5, 4, 0)
    (missed,) = views([], [mark((4, 60, 60), 2.2, None)])
    assert counts(missed) == (0, 0, 5)
    (in_vain,) = views([nodule(1, (4, 60, 60))], [])
    assert counts(in_vain) == (0, 9, 0)


def test_a_nodule_without_its_mask_is_drawn_as_a_ball() -> None:
    (view,) = views([nodule(1, (4, 60, 60), 2.2, mask=False)], [])
    assert counts(view) == (0, 5, 0)


def test_the_readers_voxels_stand_in_place_of_balls_where_they_are_known() -> None:
    readers = FindingMask((4, 60, 60), np.ones((1, 1, 2), dtype=bool))
    (view,) = views([nodule(1, (4, 60, 60))], [mark((4, 60, 60), 30.0, 1)], [readers])
    assert counts(view) == (2, 7, 0)


def test_the_picture_holds_the_colours_at_their_place() -> None:
    (view,) = views([nodule(1, (4, 60, 80))], [])
    body = view.picture.partition(",")[2]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB")).astype(int)
    assert picture.shape == (512, 512, 3)
    grey = (-850 + 1350) / 1500
    red = np.rint(np.array([0.5 + grey / 2, grey / 2, grey / 2]) * 255)
    # Voxels are four pixels wide here: rows 59 to 61 are the pixels 236 to 247.
    assert np.abs(picture[236:248, 316:328] - red).max() <= 1
    picture[236:248, 316:328] = round(grey * 255)
    assert np.abs(picture - round(grey * 255)).max() <= 1


@pytest.mark.parametrize(
    ("irc", "zoom"),
    [((4, 60, 80), (274, 194, 96)), ((4, 0, 0), (0, 0, 96)), ((4, 127, 127), (416, 416, 96))],
)
def test_the_enlarged_part_lies_around_the_mark_and_within_the_picture(
    irc: tuple[float, float, float], zoom: tuple[int, int, int]
) -> None:
    (view,) = views([], [mark(irc, 5.0, None)])
    assert view.zoom == zoom


def test_no_more_slices_than_asked_for() -> None:
    marks = [mark((index, 60, 60), 5.0, None) for index in range(2, 18)]
    assert len(views([], marks, most=3)) == 3
    assert views([], marks, most=0) == ()


def test_a_ball_shrinks_toward_its_poles() -> None:
    widths = [int(ball_on(i, (10.0, 60.0, 60.0), 10.0, GRID)[60].sum()) for i in range(6, 15)]
    # Half chords of a ball of radius 5 mm at 8, 6, 4, 2 and 0 mm: none, none, 3, 4.6 and 5 mm.
    assert widths == [0, 0, 7, 9, 11, 9, 7, 0, 0]
