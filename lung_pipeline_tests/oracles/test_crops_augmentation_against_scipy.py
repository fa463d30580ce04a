# SPDX-License-Identifier: Apache-2.0
"""Two resamplings, of slices and of their plane, are scipy's one in three dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation import Augmentation
from lung_pipeline.crops.augmentation_settings import FOR_CROPS
from lung_pipeline.crops.windows import CROP_SHAPE_IRC

NUM_SAMPLES = 4


def _by_scipy(crop_hu: np.ndarray, drawn: Augmentation, sample: int, **how: object) -> np.ndarray:
    """The documented convention, turned round: where does each voxel of the result come from?"""
    angle = np.deg2rad(drawn.angle_deg[sample])
    turn = np.eye(3)
    # In (index, row, column): the columns' axis goes to the rows'.
    turn[1:, 1:] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    out_from_in = turn @ np.diag(drawn.scale[sample] * drawn.mirror_irc[sample])
    in_from_out = np.linalg.inv(out_from_in)
    center = (np.asarray(crop_hu.shape) - 1) / 2
    offset = center - in_from_out @ (center + drawn.shift_irc[sample])
    return ndimage.affine_transform(crop_hu, in_from_out, offset, **how)


@pytest.mark.parametrize("rotation_deg", [0.0, 180.0])
def test_drawn_crops_and_masks_are_scipys(rotation_deg: float) -> None:
    settings = FOR_CROPS.model_copy(update={"noise_hu": 0, "rotation_deg": rotation_deg})
    rng = np.random.default_rng(3)
    crops_hu = rng.uniform(-1000, 400, (NUM_SAMPLES, *CROP_SHAPE_IRC)).astype(np.float32)
    masks = rng.random(crops_hu.shape) < 0.5
    drawn = augmentation.draw(NUM_SAMPLES, rng, settings)
    found, marks = augmentation.apply(
        torch.from_numpy(crops_hu[:, None]), drawn, torch.from_numpy(masks[:, None])
    )
    for n in range(NUM_SAMPLES):
        expected = _by_scipy(crops_hu[n], drawn, n, order=1, mode="nearest")
        np.testing.assert_allclose(found[n, 0], expected, rtol=0, atol=0.1)
        nearest = _by_scipy(masks[n].astype(np.float32), drawn, n, order=0, mode="grid-constant")
        # Rounding parts them where a voxel comes from halfway between two others.
        assert np.mean(marks[n, 0].numpy() != (nearest > 0.5)) < 1e-4
