# SPDX-License-Identifier: Apache-2.0
"""Each effect of the augmentation alone, against torch's exact operation, then all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation import MAX_SCALING, MAX_SHIFT, NOISE_HU, Augmentation
from lung_pipeline.crops.windows import CROP_SHAPE_IRC

AXIS_OF_ROW = {0: 4, 1: 3, 2: 2}
"""Row of the matrix (column, row, index) to the dimension of a batch of crops."""


@pytest.fixture(autouse=True)
def _without_noise(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "noise" not in request.node.name:
        monkeypatch.setattr(augmentation, "NOISE_HU", 0.0)


def _crops(number: int = 1) -> Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.uniform(-1000, 400, (number, 1, *CROP_SHAPE_IRC))).float()


def _smooth_crops() -> Tensor:
    """A plane wave: what interpolation does to it is known."""
    index, row, column = torch.meshgrid(*(torch.arange(n) for n in CROP_SHAPE_IRC), indexing="ij")
    return (2.0 * index + 3.0 * row + 5.0 * column)[None, None]


def _by(matrix: np.ndarray, shift: tuple[float, float, float] = (0, 0, 0)) -> Augmentation:
    whole = np.concatenate([matrix, np.asarray(shift)[:, None]], axis=1)
    return Augmentation(whole[None].astype(np.float32), noise_seed=1)


def _same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)


def test_the_identity_changes_nothing() -> None:
    _same(augmentation.apply(_crops(), _by(np.eye(3))), _crops())


@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_mirror_along_one_axis_is_a_flip(row: int) -> None:
    matrix = np.eye(3)
    matrix[row, row] = -1
    _same(augmentation.apply(_crops(), _by(matrix)), _crops().flip(AXIS_OF_ROW[row]))


@pytest.mark.parametrize("voxels", [1, 2, -3])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_shift_by_whole_voxels_is_a_roll_away_from_the_border(row: int, voxels: int) -> None:
    axis = AXIS_OF_ROW[row]
    size = _crops().shape[axis]
    shift = [0.0, 0.0, 0.0]
    shift[row] = voxels * 2 / size  # the crop reaches from -1 to 1
    found = augmentation.apply(_crops(), _by(np.eye(3), (shift[0], shift[1], shift[2])))
    rolled = _crops().roll(-voxels, axis)
    _same(found.narrow(axis, 3, size - 6), rolled.narrow(axis, 3, size - 6))
    assert (found - _crops()).abs().mean() > 100


@pytest.mark.parametrize("scale", [0.85, 1.15])
def test_scaling_keeps_the_centre_and_stretches_distances(scale: float) -> None:
    plane = _smooth_crops()
    found = augmentation.apply(plane, _by(scale * np.eye(3)))
    inner = (0, 0, slice(8, 24), slice(8, 40), slice(8, 40))
    center = plane.mean()
    _same(found[inner], center + scale * (plane[inner] - center))


def test_a_quarter_turn_turns_every_slice_and_leaves_the_order_of_slices() -> None:
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    found = augmentation.apply(_crops(), _by(quarter))
    # The result at (column, row) = (x, y) is the crop's voxel at (-y, x).
    _same(found, torch.rot90(_crops(), 1, dims=(3, 4)))


def test_beyond_the_border_the_edge_is_repeated() -> None:
    found = augmentation.apply(_crops(), _by(np.eye(3), (0, 0, 2 * 3 / 32)))
    _same(found[:, :, -3:], _crops()[:, :, -1:].expand(-1, -1, 3, -1, -1))


def test_noise_has_the_named_standard_deviation_and_no_mean() -> None:
    still = torch.full((2, 1, *CROP_SHAPE_IRC), -700.0)
    noisy = augmentation.apply(still, augmentation.draw(2, np.random.default_rng(1)))
    assert noisy.std().item() == pytest.approx(NOISE_HU, rel=0.02)
    assert noisy.mean().item() == pytest.approx(-700, abs=0.2)
    assert not torch.equal(noisy[0], noisy[1])


def test_the_same_draw_gives_the_same_crops_with_noise() -> None:
    drawn = augmentation.draw(2, np.random.default_rng(1))
    first = augmentation.apply(_crops(2), drawn)
    assert torch.equal(first, augmentation.apply(_crops(2), drawn))
    other = Augmentation(drawn.matrices, drawn.noise_seed + 1)
    assert not torch.equal(first, augmentation.apply(_crops(2), other))


def test_the_seed_decides_what_is_drawn() -> None:
    one, again, other = (augmentation.draw(3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.matrices, again.matrices)
    assert one.noise_seed == again.noise_seed
    assert not np.array_equal(one.matrices, other.matrices)


def test_each_sample_of_a_batch_goes_its_own_way() -> None:
    one = _crops().expand(4, -1, -1, -1, -1)
    turned = augmentation.apply(one, augmentation.draw(4, np.random.default_rng(1)))
    for first in range(4):
        for second in range(first):
            assert (turned[first] - turned[second]).abs().mean() > 50


def test_what_is_drawn_mirrors_scales_turns_and_shifts_within_its_limits() -> None:
    matrices = augmentation.draw(4000, np.random.default_rng(1)).matrices.astype(np.float64)
    linear, shift = matrices[:, :, :3], matrices[:, :, 3]
    lengths = np.linalg.norm(linear[:, :, 0], axis=1)
    # Nothing is sheared: the axes stay at right angles and keep one length.
    gram = linear.transpose(0, 2, 1) @ linear
    np.testing.assert_allclose(gram, lengths[:, None, None] ** 2 * np.eye(3), atol=1e-5)
    assert lengths.min() == pytest.approx(1 - MAX_SCALING, abs=0.005)
    assert lengths.max() == pytest.approx(1 + MAX_SCALING, abs=0.005)
    # Slices are mirrored, and never tilted.
    assert np.mean(linear[:, 2, 2] < 0) == pytest.approx(0.5, abs=0.05)
    assert np.count_nonzero(linear[:, 2, :2]) == np.count_nonzero(linear[:, :2, 2]) == 0
    mirrored = np.linalg.det(linear[:, :2, :2]) < 0
    assert np.mean(mirrored) == pytest.approx(0.5, abs=0.05)
    angles = np.arctan2(linear[:, 1, 0], linear[:, 0, 0])
    assert np.histogram(angles, 8, (-np.pi, np.pi))[0] == pytest.approx(500, rel=0.2)
    # In the reference design the shift stands in a row that is cut off: here it acts.
    assert np.abs(shift).max(axis=0) == pytest.approx(MAX_SHIFT, rel=0.01)
    assert np.abs(shift.mean(axis=0)).max() < 0.01
