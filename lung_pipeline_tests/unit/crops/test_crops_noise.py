# SPDX-License-Identifier: Apache-2.0
"""Noise as windows of one strip: normal, white, and each sample's by its seed alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from lung_pipeline.crops.noise import STRIP, with_noise

CROP = (1, 24, 32, 32)


def test_noise_of_a_sample_is_normal_by_kolmogorov_and_smirnov() -> None:
    for seed in (0, 1, 123_456_789, 2**31 - 1):
        (noise,) = with_noise(torch.zeros(1, *CROP), 15.0, [seed])
        assert stats.kstest(noise.numpy().ravel(), stats.norm(scale=15).cdf).pvalue > 1e-3


def test_neighbouring_voxels_know_nothing_of_each_other() -> None:
    (noise,) = with_noise(torch.zeros(1, *CROP), 1.0, [7])
    voxels = noise[0].numpy()
    for axis in range(3):
        beside = np.roll(voxels, 1, axis)
        assert abs(np.corrcoef(voxels.ravel(), beside.ravel())[0, 1]) < 5 / np.sqrt(voxels.size)


def test_seed_says_where_in_the_strip_the_noise_begins() -> None:
    one, next_one, far = with_noise(torch.zeros(3, 10), 1.0, [40, 41, 40 + STRIP - 10])
    assert torch.equal(one[1:], next_one[:-1])
    assert torch.equal(one, far)  # the strip has STRIP - 10 places for ten numbers


def test_noise_is_added_and_the_image_left_as_it_was() -> None:
    images_hu = torch.full((2, *CROP), -700.0)
    noisy = with_noise(images_hu, 20.0, [3, 4])
    noise = with_noise(torch.zeros(2, *CROP), 20.0, [3, 4])
    assert torch.allclose(noisy, noise - 700, atol=1e-3)
    assert (images_hu == -700).all()


def test_sample_longer_than_the_strip_has_noise_everywhere() -> None:
    (noise,) = with_noise(torch.zeros(1, STRIP + 1), 1.0, [2**31 - 1])
    assert len(noise) == STRIP + 1
    assert abs(float(noise[-1000:].std()) - 1) < 0.2


def test_numbers_that_others_draw_stay_as_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with_noise(torch.zeros(1, 3 * STRIP // 4), 1.0, [9])  # long: its strip is new
    assert torch.equal(torch.rand(3), expected)
