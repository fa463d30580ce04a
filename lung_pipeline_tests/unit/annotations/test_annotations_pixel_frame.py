# SPDX-License-Identifier: Apache-2.0
"""From readers' pixels to the patient: grids that can be worked out by hand, and fitted frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations.lidc_message import NON_NODULE, Mark
from lung_pipeline.annotations.pixel_frame import FROM_CT, FROM_EXCLUDED, GridFrame, fit_frame
from lung_pipeline.ct.geometry import Matrix3, VoxelGrid

IDENTITY: Matrix3 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
PRONE: Matrix3 = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
FEET_LAST: Matrix3 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


@pytest.mark.parametrize(
    ("direction", "z_mm", "expected"),
    [
        pytest.param(IDENTITY, -95.0, (-150.0 + 7.0, -160.0 + 14.0, -95.0), id="supine"),
        pytest.param(
            PRONE, -95.0, (-150.0 - 7.0, -160.0 - 14.0, -95.0), id="rows and columns back"
        ),
        pytest.param(
            FEET_LAST, -105.0, (-150.0 + 7.0, -160.0 + 14.0, -105.0), id="slices downward"
        ),
    ],
)
def test_pixel_lies_where_the_grid_of_the_ct_puts_it(
    direction: Matrix3, z_mm: float, expected: tuple[float, float, float]
) -> None:
    grid = VoxelGrid((20, 512, 512), (2.5, 0.7, 0.7), (-150.0, -160.0, -100.0), direction)
    frame = GridFrame(grid)
    assert frame.source == FROM_CT
    np.testing.assert_allclose(frame.to_xyz_mm([10], [20], [z_mm]), [expected])


def test_slice_of_a_tilted_scan_is_named_by_its_first_pixel() -> None:
    tilt = np.deg2rad(10)
    direction: Matrix3 = (
        (1.0, 0.0, 0.0),
        (0.0, float(np.cos(tilt)), float(-np.sin(tilt))),
        (0.0, float(np.sin(tilt)), float(np.cos(tilt))),
    )
    grid = VoxelGrid((20, 512, 512), (2.5, 0.7, 0.7), (-150.0, -160.0, -100.0), direction)
    (first,) = grid.irc_to_xyz_mm([[3, 0, 0]])
    (expected,) = grid.irc_to_xyz_mm([[3, 200, 100]])
    np.testing.assert_allclose(GridFrame(grid).to_xyz_mm([100], [200], [first[2]]), [expected])


def _marks(*points: tuple[int, int, float]) -> list[Mark]:
    return [Mark(0, NON_NODULE, column, row, z_mm) for column, row, z_mm in points]


def _excluded(*points: tuple[float, float, float], diameter_mm: float = -1.0) -> pd.DataFrame:
    table = pd.DataFrame(points, columns=["x_mm", "y_mm", "z_mm"])
    return table.assign(series_uid="a", diameter_mm=diameter_mm)


MARKS = _marks((100, 200, -50.0), (300, 200, -60.0), (110, 250, -50.0))
"""With 0.5 mm a pixel, column 0 at -120 and row 0 at -130, the findings below."""

FINDINGS = ((-70.0, -30.0, -50.0), (30.0, -30.0, -60.0), (-65.0, -5.0, -50.0))


def test_frame_is_found_from_marks_that_stand_in_both_tables() -> None:
    frame = fit_frame(MARKS, _excluded(*FINDINGS))
    assert frame is not None
    assert frame.source == FROM_EXCLUDED
    np.testing.assert_allclose(
        (frame.pixel_mm, frame.origin_x_mm, frame.origin_y_mm), (0.5, -120.0, -130.0)
    )
    np.testing.assert_allclose(frame.to_xyz_mm([0.5], [2], [-55.0]), [(-119.75, -129.0, -55.0)])


def test_findings_of_known_size_are_no_marks() -> None:
    sized = _excluded((0.0, 0.0, -55.0), diameter_mm=4.2)
    both = pd.concat([_excluded(*FINDINGS[:1]), sized, _excluded(*FINDINGS[1:])])
    assert fit_frame(MARKS, both) == fit_frame(MARKS, _excluded(*FINDINGS))


def test_patient_on_the_belly_has_pixels_that_run_back() -> None:
    turned = [(-x, -y, z) for x, y, z in FINDINGS]
    frame = fit_frame(MARKS, _excluded(*turned))
    assert frame is not None
    assert frame.pixel_mm == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("marks", "findings"),
    [
        pytest.param(MARKS[:1], FINDINGS[:1], id="one point does not tell the size of a pixel"),
        pytest.param(_marks((5, 5, 0.0), (5, 5, 0.0)), FINDINGS[:1] * 2, id="nor do two alike"),
        pytest.param(MARKS, FINDINGS[:2], id="a finding is missing"),
        pytest.param(MARKS, (FINDINGS[1], FINDINGS[0], FINDINGS[2]), id="another order of slices"),
        pytest.param(MARKS, (FINDINGS[2], FINDINGS[1], FINDINGS[0]), id="another order in a slice"),
        pytest.param(MARKS, (*FINDINGS[:2], (-65.0, -4.0, -50.0)), id="one lies a millimetre off"),
        pytest.param([], (), id="nothing"),
    ],
)
def test_no_frame_is_better_than_a_wrong_one(
    marks: list[Mark], findings: tuple[tuple[float, float, float], ...]
) -> None:
    assert fit_frame(marks, _excluded(*findings)) is None
