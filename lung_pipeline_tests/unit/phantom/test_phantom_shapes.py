# SPDX-License-Identifier: Apache-2.0
"""Distances and soft edges, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.phantom.shapes import cone, cylinder, ellipsoid, occupancy, smooth_min


def _at(*point: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = (np.array([value]) for value in point)
    return x, y, z


def test_voxel_on_the_surface_is_half_full() -> None:
    np.testing.assert_allclose(
        occupancy(np.array([-1.0, -0.25, 0.0, 0.25, 1.0]), 1.0), [1.0, 0.75, 0.5, 0.25, 0.0]
    )


def test_cone_whose_ends_meet_is_a_ball() -> None:
    ball = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 2.0, 2.0])
    assert cone(*_at(1.0, 2.0, 8.0), ball)[0] == pytest.approx(3.0)
    assert cone(*_at(1.0, 2.0, 3.0), ball)[0] == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((0.0, 5.0, 0.0), 3.0),  # beside the thick end
        ((10.0, 5.0, 0.0), 4.0),  # beside the thin end
        ((5.0, 5.0, 0.0), 3.5),  # half way, where the radius is 1.5
        ((14.0, 0.0, 0.0), 3.0),  # beyond the thin end
    ],
)
def test_cone_tapers_from_end_to_end(point: tuple[float, ...], distance: float) -> None:
    part = np.array([0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 2.0, 1.0])
    assert cone(*_at(*point), part)[0] == pytest.approx(distance)


def test_ellipsoid_is_zero_at_its_poles_and_negative_at_its_centre() -> None:
    centre, radii = (1.0, 0.0, 0.0), (4.0, 3.0, 2.0)
    for pole in ((5.0, 0.0, 0.0), (1.0, 3.0, 0.0), (1.0, 0.0, -2.0)):
        assert ellipsoid(*_at(*pole), centre, radii)[0] == pytest.approx(0.0, abs=1e-5)
    assert ellipsoid(*_at(1.0, 0.0, 0.0), centre, radii)[0] < -1.0


def test_cylinder_knows_no_z() -> None:
    x, y, _ = _at(3.0, 4.0, 0.0)
    assert cylinder(x, y, (0.0, 0.0), 2.0)[0] == pytest.approx(3.0)


def test_smooth_union_is_the_nearer_form_where_they_are_far_apart() -> None:
    near, far = np.array([1.0]), np.array([9.0])
    assert smooth_min(near, far, 2.0)[0] == pytest.approx(1.0)
    assert smooth_min(near, near, 2.0)[0] == pytest.approx(0.5)  # a quarter of the blend deeper
