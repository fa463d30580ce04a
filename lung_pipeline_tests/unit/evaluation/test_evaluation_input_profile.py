# SPDX-License-Identifier: Apache-2.0
"""Scans summed up: histogram, share of lung, sizes and spacings, and how far two sums lie apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.evaluation.nightly.input_profile import (
    NUM_BINS,
    InputProfile,
    profile_of,
    profile_of_scan,
    total_variation,
)


def _grid(shape: tuple[int, int, int], slice_mm: float = 1.0, pixel_mm: float = 0.5) -> VoxelGrid:
    return VoxelGrid(shape, (slice_mm, pixel_mm, pixel_mm), (0.0, 0.0, 0.0))


def _scan(values_hu: list[int], slice_mm: float = 1.0, pixel_mm: float = 0.5) -> InputProfile:
    voxels_hu = np.array(values_hu, dtype=np.int16).reshape(-1, 1, 1)
    scan = profile_of_scan(voxels_hu, _grid(voxels_hu.shape, slice_mm, pixel_mm))
    return profile_of([scan])


def test_four_voxels_by_hand() -> None:
    # -1000 and -901 lie in the first bin, -900 begins the second, 1000 ends the last.
    found = _scan([-1000, -901, -900, 1000])
    assert found.hu_shares == (0.5, 0.25, *[0.0] * 17, 0.25)
    assert len(found.hu_shares) == NUM_BINS


def test_lung_begins_at_minus_950_and_ends_below_minus_700() -> None:
    assert _scan([-951, -950, -701, -700]).lung_share == 0.5


def test_histogram_is_that_of_numpy_and_scans_count_by_their_voxels() -> None:
    rng = np.random.default_rng(7)
    first = rng.integers(-1000, 1001, (9, 8, 7)).astype(np.int16)
    second = rng.integers(-1000, 200, (3, 4, 5)).astype(np.int16)
    scans = [profile_of_scan(v, _grid(v.shape)) for v in (first, second)]
    together = np.concatenate([first.ravel(), second.ravel()])
    wanted, _ = np.histogram(together, bins=NUM_BINS, range=(-1000, 1000))
    assert profile_of(scans).hu_shares == pytest.approx(wanted / together.size)
    assert profile_of(scans[::-1]) == profile_of(scans)


def test_quantiles_of_three_scans() -> None:
    scans = [
        profile_of_scan(np.zeros((n, 2, 2), np.int16), _grid((n, 2, 2), slice_mm, pixel_mm))
        for n, slice_mm, pixel_mm in [(10, 1.0, 0.5), (20, 2.5, 0.7), (40, 1.25, 0.9)]
    ]
    found = profile_of(scans)
    assert found.num_slices == (10, 15, 20, 30, 40)
    assert found.slice_spacing_mm == pytest.approx((1.0, 1.125, 1.25, 1.875, 2.5))
    assert found.pixel_spacing_mm == pytest.approx((0.5, 0.6, 0.7, 0.8, 0.9))


def test_profile_comes_back_from_json_as_it_was() -> None:
    found = _scan([-1000, -800, 40])
    assert InputProfile.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_shift_of_a_quarter_of_the_voxels_is_a_variation_of_a_quarter() -> None:
    assert total_variation((0.5, 0.5, 0.0), (0.25, 0.5, 0.25)) == 0.25


_SHARES = st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any)


@given(_SHARES, _SHARES, _SHARES)
def test_variation_is_a_distance_between_0_and_1(
    first: list[int], second: list[int], third: list[int]
) -> None:
    p, q, r = (np.array(one) / sum(one) for one in (first, second, third))
    assert total_variation(p, p) == 0
    assert total_variation(p, q) == total_variation(q, p)
    assert 0 <= total_variation(p, q) <= 1 + 1e-12
    assert total_variation(p, r) <= total_variation(p, q) + total_variation(q, r) + 1e-12
