# SPDX-License-Identifier: Apache-2.0
"""Pictures of mistakes: which samples are shown, where, and in which colours."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lung_pipeline.reporting.examples import (
    FALSE_NEGATIVE_RGB,
    FALSE_POSITIVE_RGB,
    MOST_BYTES,
    TRUE_POSITIVE_RGB,
    as_png,
    crops_picture,
    marked_slice,
    slice_picture,
)
from lung_pipeline.reporting.overlay import Picture, window_picture


def _crops(*middle_hu: int) -> np.ndarray:
    """Crops of air, but for their middle slice."""
    crops_hu = np.full((len(middle_hu), 32, 48, 48), -1000, dtype=np.int16)
    crops_hu[:, 16] = np.reshape(middle_hu, (-1, 1, 1))
    return crops_hu


def _cell(picture: Picture, row: int, column: int) -> Picture:
    """A crop of the grid: 144 pixels and 6 between, below each two lines of 16."""
    top, left = 28 + row * 182, 6 + column * 150
    return picture[top : top + 144, left : left + 144]


def test_middle_slices_stand_in_reading_order_in_the_lung_window() -> None:
    middle_hu = (-1350, -1100, -850, -600, -350)
    picture = crops_picture("misses", _crops(*middle_hu), np.zeros(5), ["a:1"] * 5, num_columns=3)
    assert picture.shape == (2 * 182 + 28, 3 * 150 + 6, 3)
    for place, hu in enumerate(middle_hu):
        cell = _cell(picture, *divmod(place, 3))
        assert (cell == window_picture(np.array([hu]))[0]).all()
    # The sixth place is empty, but for the ground.
    assert len(np.unique(_cell(picture, 1, 2).reshape(-1, 3), axis=0)) == 1


def _below(picture: Picture, column: int = 0) -> Picture:
    """The two lines below a crop of the first row."""
    return picture[28 + 144 : 28 + 182, 6 + column * 150 : 150 + column * 150]


def test_probability_and_the_end_of_the_name_stand_below_each_crop() -> None:
    def lines(probability: float, name: str) -> Picture:
        return _below(crops_picture("", _crops(0), np.array([probability]), [name]))

    series = "1.3.6.1.4.1.14519.5.2.1.6279.6001.105756658031515062000744821260"
    assert (lines(0.1234, f"{series}:7") != lines(0.1235, f"{series}:7")).any()
    assert (lines(0.1234, f"{series}:7") != lines(0.1234, f"{series}:8")).any()
    # Long names are cut where candidates do not differ, and do not run into the next crop.
    assert (lines(0.1234, f"{series}:7") == lines(0.1234, f"9{series}:7")).all()
    pair = crops_picture("", _crops(0, 0), np.zeros(2), [f"{series}:7", ""])
    alone = crops_picture("", _crops(0, 0), np.zeros(2), ["", ""])
    assert (_below(pair) != _below(alone)).any()
    assert (_below(pair, 1) == _below(alone, 1)).all()


def test_no_example_is_a_picture_too() -> None:
    assert crops_picture("no misses", _crops(), np.zeros(0), []).shape[2] == 3


def test_names_must_be_as_many_as_crops() -> None:
    with pytest.raises(ValueError, match="argument"):
        crops_picture("", _crops(0, 0), np.zeros(2), ["one"])


BLACK_HU = np.full((4, 4), -1350, dtype=np.int16)
PREDICTED = np.array([[1, 1, 0, 0]] * 4, dtype=bool)
TRUTH = np.array([[0, 1, 1, 0]] * 4, dtype=bool)


def test_each_kind_of_voxel_has_the_colour_of_the_thesis() -> None:
    row = marked_slice(BLACK_HU, PREDICTED, TRUTH)[0]
    expected = [FALSE_POSITIVE_RGB, TRUE_POSITIVE_RGB, FALSE_NEGATIVE_RGB, (0, 0, 0)]
    np.testing.assert_allclose(row, 0.6 * np.array(expected), atol=0.5)
    red, green, orange = (np.array(rgb) for rgb in expected[:3])
    assert red.argmax() == 0
    assert red[1:].max() < 100
    assert green.argmax() == 1
    assert orange[0] > orange[1] > orange[2]


def test_tissue_is_seen_below_a_mark() -> None:
    slice_hu = BLACK_HU.copy()
    slice_hu[0] = 150
    picture = marked_slice(slice_hu, PREDICTED, TRUTH).astype(int)
    assert (picture[0] - picture[1] >= 100).all()


def test_slice_stands_between_its_title_and_what_the_colours_mean() -> None:
    slice_hu = np.full((100, 128), -1350, dtype=np.int16)
    mark = np.zeros(slice_hu.shape, dtype=bool)
    mark[30:40, 50:60] = True
    picture = slice_picture(slice_hu, mark, mark, "slice 7")
    # Four pixels to a voxel: 512 wide; 22 rows above and below.
    assert picture.shape == (4 * 100 + 2 * 22, 512, 3)
    green = (picture[22:-22] == np.rint(0.6 * np.array(TRUE_POSITIVE_RGB))).all(axis=2)
    rows, columns = np.nonzero(green)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (120, 159, 200, 239)
    for rgb in (FALSE_POSITIVE_RGB, TRUE_POSITIVE_RGB, FALSE_NEGATIVE_RGB):
        assert (picture[-22:] == rgb).all(axis=2).any()
    assert (picture[:22] != slice_picture(slice_hu, mark, mark, "slice 8")[:22]).any()


def test_small_picture_is_kept_to_the_pixel() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Image.open(io.BytesIO(as_png(picture))), picture)


def test_noisy_whole_slice_is_small_and_keeps_its_pixels() -> None:
    rng = np.random.default_rng(1)
    slice_hu = rng.normal(-850, 40, (512, 512))
    slice_hu[100:400, 150:350] = rng.normal(40, 40, (300, 200))
    mark = np.zeros(slice_hu.shape, dtype=bool)
    picture = slice_picture(slice_hu, mark, mark)
    png = as_png(picture)
    assert len(png) <= MOST_BYTES
    shown = np.asarray(Image.open(io.BytesIO(png)))
    assert np.abs(shown.astype(int) - picture).max() <= 4


def test_worst_of_all_pictures_is_made_smaller() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 600, 3), dtype=np.uint8)
    png = as_png(noise, most_bytes=50_000)
    assert 20_000 < len(png) <= 50_000
    width, height = Image.open(io.BytesIO(png)).size
    assert width / height == pytest.approx(2, rel=0.05)
