# SPDX-License-Identifier: Apache-2.0
"""Labels and centres beside scipy.ndimage's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lung_pipeline.ct.hounsfield import AIR_HU
from lung_pipeline.grouping.components import ball_volume_mm3, group, label_parted

COARSE = (3.0, 2.0, 1.5)
"""No axis is fine enough to erode."""


def _random_mask(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(14, 24, 26))
    return ndimage.gaussian_filter(noise, 1.5) > 0.12


@pytest.mark.parametrize("seed", range(4))
def test_where_nothing_is_eroded_labels_are_scipys(seed: int) -> None:
    labels, count = label_parted(_random_mask(seed), COARSE)
    expected, number = ndimage.label(_random_mask(seed))
    assert count == number > 3
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("spacing_irc_mm", [COARSE, (1.0, 0.7, 0.7), (2.5, 0.7, 0.7)])
@pytest.mark.parametrize("seed", range(4))
def test_centres_and_volumes_are_scipys(
    seed: int, spacing_irc_mm: tuple[float, float, float]
) -> None:
    mask = _random_mask(seed)
    voxels_hu = np.random.default_rng(seed).integers(-1000, 400, mask.shape).astype(np.int16)
    labels, count = label_parted(mask, spacing_irc_mm)
    weights = voxels_hu.astype(float) - AIR_HU + 1
    every = np.arange(1, count + 1)
    centers = ndimage.center_of_mass(weights, labels, every)
    volumes = ndimage.sum_labels(np.ones(mask.shape), labels, every) * np.prod(spacing_irc_mm)
    expected = [
        (center, volume)
        for center, volume in zip(centers, volumes, strict=True)
        if volume >= ball_volume_mm3(3.0)
    ]
    found = group(mask, voxels_hu, spacing_irc_mm)
    assert len(found) == len(expected) > 0
    for component, (center, volume) in zip(found, expected, strict=True):
        assert component.center_irc == pytest.approx(center)
        assert component.volume_mm3 == pytest.approx(volume)


@pytest.mark.parametrize("seed", range(4))
def test_each_marked_voxel_keeps_the_label_of_a_core_it_hangs_with(seed: int) -> None:
    mask = _random_mask(seed)
    labels, count = label_parted(mask, (1.0, 0.7, 0.7))
    whole, _ = ndimage.label(mask)
    assert not labels[~mask].any()
    for number in range(1, count + 1):
        assert ndimage.label(labels == number)[1] == 1
        assert len(np.unique(whole[labels == number])) == 1
