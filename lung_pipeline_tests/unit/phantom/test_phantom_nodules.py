# SPDX-License-Identifier: Apache-2.0
"""Shapes have the volume and the centre they are said to have; sizes are spread as LUNA16's."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.phantom.nodules import (
    LARGEST_MM,
    SHAPES,
    SMALLEST_MM,
    Form,
    Shape,
    draw_densities,
    draw_diameter,
    draw_form,
    draw_kind,
    measure,
    pick,
)


def test_measured_ball_has_its_volume_and_centre() -> None:
    ball = Form(np.array([[0.2, 0.0, -0.1, 0.2, 0.0, -0.1, 1.0, 1.0]]), 0.0, (1.0, 1.0, 1.0))
    volume, centre = measure(ball)
    assert volume == pytest.approx(4.0 / 3.0 * np.pi, rel=0.01)
    np.testing.assert_allclose(centre, [0.2, 0.0, -0.1], atol=0.005)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_shape_has_the_volume_of_its_ball_around_zero(shape: Shape, seed: int) -> None:
    form = draw_form(np.random.default_rng(seed), shape, 8.0)
    half = max(form.reach_mm) + 0.5
    line = np.linspace(-half, half, 121)
    inside = form.distance(line[None, None, :], line[None, :, None], line[:, None, None]) < 0.0
    z, y, x = (line[index] for index in np.nonzero(inside))
    volume = len(x) * (line[1] - line[0]) ** 3
    assert volume == pytest.approx(np.pi / 6.0 * 8.0**3, rel=0.02)
    np.testing.assert_allclose([x.mean(), y.mean(), z.mean()], 0.0, atol=0.05)


def test_reach_holds_the_whole_shape() -> None:
    form = draw_form(np.random.default_rng(4), "spiculated", 12.0)
    reach = np.asarray(form.reach_mm)
    line = np.linspace(-16.0, 16.0, 81)
    inside = form.distance(line[None, None, :], line[None, :, None], line[:, None, None]) < 0.0
    for axis, index in enumerate(np.nonzero(inside)[::-1]):
        assert np.abs(line[index]).max() <= reach[axis]


def test_diameters_are_spread_as_in_luna16() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([draw_diameter(rng, LARGEST_MM) for _ in range(4000)])
    assert drawn.min() >= SMALLEST_MM
    assert drawn.max() <= LARGEST_MM
    # Quartiles of LUNA16's 1,186 annotations: 5.1, 6.4 and 9.7 mm.
    np.testing.assert_allclose(np.quantile(drawn, [0.25, 0.5, 0.75]), [5.1, 6.4, 9.7], rtol=0.1)


def test_small_nodules_are_never_faint() -> None:
    rng = np.random.default_rng(0)
    assert {draw_kind(rng, 4.0) for _ in range(300)} == {"solid", "calcified"}
    assert {draw_kind(rng, 9.0) for _ in range(300)} == {
        "solid",
        "part_solid",
        "ground_glass",
        "calcified",
    }


def test_every_kind_is_denser_than_the_threshold_of_the_masks() -> None:
    rng = np.random.default_rng(0)
    for kind in ("solid", "part_solid", "ground_glass", "calcified"):
        assert all(draw_densities(rng, kind, 8.0)[0] > -700.0 for _ in range(50))


def test_pick_follows_its_odds() -> None:
    rng = np.random.default_rng(0)
    picked = [pick(rng, ("a", "b"), (0.25, 0.75)) for _ in range(2000)]
    assert picked.count("a") == pytest.approx(500, abs=70)
