# SPDX-License-Identifier: Apache-2.0
"""The thesis's colours, pixel by pixel on a slice made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.reporting.patient.truth_overlay import onto_square, truth_picture

RED_HALF, GREEN_HALF, ORANGE_HALF = (0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.5, 0.25, 0.0)
"""Half of each colour; the other half of a pixel is half its grey."""


def hand_made() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four bands of tissue, a found square and a marked one that overlap in a quarter."""
    slice_hu = np.empty((512, 512), dtype=np.int16)
    slice_hu[:128] = -1350  # black
    slice_hu[128:256] = -600  # the middle of the lung window
    slice_hu[256:384] = 150  # white
    slice_hu[384:] = 1000  # beyond white
    found, true = np.zeros((2, 512, 512), dtype=bool)
    found[100:300, 50:150] = True
    true[200:400, 100:200] = True
    return slice_hu, found, true


def test_every_pixel_of_a_hand_made_slice_has_its_colour() -> None:
    slice_hu, found, true = hand_made()
    picture = truth_picture(slice_hu, found, true)
    assert picture.shape == (512, 512, 3)
    assert picture.dtype == np.float32
    grey_of_row = [0.0] * 128 + [0.5] * 128 + [1.0] * 256
    expected = np.empty((512, 512, 3))
    for row in range(512):
        for column in range(512):
            is_found = 100 <= row < 300 and 50 <= column < 150
            is_true = 200 <= row < 400 and 100 <= column < 200
            grey = grey_of_row[row]
            if is_found and is_true:
                color = GREEN_HALF
            elif is_found:
                color = RED_HALF
            elif is_true:
                color = ORANGE_HALF
            else:
                expected[row, column] = grey
                continue
            expected[row, column] = [part + grey / 2 for part in color]
    np.testing.assert_allclose(picture, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("place_rc", "rgb"),
    [
        ((110, 60), (0.5, 0.0, 0.0)),  # found in vain, on black
        ((210, 60), (0.75, 0.25, 0.25)),  # found in vain, on grey
        ((210, 120), (0.25, 0.75, 0.25)),  # found and marked, on grey
        ((290, 120), (0.5, 1.0, 0.5)),  # found and marked, on white
        ((390, 120), (1.0, 0.75, 0.5)),  # missed, beyond white
        ((10, 10), (0.0, 0.0, 0.0)),
        ((500, 10), (1.0, 1.0, 1.0)),
    ],
)
def test_known_pixels(place_rc: tuple[int, int], rgb: tuple[float, float, float]) -> None:
    assert truth_picture(*hand_made())[place_rc] == pytest.approx(rgb, abs=1e-6)


def test_the_masks_and_the_slice_are_left_as_they_were() -> None:
    given = hand_made()
    copies = [array.copy() for array in given]
    truth_picture(*given)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_smaller_slice_is_enlarged_by_whole_pixels() -> None:
    small_hu = np.full((128, 128), -600, dtype=np.int16)
    found, true = np.zeros((2, 128, 128), dtype=bool)
    found[10, 20] = True
    picture = truth_picture(small_hu, found, true)
    reds = np.argwhere(picture[..., 0] > 0.6)
    assert reds.min(axis=0).tolist() == [40, 80]
    assert reds.max(axis=0).tolist() == [43, 83]
    assert len(reds) == 16


def test_a_slice_that_is_not_square_keeps_its_proportion_with_air_beside_it() -> None:
    wide_hu = np.full((256, 512), 150, dtype=np.int16)
    nothing = np.zeros((256, 512), dtype=bool)
    picture = truth_picture(wide_hu, nothing, nothing)
    air = (-1000 + 1350) / 1500
    np.testing.assert_allclose(picture[:128], air, atol=1e-6)
    np.testing.assert_allclose(picture[128:384], 1.0)
    np.testing.assert_allclose(picture[384:], air, atol=1e-6)


def test_a_larger_slice_is_shrunk() -> None:
    rows, columns = onto_square((1024, 1024))
    assert rows[[0, 1, 511]].tolist() == [1, 3, 1023]
    assert columns.tolist() == rows.tolist()
