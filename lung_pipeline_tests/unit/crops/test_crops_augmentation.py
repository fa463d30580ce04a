# SPDX-License-Identifier: Apache-2.0
"""Each effect of the augmentation alone, on marked voxels whose way can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation import Augmentation
from lung_pipeline.crops.augmentation_settings import FOR_CROPS, OFF
from lung_pipeline.crops.frame import Frame
from lung_pipeline.crops.windows import CROP_SHAPE_IRC

SMALL = (9, 11, 11)
"""Odd sizes: the centre is the voxel (4, 5, 5)."""

MARK_HU = 1000.0

Voxel = tuple[int, int, int]


def _done(
    number: int = 1,
    *,
    mirror: Sequence[Voxel] | Voxel = (1, 1, 1),
    shift: Sequence[Sequence[float]] | Sequence[float] = (0, 0, 0),
    scale: Sequence[float] | float = 1,
    angle: Sequence[float] | float = 0,
    noise: float = 0,
) -> Augmentation:
    """An augmentation by hand: for every sample the same, or a row for each."""
    return Augmentation(
        mirror_irc=np.broadcast_to(np.asarray(mirror, float), (number, 3)),
        shift_irc=np.broadcast_to(np.asarray(shift, float), (number, 3)),
        scale=np.broadcast_to(np.asarray(scale, float), (number,)),
        angle_deg=np.broadcast_to(np.asarray(angle, float), (number,)),
        noise_hu=noise,
        noise_seeds=np.arange(number),
    )


def _random(number: int = 1, shape: Voxel = SMALL) -> Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.uniform(-1000, 400, (number, 1, *shape))).float()


def _marked(*voxels: Voxel, shape: Voxel = SMALL) -> Tensor:
    """A crop for each voxel, which alone is dense."""
    crops_hu = torch.zeros(len(voxels), 1, *shape)
    for crop_hu, voxel in zip(crops_hu, voxels, strict=True):
        crop_hu[0][voxel] = MARK_HU
    return crops_hu


def _places(crops_hu: Tensor) -> list[list[int]]:
    """The densest voxel of each crop, which must hold all of the mark."""
    assert crops_hu.amax(dim=(1, 2, 3, 4)).tolist() == pytest.approx(
        [MARK_HU] * len(crops_hu), abs=0.01
    )
    return [(crop[0] > MARK_HU / 2).nonzero().flatten().tolist() for crop in crops_hu]


@pytest.mark.parametrize("shape", [(2, 1, *CROP_SHAPE_IRC), (2, 7, 64, 64)])
def test_without_any_strength_nothing_changes_by_a_bit(shape: tuple[int, ...]) -> None:
    images_hu = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 400
    masks = images_hu[:, :1] > 0
    drawn = augmentation.draw(2, np.random.default_rng(1), OFF)
    found, marks = augmentation.apply(images_hu, drawn, masks)
    assert torch.equal(found, images_hu)
    assert torch.equal(marks, masks)
    assert marks.dtype == torch.bool


def test_stored_voxels_become_float_and_keep_their_values() -> None:
    stored = _random().round().to(torch.int16)
    found = augmentation.apply(stored, _done())
    assert found.dtype == torch.float32
    assert torch.equal(found, stored.float())


def test_each_sample_is_shifted_by_its_own_whole_voxels() -> None:
    crops_hu = _marked((4, 5, 5), (4, 5, 5), (4, 5, 5), (1, 2, 3))
    done = _done(4, shift=[(3, 0, 0), (0, -2, 0), (0, 0, 4), (1, 2, -3)])
    assert _places(augmentation.apply(crops_hu, done)) == [
        [7, 5, 5],
        [4, 3, 5],
        [4, 5, 9],
        [2, 4, 0],
    ]


def test_half_a_voxel_of_shift_is_the_mean_of_two_neighbours() -> None:
    crop_hu = _random()
    for dim in (2, 3, 4):
        shift = [0.5 if dim == axis + 2 else 0 for axis in range(3)]
        found = augmentation.apply(crop_hu, _done(shift=shift))
        size = crop_hu.shape[dim]
        means = (crop_hu.narrow(dim, 0, size - 1) + crop_hu.narrow(dim, 1, size - 1)) / 2
        torch.testing.assert_close(found.narrow(dim, 1, size - 1), means, rtol=0, atol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_axis_is_mirrored_alone_to_the_bit_and_only_in_its_samples(axis: int) -> None:
    crops_hu = _random(2, CROP_SHAPE_IRC)
    mirror = [[1, 1, 1], [1, 1, 1]]
    mirror[1][axis] = -1
    found = augmentation.apply(crops_hu, _done(2, mirror=mirror))  # type: ignore[arg-type]
    assert torch.equal(found[0], crops_hu[0])
    assert torch.equal(found[1], crops_hu[1].flip(axis + 1))


def test_quarter_turn_takes_the_columns_axis_to_the_rows_axis_in_every_slice() -> None:
    # Three columns beside the centre become three rows below it, and those three columns before.
    crops_hu = _marked((2, 5, 8), (2, 8, 5), (2, 5, 8), (2, 6, 8))
    done = _done(4, angle=[90, 90, -90, 180])
    assert _places(augmentation.apply(crops_hu, done)) == [
        [2, 8, 5],
        [2, 5, 2],
        [2, 2, 5],
        [2, 4, 2],
    ]


def test_quarter_turn_of_a_whole_crop_is_torchs() -> None:
    crops_hu = _random(1, CROP_SHAPE_IRC)
    found = augmentation.apply(crops_hu, _done(angle=90))
    torch.testing.assert_close(found, torch.rot90(crops_hu, -1, (3, 4)), rtol=0, atol=0.1)


def test_turning_keeps_distances_where_there_are_more_columns_than_rows() -> None:
    # 3 rows and 4 columns from the centre are 5 voxels; turned by atan(3 / 4) they lie in one row.
    crop_hu = _marked((0, 10 + 3, 20 + 4), shape=(1, 21, 41))
    found = augmentation.apply(crop_hu, _done(angle=-np.rad2deg(np.arctan2(3, 4))))
    assert _places(found) == [[0, 10, 25]]


def test_each_sample_is_scaled_from_the_centre_by_its_own_scale() -> None:
    crops_hu = _marked((5, 6, 3), (5, 6, 3), (8, 1, 5))
    done = _done(3, scale=[1, 2, 0.5])
    found = augmentation.apply(crops_hu, done)
    peaks = [divmod(int(crop[0].argmax()), 11 * 11) for crop in found]
    assert [(i, *divmod(rest, 11)) for i, rest in peaks] == [(5, 6, 3), (6, 7, 1), (6, 3, 5)]


@pytest.mark.parametrize("turned_by", [0.0, 360.0])
def test_scaling_stretches_a_slope_and_keeps_its_middle(turned_by: float) -> None:
    index, row, column = torch.meshgrid(*(torch.arange(n) for n in CROP_SHAPE_IRC), indexing="ij")
    slope_hu = (2.0 * index + 3.0 * row + 5.0 * column)[None, None]
    found = augmentation.apply(slope_hu, _done(scale=1.25, angle=turned_by))
    expected = slope_hu.mean() + (slope_hu - slope_hu.mean()) / 1.25
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)


def test_mirror_then_scale_then_turn_then_shift() -> None:
    # From the centre (0, 1, 2): mirrored (0, 1, -2), scaled (0, 2, -4), turned by 90 degrees
    # (rows take the columns, columns less the rows) (0, -4, -2), shifted (1, -3, 1).
    done = _done(mirror=(1, 1, -1), scale=2, angle=90, shift=(1, 1, 3))
    assert _places(augmentation.apply(_marked((4, 6, 7)), done)) == [[5, 2, 6]]


def test_beyond_the_border_the_edge_is_repeated_and_no_mask_is() -> None:
    crop_hu, everywhere = _random(), torch.ones(1, 1, *SMALL, dtype=torch.bool)
    found, mask = augmentation.apply(crop_hu, _done(shift=(-3, 0, 2)), everywhere)
    shifted = crop_hu[:, :, 3:, :, :-2]
    assert torch.equal(found[:, :, :-3, :, 2:], shifted)
    assert torch.equal(found[:, :, -3:, :, 2:], shifted[:, :, -1:].expand(-1, -1, 3, -1, -1))
    assert torch.equal(found[:, :, :-3, :, :2], shifted[..., :1].expand(-1, -1, -1, -1, 2))
    assert mask[:, :, :-3, :, 2:].all()
    assert not mask[:, :, -3:].any()
    assert not mask[..., :2].any()


def test_corners_of_a_turned_crop_are_its_tissue_and_no_mask() -> None:
    still = torch.full((1, 1, *SMALL), -700.0)
    found, mask = augmentation.apply(still, _done(angle=45), torch.ones_like(still))
    torch.testing.assert_close(found, still)
    assert not mask[0, 0, :, [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert mask[0, 0, :, 5, :].all()


def test_mask_of_one_voxel_keeps_its_size_however_it_is_shifted() -> None:
    voxel = _marked((4, 5, 5)) > 0
    for shift in np.random.default_rng(1).uniform(-3, 3, (20, 3)):
        _, mask = augmentation.apply(voxel.float(), _done(shift=shift.tolist()), voxel)
        place = np.floor(np.add((4, 5, 5), shift) + 0.5).astype(int).tolist()
        assert mask[0, 0].nonzero().tolist() == [place]


def test_noise_has_the_named_standard_deviation_and_no_mean() -> None:
    still = torch.full((2, 1, *CROP_SHAPE_IRC), -700.0)
    mask = torch.ones_like(still)
    noisy, marks = augmentation.apply(still, _done(2, noise=20), mask)
    assert noisy.std(dim=(1, 2, 3, 4)).tolist() == pytest.approx([20, 20], rel=0.02)
    assert noisy.mean(dim=(1, 2, 3, 4)).tolist() == pytest.approx([-700, -700], abs=0.3)
    assert abs(torch.corrcoef(noisy.flatten(1))[0, 1]) < 0.02
    assert torch.equal(marks, mask)
    assert (still == -700).all()


def test_noise_of_a_sample_is_its_seeds_whoever_is_beside_it() -> None:
    crops_hu, done = _random(3), _done(3, noise=15)
    whole = augmentation.apply(crops_hu, done)
    assert torch.equal(whole, augmentation.apply(crops_hu, done))
    assert torch.equal(whole[1:], augmentation.apply(crops_hu[1:], done.part(slice(1, None))))


def test_reduced_precision_elsewhere_misplaces_no_voxel() -> None:
    crops_hu, drawn = _random(4), augmentation.draw(4, np.random.default_rng(1))
    plain = augmentation.apply(crops_hu, drawn)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augmentation.apply(crops_hu, drawn), plain)


def test_drawn_samples_of_one_crop_all_differ() -> None:
    drawn = augmentation.draw(6, np.random.default_rng(1), FOR_CROPS)
    found = augmentation.apply(_random().expand(6, -1, -1, -1, -1), drawn).flatten(1)
    assert torch.pdist(found).min() > 50 * np.sqrt(found.shape[1])


def test_augmentation_of_another_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="3 samples, but 2 were drawn for"):
        augmentation.apply(_random(3), _done(2))


@pytest.mark.parametrize("angle", [0, 17])
def test_a_frame_is_the_middle_of_what_the_whole_crop_becomes(angle: float) -> None:
    """What is shifted into it from outside is not lost."""
    crops_hu, masks = _random(2), torch.ones(2, 1, *SMALL, dtype=torch.bool)
    done = _done(2, mirror=(-1, 1, -1), shift=(1.5, -3, 2.25), scale=1.2, angle=angle)
    whole = augmentation.apply(crops_hu, done, masks)
    middle = augmentation.apply(crops_hu, done, masks, frame=Frame((7, 5, 5)))
    for one, other in zip(middle, whole, strict=True):
        assert one.shape == (2, 1, 7, 5, 5)
        torch.testing.assert_close(one, other[:, :, 1:8, 3:8, 3:8])
