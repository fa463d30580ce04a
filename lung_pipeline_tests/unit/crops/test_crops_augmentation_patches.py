# SPDX-License-Identifier: Apache-2.0
"""Patches: seven slices that are turned alike, never mixed, and truth that goes with the middle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation import Augmentation
from lung_pipeline.crops.augmentation_settings import FOR_CROPS, FOR_PATCHES, OFF
from lung_pipeline.errors import SettingError


def _numbered(number: int = 1) -> Tensor:
    """Every voxel says in which slice it lies."""
    return torch.arange(7.0)[None, :, None, None].expand(number, -1, 64, 64).clone()


def _by_hand(mirror_irc: tuple[int, int, int], angle_deg: float, scale: float = 1) -> Augmentation:
    return Augmentation(
        mirror_irc=np.asarray([mirror_irc], float),
        shift_irc=np.zeros((1, 3)),
        scale=np.asarray([scale], float),
        angle_deg=np.asarray([angle_deg], float),
        noise_hu=0.0,
        noise_seeds=np.zeros(1, np.int64),
    )


def test_slices_are_turned_over_in_mirrored_samples_and_never_mixed() -> None:
    settings = FOR_PATCHES.model_copy(update={"noise_hu": 0})
    drawn = augmentation.draw(8, np.random.default_rng(1), settings)
    found = augmentation.apply(_numbered(8), drawn)
    is_mirrored = drawn.mirror_irc[:, 0] == -1
    assert 0 < is_mirrored.sum() < 8
    for patch, mirrored in zip(found, is_mirrored, strict=True):
        order = range(6, -1, -1) if mirrored else range(7)
        expected = torch.tensor([float(n) for n in order])[:, None, None].expand(-1, 64, 64)
        torch.testing.assert_close(patch, expected)


@pytest.mark.parametrize(
    ("mirror_irc", "angle_deg", "place"),
    [
        # Twenty columns right of the centre and ten rows below it: (42, 52) of 64 x 64 ...
        ((1, 1, 1), 0.0, (42, 52)),
        ((1, -1, 1), 0.0, (21, 52)),
        ((1, 1, -1), 0.0, (42, 11)),
        ((-1, 1, 1), 0.0, (42, 52)),
        # ... a quarter turn takes columns to rows and rows against the columns.
        ((1, 1, 1), 90.0, (52, 21)),
        ((1, 1, -1), 90.0, (11, 21)),
        ((1, 1, 1), 180.0, (21, 11)),
    ],
)
def test_truth_goes_where_the_middle_slice_goes(
    mirror_irc: tuple[int, int, int], angle_deg: float, place: tuple[int, int]
) -> None:
    slices_hu, mask = torch.zeros(1, 7, 64, 64), torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    slices_hu[0, 3, 42, 52], slices_hu[0, 0, 42, 52], mask[0, 0, 42, 52] = 1000, 500, True
    found, marks = augmentation.apply(slices_hu, _by_hand(mirror_irc, angle_deg), mask)
    assert marks[0, 0].nonzero().tolist() == [list(place)]
    assert found[0, 3, *place].item() == pytest.approx(1000, abs=0.1)
    end = 6 if mirror_irc[0] == -1 else 0
    assert found[0, end, *place].item() == pytest.approx(500, abs=0.1)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0])
def test_disc_and_its_truth_are_scaled_and_turned_together(angle_deg: float) -> None:
    row, column = np.indices((64, 64)) - 31.5
    disc = torch.from_numpy(np.hypot(row - 6, column + 4) < 10)[None, None]
    slices_hu = torch.where(disc, 0.0, -800.0).expand(-1, 7, -1, -1)
    found, mask = augmentation.apply(slices_hu, _by_hand((1, 1, -1), angle_deg, 1.5), disc)
    assert mask.sum() / disc.sum() == pytest.approx(1.5**2, rel=0.03)
    # Linear and nearest interpolation part by less than a voxel: only on the disc's outline.
    differ = (found[:, 3:4] > -400) ^ mask
    assert differ.sum() < 0.05 * mask.sum()
    x, y = 4 * 1.5, 6 * 1.5  # the disc's centre, mirrored and scaled
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    distance = torch.from_numpy(np.hypot(row - (sin * x + cos * y), column - (cos * x - sin * y)))
    assert (distance[mask[0, 0]] < 15 + 1).all()
    assert (distance[~mask[0, 0]] > 15 - 1).all()


def test_slices_of_a_patch_cannot_be_shifted_in_silence() -> None:
    drawn = augmentation.draw(1, np.random.default_rng(1), FOR_CROPS)
    with pytest.raises(SettingError, match="slices of a patch cannot be shifted"):
        augmentation.apply(_numbered(), drawn)


def test_patches_as_the_loader_stores_them_keep_types_and_shapes() -> None:
    stored = _numbered(2).to(torch.int16)
    masks = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    for settings in (FOR_PATCHES, OFF):
        drawn = augmentation.draw(2, np.random.default_rng(1), settings)
        found, marks = augmentation.apply(stored, drawn, masks)
        assert (found.dtype, found.shape) == (torch.float32, stored.shape)
        assert (marks.dtype, marks.shape) == (torch.uint8, masks.shape)
