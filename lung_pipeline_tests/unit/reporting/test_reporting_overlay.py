# SPDX-License-Identifier: Apache-2.0
"""Pictures: where a thing at a known place comes to lie, and which side is up."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.reporting.overlay import (
    PIXEL_MM,
    RING_COLOR_RGB,
    RING_GAP_MM,
    axial_slice,
    cutouts,
    data_uri,
    ring,
    window_picture,
)

GRID = VoxelGrid((40, 90, 100), (2.0, 0.8, 0.7), (-30.0, -40.0, -50.0))
"""Unequal spacings: a picture whose pixels were not square would show an egg."""

BALL_XYZ_MM = np.array([6.3, -1.7, -12.4])
"""Between voxel centres along all three axes."""


def lung_with_balls(*balls: tuple[np.ndarray, float]) -> np.ndarray:
    """Lung of -850 HU with balls of 50 HU: (centre in mm, diameter in mm)."""
    points_xyz_mm = GRID.irc_to_xyz_mm(np.indices(GRID.shape_irc).reshape(3, -1).T)
    voxels_hu = np.full(len(points_xyz_mm), -850, dtype=np.int16)
    for center_xyz_mm, diameter_mm in balls:
        distance_mm = np.linalg.norm(points_xyz_mm - center_xyz_mm, axis=1)
        voxels_hu[distance_mm < diameter_mm / 2] = 50
    return voxels_hu.reshape(GRID.shape_irc)


def centre_of_bright(picture: np.ndarray) -> tuple[float, float]:
    """Of the bright pixels, millimetres down and right of the picture's middle."""
    rows, columns = np.nonzero(picture > 160)
    middle = (len(picture) - 1) / 2
    return (rows.mean() - middle) * PIXEL_MM, (columns.mean() - middle) * PIXEL_MM


def around_the_ball(*balls: tuple[np.ndarray, float]) -> dict[str, np.ndarray]:
    center_irc = GRID.xyz_mm_to_irc(BALL_XYZ_MM[None])[0]
    return cutouts(lung_with_balls(*balls), tuple(center_irc), GRID.spacing_irc_mm, size_mm=40)


def test_a_ball_lies_in_the_middle_of_all_three_pictures() -> None:
    pictures = around_the_ball((BALL_XYZ_MM, 14.0))
    assert list(pictures) == ["axial", "coronal", "sagittal"]
    for picture in pictures.values():
        assert picture.shape == (161, 161)
        assert centre_of_bright(picture) == pytest.approx((0, 0), abs=0.6)


def test_pixels_are_square_so_a_ball_is_a_disc_of_its_diameter() -> None:
    for picture in around_the_ball((BALL_XYZ_MM, 14.0)).values():
        rows, columns = np.nonzero(picture > 160)
        assert np.ptp(rows) * PIXEL_MM == pytest.approx(14.0, abs=1.6)
        assert np.ptp(columns) * PIXEL_MM == pytest.approx(14.0, abs=1.6)


@pytest.mark.parametrize(
    ("toward", "offset_xyz_mm", "seen_down_right_mm"),
    [
        ("left", (12, 0, 0), {"axial": (0, 12), "coronal": (0, 12)}),
        ("back", (0, 12, 0), {"axial": (12, 0), "sagittal": (0, 12)}),
        ("head", (0, 0, 12), {"coronal": (-12, 0), "sagittal": (-12, 0)}),
    ],
)
def test_each_side_of_the_patient_is_where_radiologists_expect_it(
    toward: str,
    offset_xyz_mm: tuple[float, float, float],
    seen_down_right_mm: dict[str, tuple[float, float]],
) -> None:
    pictures = around_the_ball((BALL_XYZ_MM + offset_xyz_mm, 8.0))
    for plane, picture in pictures.items():
        if plane in seen_down_right_mm:
            found = centre_of_bright(picture)
            assert found == pytest.approx(seen_down_right_mm[plane], abs=0.8), toward
        else:
            assert picture.max() < 160


def test_beyond_the_first_voxel_is_air_and_within_is_tissue() -> None:
    tissue = np.full(GRID.shape_irc, 50, dtype=np.int16)
    pictures = cutouts(tissue, (0, 0, 0), GRID.spacing_irc_mm)
    air, white = window_picture(np.array([-1000, 50])).astype(int)
    # Outside lie the right, the front and the feet; inside the left, the back and the head.
    assert pictures["axial"][[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx(
        [air, air, air, white], abs=1
    )
    for upright in (pictures["coronal"], pictures["sagittal"]):
        assert upright[[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx(
            [air, white, air, air], abs=1
        )


@pytest.mark.parametrize("center_irc", [(-500, 45, 50), (900, 45, 50), (20, -900, 50)])
def test_a_point_wholly_beside_the_volume_shows_air(
    center_irc: tuple[float, float, float],
) -> None:
    tissue = np.full(GRID.shape_irc, 50, dtype=np.int16)
    air = int(window_picture(np.array([-1000]))[0])
    for picture in cutouts(tissue, center_irc, GRID.spacing_irc_mm).values():
        assert np.abs(picture.astype(int) - air).max() <= 1


def test_window_maps_its_ends_to_black_and_white_and_clips() -> None:
    plane_hu = np.array([[-3000, -1350, -600, 150, 3000]])
    assert window_picture(plane_hu).tolist() == [[0, 0, 128, 255, 255]]
    assert window_picture(np.array([[0, 40]]), window=(0, 80)).tolist() == [[0, 128]]


def test_axial_slice_is_the_nearest_one_with_square_pixels() -> None:
    voxels_hu = lung_with_balls()
    voxels_hu[7] = 50
    picture = axial_slice(voxels_hu, 7.4, GRID.spacing_irc_mm)
    assert picture.min() > 200
    height_mm, width_mm = 90 * 0.8, 100 * 0.7
    assert picture.shape == (round(height_mm / 0.7), round(width_mm / 0.7))


def test_ring_keeps_its_gap_and_leaves_the_finding_untouched() -> None:
    grey = np.full((201, 201), 40, dtype=np.uint8)
    marked = ring(grey, diameter_mm=10.0)
    changed = (marked != 40).any(axis=2)
    rows, columns = np.nonzero(changed)
    radius_mm = np.hypot(rows - 100, columns - 100) * PIXEL_MM
    assert radius_mm.min() == pytest.approx(5.0 + RING_GAP_MM, abs=0.5)
    assert radius_mm.max() == pytest.approx(5.0 + RING_GAP_MM, abs=0.5)
    assert (marked[changed].max(axis=0) == RING_COLOR_RGB).all()


def test_ring_is_open_toward_the_four_sides() -> None:
    changed = (ring(np.zeros((201, 201), dtype=np.uint8), 10.0) > 0).any(axis=2)
    assert not changed[100].any()
    assert not changed[:, 100].any()
    assert np.diagonal(changed).any()


def test_ring_may_stand_anywhere() -> None:
    changed = (ring(np.zeros((80, 120), dtype=np.uint8), 6, 1.0, (30, 90)) > 0).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.mean(), columns.mean()) == pytest.approx((30, 90), abs=1e-9)


def test_data_uri_holds_the_very_picture() -> None:
    picture = np.arange(60, dtype=np.uint8).reshape(6, 10)
    head, _, body = data_uri(picture).partition(",")
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(Image.open(io.BytesIO(base64.b64decode(body))), picture)
