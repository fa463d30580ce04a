# SPDX-License-Identifier: Apache-2.0
"""Close-ups: the same millimetres whatever the voxels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation_draw import draw
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.frame import CLOSE_UP_MM, Frame, close_up
from lung_pipeline.crops.windows import CROP_SHAPE_IRC

SPACINGS_IRC_MM = np.array([[1.25, 0.5, 0.5], [2.0, 0.7, 0.7], [1.0, 0.9, 0.9], [0.7, 0.6, 0.8]])


def _balls(diameter_mm: float) -> torch.Tensor:
    """A ball in the middle of a crop of each spacing, 1 inside; its surface is a pixel wide."""
    sizes = [np.arange(size) - (size - 1) / 2 for size in CROP_SHAPE_IRC]
    places = np.stack(np.meshgrid(*sizes, indexing="ij"), axis=-1)
    radii_mm = np.linalg.norm(places * SPACINGS_IRC_MM[:, None, None, None], axis=-1)
    inside = np.clip((diameter_mm / 2 - radii_mm) / 0.7 + 0.5, 0, 1)
    return torch.from_numpy(inside)[:, None]


@pytest.mark.parametrize("shape_irc", [(16, 32, 32), (32, 48, 48)])
@pytest.mark.parametrize("angle_deg", [0.0, 30.0])
def test_a_ball_keeps_its_volume_and_its_widths_whatever_the_voxels(
    shape_irc: tuple[int, int, int], angle_deg: float
) -> None:
    balls, voxel_mm = _balls(10.0), CLOSE_UP_MM / np.asarray(shape_irc)
    turned = draw(len(balls), np.random.default_rng(0), OFF)
    turned.angle_deg[:] = angle_deg
    seen = augmentation.apply(balls, turned, frame=close_up(shape_irc, SPACINGS_IRC_MM))
    assert seen.shape == (len(balls), 1, *shape_irc)
    volumes_mm3 = seen.sum(dim=(1, 2, 3, 4)).numpy() * voxel_mm.prod()
    np.testing.assert_allclose(volumes_mm3, math.pi / 6 * 10.0**3, rtol=0.03)
    for dim, axis_mm in zip((2, 3, 4), voxel_mm, strict=True):
        profile = seen.sum(dim=[d for d in (1, 2, 3, 4) if d != dim]).numpy()
        from_middle_mm = (np.arange(profile.shape[1]) - (profile.shape[1] - 1) / 2) * axis_mm
        rms_mm = np.sqrt((profile * from_middle_mm**2).sum(axis=1) / profile.sum(axis=1))
        # Of a ball its radius over the root of 5; a slice as thick as 2 mm blurs it a little.
        np.testing.assert_allclose(rms_mm, 5.0 / math.sqrt(5), rtol=0.06)


def test_each_voxel_is_what_scipy_finds_at_its_place() -> None:
    rng = np.random.default_rng(0)
    crops_hu = rng.normal(-600, 200, (len(SPACINGS_IRC_MM), *CROP_SHAPE_IRC))
    shape_irc = (16, 32, 32)
    seen = augmentation.framed(
        torch.from_numpy(crops_hu)[:, None], close_up(shape_irc, SPACINGS_IRC_MM)
    )
    for crop, spacing, found in zip(crops_hu, SPACINGS_IRC_MM, seen[:, 0].numpy(), strict=True):
        places = np.stack(np.meshgrid(*(np.arange(n) for n in shape_irc), indexing="ij"))
        from_middle_mm = [
            (axis - (n - 1) / 2) * CLOSE_UP_MM / n
            for axis, n in zip(places, shape_irc, strict=True)
        ]
        there = [
            (n - 1) / 2 + mm / size
            for n, mm, size in zip(CROP_SHAPE_IRC, from_middle_mm, spacing, strict=True)
        ]
        wanted = ndimage.map_coordinates(crop, there, order=1, mode="nearest")
        np.testing.assert_allclose(found, wanted, atol=0.01)


def test_a_shift_is_in_voxels_of_the_close_up() -> None:
    balls, shape_irc = _balls(10.0), (16, 32, 32)
    shifted = draw(len(balls), np.random.default_rng(0), OFF)
    shifted.shift_irc[:] = (1, 2, -3)
    frame = close_up(shape_irc, SPACINGS_IRC_MM)
    moved = augmentation.apply(balls, shifted, frame=frame)
    still = augmentation.framed(balls, frame)
    torch.testing.assert_close(
        moved[:, :, 4:12, 6:26, 6:26], still[:, :, 3:11, 4:24, 9:29], atol=1e-4, rtol=0
    )


def test_the_middle_as_fine_as_the_crop_is_the_crop_there() -> None:
    crops = torch.randn(2, 1, *CROP_SHAPE_IRC, generator=torch.Generator().manual_seed(1))
    middle = augmentation.framed(crops, Frame((30, 32, 36)))
    assert torch.equal(middle, crops[:, :, 1:31, 8:40, 6:42])


@pytest.mark.parametrize("shape_irc", [(32, 47, 48), (31, 48, 48), (34, 48, 48)])
def test_a_middle_that_is_none_is_refused(shape_irc: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no middle of"):
        augmentation.framed(torch.zeros(1, 1, *CROP_SHAPE_IRC), Frame(shape_irc))


def test_the_slices_of_a_patch_have_no_frame() -> None:
    drawn = draw(1, np.random.default_rng(0), OFF)
    with pytest.raises(ValueError, match="a frame is for crops"):
        augmentation.apply(torch.zeros(1, 7, 64, 64), drawn, frame=Frame((7, 32, 32)))
