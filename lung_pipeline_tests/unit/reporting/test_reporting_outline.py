# SPDX-License-Identifier: Apache-2.0
"""Outlines: which pixels they take, in which colour, and that they hide nothing."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.patient.outline import (
    CLEAR,
    NODULE,
    OTHER,
    layer_uri,
    on_cutout,
    on_slice,
    outline,
    outline_layer,
)

AMBER, BLUE, NOTHING = (255, 196, 61, 255), (125, 180, 255, 255), (0, 0, 0, 0)


def drawn(*lines: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in line] for line in lines])


def rgba_of(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGBA"))


def test_an_outline_stands_beside_the_mask_and_not_at_its_corners() -> None:
    mask = drawn("......", "..##..", "..##..", "......")
    expected = drawn("..##..", ".#..#.", ".#..#.", "..##..")
    np.testing.assert_array_equal(outline(mask), expected)


def test_a_hole_has_an_outline_and_the_border_of_the_picture_has_none() -> None:
    mask = drawn("###.", "#.#.", "###.")
    expected = drawn("...#", ".#.#", "...#")
    np.testing.assert_array_equal(outline(mask), expected)


def test_every_pixel_of_a_hand_made_layer_has_its_colour() -> None:
    nodule, other = np.zeros((2, 512, 512), dtype=bool)
    nodule[100:103, 200:205] = True
    other[300:310, 400:402] = True
    layer = outline_layer([(nodule, NODULE), (other, OTHER)], (512, 512))
    rgba = rgba_of(layer_uri(layer))
    expected = np.zeros((512, 512, 4), dtype=np.uint8)
    for column in range(200, 205):
        expected[99, column] = expected[103, column] = AMBER
    for row in range(100, 103):
        expected[row, 199] = expected[row, 205] = AMBER
    for column in range(400, 402):
        expected[299, column] = expected[310, column] = BLUE
    for row in range(300, 310):
        expected[row, 399] = expected[row, 402] = BLUE
    np.testing.assert_array_equal(rgba[..., 3], expected[..., 3])
    opaque = expected[..., 3] > 0
    np.testing.assert_array_equal(rgba[opaque], expected[opaque])


def test_where_two_outlines_meet_the_first_one_stays() -> None:
    left, right = drawn("#.."), drawn("..#")
    assert outline_layer([(left, NODULE), (right, OTHER)], (1, 3)).tolist() == [[CLEAR, NODULE, 0]]
    assert outline_layer([(right, OTHER), (left, NODULE)], (1, 3)).tolist() == [[CLEAR, OTHER, 0]]


def test_a_layer_without_masks_is_clear() -> None:
    rgba = rgba_of(layer_uri(outline_layer([], (4, 5))))
    assert rgba.shape == (4, 5, 4)
    assert not rgba[..., 3].any()


def test_a_mask_lies_on_its_own_slices_only() -> None:
    voxels = np.zeros((2, 2, 3), dtype=bool)
    voxels[0, 1, 2] = voxels[1, 0, 0] = True
    mask = FindingMask((5, 10, 20), voxels)
    shape = (30, 40)
    assert np.argwhere(on_slice(mask, 5, shape)).tolist() == [[11, 22]]
    assert np.argwhere(on_slice(mask, 6, shape)).tolist() == [[10, 20]]
    assert not on_slice(mask, 4, shape).any()
    assert not on_slice(mask, 7, shape).any()


def test_a_voxel_covers_its_own_square_of_a_cutout() -> None:
    # 1 mm voxels on pixels of 0.25 mm: voxel (.., 10, 20) reaches from 9.5 to 10.5 mm.
    mask = FindingMask((5, 10, 20), np.ones((1, 1, 1), dtype=bool))
    plane = on_cutout(mask, (5.0, 10.0, 20.0), (2.0, 1.0, 1.0), 41)
    assert np.argwhere(plane).min(axis=0).tolist() == [18, 18]
    assert np.argwhere(plane).max(axis=0).tolist() == [21, 21]
    # Seen from a point one voxel further back and two to the right it lies higher and more left.
    moved = on_cutout(mask, (5.0, 11.0, 18.0), (2.0, 1.0, 1.0), 41)
    assert np.argwhere(moved).min(axis=0).tolist() == [14, 26]
    assert not on_cutout(mask, (5.6, 10.0, 20.0), (2.0, 1.0, 1.0), 41).any()


def test_a_mask_beyond_the_cutout_leaves_it_empty() -> None:
    mask = FindingMask((5, 10, 20), np.ones((1, 3, 3), dtype=bool))
    assert not on_cutout(mask, (5.0, 90.0, 20.0), (2.0, 1.0, 1.0), 41).any()
    assert not on_cutout(mask, (5.0, 10.0, -90.0), (2.0, 1.0, 1.0), 41).any()
