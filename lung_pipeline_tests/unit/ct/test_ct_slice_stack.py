# SPDX-License-Identifier: Apache-2.0
"""Slices given by hand: which make a grid, and what is said of those that do not."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.ct.slice_stack import Slice, stack
from lung_pipeline.errors import GeometryError, SeriesError

FOLDER = Path("series")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def axial(count: int = 6, step_mm: float = 2.5) -> list[Slice]:
    """Slices a.dcm, b.dcm, ... from z = 100 mm to the head."""
    return [
        Slice(
            path=FOLDER / f"{chr(ord('a') + number)}.dcm",
            position_xyz_mm=(-180.0, -170.0, 100.0 + number * step_mm),
            orientation=AXIAL,
            spacing_rc_mm=(0.8, 0.7),
            shape_rc=(512, 256),
        )
        for number in range(count)
    ]


def moved(one: Slice, x_mm: float = 0, y_mm: float = 0, z_mm: float = 0) -> Slice:
    x, y, z = one.position_xyz_mm
    return replace(one, position_xyz_mm=(x + x_mm, y + y_mm, z + z_mm))


def test_grid_has_the_distance_along_the_normal_and_the_pixels_spacing() -> None:
    _, grid = stack(axial(), FOLDER)
    assert grid.shape_irc == (6, 512, 256)
    assert grid.spacing_irc_mm == (2.5, 0.8, 0.7)
    assert grid.origin_xyz_mm == (-180.0, -170.0, 100.0)


def test_each_order_of_files_gives_one_stack() -> None:
    slices = axial()
    # Rounding differs from slice to slice, as when a scanner writes text.
    slices[3] = replace(slices[3], orientation=(1.0, 0.00005, 0.0, -0.00005, 1.0, 0.0))
    expected = stack(slices, FOLDER)
    for seed in range(10):
        random.Random(seed).shuffle(slices)
        assert stack(slices, FOLDER) == expected


def test_feet_first_slices_are_sorted_along_their_own_normal() -> None:
    # Rows to the front and columns to the left: the normal points to the feet.
    slices = [replace(one, orientation=(1.0, 0.0, 0.0, 0.0, -1.0, 0.0)) for one in axial()]
    ordered, grid = stack(slices, FOLDER)
    assert [one.path.stem for one in ordered] == list("fedcba")
    assert grid.origin_xyz_mm == (-180.0, -170.0, 112.5)
    np.testing.assert_allclose(np.asarray(grid.direction)[:, 2], [0, 0, -1])


def test_oblique_slices_along_their_normal_make_an_oblique_grid() -> None:
    cos, sin = math.cos(math.radians(20)), math.sin(math.radians(20))
    slices = [
        replace(
            one,
            orientation=(1.0, 0.0, 0.0, 0.0, cos, sin),
            position_xyz_mm=(0.0, -sin * 2.5 * number, cos * 2.5 * number),
        )
        for number, one in enumerate(axial())
    ]
    _, grid = stack(slices, FOLDER)
    assert grid.spacing_irc_mm[0] == pytest.approx(2.5)
    np.testing.assert_allclose(
        grid.irc_to_xyz_mm([[5, 0, 0]]), [slices[5].position_xyz_mm], atol=1e-12
    )


def test_missing_slice_is_told_with_its_neighbours_and_their_positions() -> None:
    slices = axial()
    del slices[2]
    with pytest.raises(SeriesError) as caught:
        stack(slices, FOLDER)
    assert caught.value.place == "series"
    assert caught.value.value == (
        "5.000 mm (1 missing) between b.dcm at 102.50 mm and d.dcm at 107.50 mm along the normal"
    )
    assert caught.value.rule == "slices must lie 2.500 mm apart everywhere"


def test_doubled_slice_is_told_with_both_names() -> None:
    slices = [*axial(), replace(axial()[3], path=FOLDER / "copy.dcm")]
    with pytest.raises(SeriesError, match=r"d\.dcm and copy\.dcm both at 107\.50 mm"):
        stack(slices, FOLDER)


def test_slice_shifted_along_the_normal_is_told() -> None:
    slices = axial()
    slices[4] = moved(slices[4], z_mm=0.5)
    with pytest.raises(SeriesError, match=r"between d\.dcm at 107\.50 mm and e\.dcm at 110\.50"):
        stack(slices, FOLDER)


def test_slice_shifted_sideways_is_told() -> None:
    slices = axial()
    slices[2] = moved(slices[2], x_mm=3.0, y_mm=-4.0)
    with pytest.raises(SeriesError, match=r"c\.dcm shifted sideways by 5\.00 mm"):
        stack(slices, FOLDER)


def test_gantry_tilt_is_told_with_its_angle() -> None:
    slices = [
        moved(one, y_mm=2.5 * n * math.tan(math.radians(12))) for n, one in enumerate(axial())
    ]
    with pytest.raises(SeriesError, match=r"got a tilt of 12\.00 degrees.*Resample"):
        stack(slices, FOLDER)


def test_spacing_that_drifts_is_refused_though_each_step_is_near_the_usual_one() -> None:
    steps_mm = [2.5] * 20 + [2.4] * 20
    slices = [
        replace(one, position_xyz_mm=(0.0, 0.0, sum(steps_mm[:number])))
        for number, one in enumerate(axial(41))
    ]
    with pytest.raises(SeriesError, match=r"1\.00 mm of drift"):
        stack(slices, FOLDER)


def test_positions_rounded_to_a_tenth_are_taken() -> None:
    slices = [
        replace(one, position_xyz_mm=(0.0, 0.0, round(0.625 * number, 1)))
        for number, one in enumerate(axial(41))
    ]
    assert stack(slices, FOLDER)[1].spacing_irc_mm[0] == pytest.approx(0.625)


UNLIKE = [
    (
        "orientation",
        {"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
        "ImageOrientationPatient must be",
    ),
    ("pixel spacing", {"spacing_rc_mm": (0.8, 0.71)}, "PixelSpacing must be"),
    ("size", {"shape_rc": (512, 512)}, "size"),
]


@pytest.mark.parametrize("position", [0, 3, 5])
@pytest.mark.parametrize(("changes", "rule"), [u[1:] for u in UNLIKE], ids=[u[0] for u in UNLIKE])
def test_slice_unlike_the_others_is_told_wherever_it_stands(
    changes: dict[str, tuple[float, ...]], rule: str, position: int
) -> None:
    slices = axial()
    slices[position] = replace(slices[position], **changes)  # type: ignore[arg-type]
    with pytest.raises(SeriesError, match=rule) as caught:
        stack(slices, FOLDER)
    assert caught.value.place == str(slices[position].path)


def test_single_slice_is_no_series() -> None:
    with pytest.raises(SeriesError, match="two slices or more, got one slice"):
        stack(axial(1), FOLDER)


@pytest.mark.parametrize(
    "orientation",
    [(1.0, 0.0, 0.0, 0.5, 1.0, 0.0), (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), (0.0,) * 6],
    ids=["not at right angles", "parallel", "zero"],
)
def test_directions_that_are_no_axes_are_refused(orientation: tuple[float, ...]) -> None:
    slices = [replace(one, orientation=orientation) for one in axial()]
    with pytest.raises(GeometryError, match=r"series \(direction\).*orthonormal"):
        stack(slices, FOLDER)
