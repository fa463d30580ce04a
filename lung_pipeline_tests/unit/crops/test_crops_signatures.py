# SPDX-License-Identifier: Apache-2.0
"""Signatures are block means and spreads; near ones are all found, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.crops import signatures
from lung_pipeline.crops.signatures import (
    NEAR,
    SIGNATURE_LENGTH,
    STEPS_PER_HU,
    features_of,
    near_pairs,
    signatures_of,
)
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu


def _rough(seed: int, number: int = 1, spread_hu: float = 150.0) -> VoxelsHu:
    """Crops with a picture of their own: blocks of 4 voxels, each of another value."""
    rng = np.random.default_rng(seed)
    blocks = rng.normal(-500, spread_hu, size=(number, 8, 12, 12))
    return np.repeat(np.repeat(np.repeat(blocks, 4, 1), 4, 2), 4, 3).round().astype(np.int16)


def test_signature_is_the_mean_and_the_spread_of_each_block() -> None:
    crop = np.full((1, *CROP_SHAPE_IRC), -850, dtype=np.int16)
    crop[0, :8, :8, :8] = 100
    crop[0, 24:, 40:, 40:44], crop[0, 24:, 40:, 44:] = -30, 10
    (made,) = signatures_of(crop) / STEPS_PER_HU
    assert made.shape == (SIGNATURE_LENGTH,)
    assert made[0] == 100
    assert made[143] == -10
    assert set(made[1:143]) == {-850}
    assert made[287] == 20
    assert set(made[144:287]) == {0}


def test_signatures_of_the_extremes_fit_their_type() -> None:
    crops = np.full((2, *CROP_SHAPE_IRC), -1000, dtype=np.int16)
    crops[1] = 1000
    crops[1, :, :, ::2] = -1000
    made = signatures_of(crops)
    assert made.dtype == np.int16
    assert set(made[0, :144]) == {-16000}
    assert set(made[1, 144:]) == {16000}
    assert signatures_of(crops[:0]).shape == (0, SIGNATURE_LENGTH)


def test_crop_without_contrast_has_no_pattern() -> None:
    plain = np.full((1, *CROP_SHAPE_IRC), -870, dtype=np.int16)
    noisy = plain + np.random.default_rng(0).normal(0, 40, plain.shape).astype(np.int16)
    _, has_pattern = features_of(signatures_of(np.concatenate([plain, noisy, _rough(1)])))
    assert has_pattern.tolist() == [False, False, True]


def test_noise_leaves_a_crop_near_itself_and_another_is_far() -> None:
    crop, other = _rough(1), _rough(2)
    noise = np.random.default_rng(0).normal(0, 20, crop.shape).astype(np.int16)
    features, _ = features_of(signatures_of(np.concatenate([crop, crop + noise, other])))
    assert np.linalg.norm(features[0] - features[1]) < NEAR
    assert np.linalg.norm(features[0] - features[2]) > 4 * NEAR


def test_tree_finds_exactly_the_pairs_of_a_search_pair_by_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Small batches, so that all of them are met.
    monkeypatch.setattr(signatures, "_QUERY_ROWS", 7)
    monkeypatch.setattr(signatures, "_PAIRS", 5)
    # In three directions of the 290, so that the tree's axes keep the distances whole.
    rng = np.random.default_rng(3)
    axes = np.linalg.qr(rng.normal(size=(290, 3)))[0]
    features = (rng.random((160, 3)) @ axes.T).astype(np.float32)
    one_side, other_side = np.arange(0, 160, 2), np.arange(1, 160, 2)
    distance = np.linalg.norm(features[one_side][:, None] - features[other_side][None], axis=2)
    expected = {(int(one_side[i]), int(other_side[j])) for i, j in np.argwhere(distance <= NEAR)}
    found = [
        (int(i), int(j))
        for first, second, _ in near_pairs(features, one_side, other_side)
        for i, j in zip(first, second, strict=True)
    ]
    assert 100 < len(expected) < 3_000
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_a_side_without_crops_has_no_pairs() -> None:
    features, _ = features_of(signatures_of(_rough(1, 2)))
    nobody = np.zeros(0, dtype=np.int64)
    assert list(near_pairs(features, np.array([0, 1]), nobody)) == []
    assert list(near_pairs(features, nobody, np.array([0, 1]))) == []
