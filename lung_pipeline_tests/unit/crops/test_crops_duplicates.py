# SPDX-License-Identifier: Apache-2.0
"""The same piece of a scan is known again by its content; other pieces are not taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lung_pipeline.crops.duplicates import SAME, DuplicateSearch, correlation, find_duplicates
from lung_pipeline.crops.signatures import signatures_of
from lung_pipeline.crops.windows import CROP_SHAPE_IRC, cut_window
from lung_pipeline.ct.hounsfield import AIR_HU, VoxelsHu

CENTER = (30, 40, 40)


def _scan(seed: int, detail_hu: float = 40.0) -> VoxelsHu:
    """A body of smooth forms in lung, with the fine detail that every scan has of its own."""
    rng = np.random.default_rng(seed)
    forms = gaussian_filter(rng.normal(size=(60, 80, 80)), 5)
    voxels_hu = -600 + 250 * forms / forms.std() + rng.normal(0, detail_hu, forms.shape)
    return voxels_hu.clip(-980, 400).round().astype(np.int16)


def _crop(scan: VoxelsHu, *move: int) -> VoxelsHu:
    return cut_window(scan, np.asarray(CENTER) + (move or (0, 0, 0)))


def _noisy(crop: VoxelsHu, sigma_hu: float, seed: int = 9) -> VoxelsHu:
    noise = np.random.default_rng(seed).normal(0, sigma_hu, crop.shape)
    return (crop + noise).clip(AIR_HU, 1000).round().astype(np.int16)


def _search(crops: list[VoxelsHu], series: list[str], parts: list[int]) -> DuplicateSearch:
    stacked = np.stack(crops)
    return find_duplicates(
        signatures_of(stacked), series, np.asarray(parts), lambda rows: stacked[list(rows)]
    )


@pytest.mark.parametrize("move", [(0, 0, 0), (1, 0, 0), (0, -1, 0), (1, -1, 1)])
@pytest.mark.parametrize("sigma_hu", [0, 5, 15])
def test_same_piece_correlates_moved_and_with_noise(
    move: tuple[int, int, int], sigma_hu: float
) -> None:
    scan = _scan(1)
    assert correlation(_crop(scan), _noisy(_crop(scan, *move), sigma_hu)) > SAME


def test_move_by_two_voxels_is_not_looked_for() -> None:
    scan = _scan(1)
    assert correlation(_crop(scan), _crop(scan, 2, 0, 0)) < 0.5


def test_like_forms_with_other_detail_are_not_the_same() -> None:
    # Noise of its own, where the forms are one: as two chest walls may be.
    forms = gaussian_filter(_scan(1, detail_hu=0).astype(float), 2)
    rng = np.random.default_rng(2)
    first, second = (
        _crop((forms + rng.normal(0, 30, forms.shape)).round().astype(np.int16)) for _ in range(2)
    )
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9
    assert correlation(first, second) < 0.5


def test_padding_in_common_is_no_likeness() -> None:
    # Both at the first slice: half of either window is padding, with one edge of one height.
    first, second = (cut_window(_scan(seed), (2, 40, 40)) for seed in (1, 2))
    assert correlation(first, second) < 0.3
    again = _noisy(first, 5)
    again[first == AIR_HU] = AIR_HU
    assert correlation(first, again) > SAME


def test_nothing_is_said_of_crops_that_are_nearly_all_air() -> None:
    crop = np.full(CROP_SHAPE_IRC, AIR_HU, dtype=np.int16)
    crop[:8, :8, :8] = _scan(1)[:8, :8, :8]
    assert correlation(crop, crop) == 0
    plain = np.full(CROP_SHAPE_IRC, -870, dtype=np.int16)
    assert correlation(plain, plain) == 0


def test_scan_that_stands_twice_is_found_under_its_two_names() -> None:
    scan, others = _scan(1), [_scan(seed) for seed in (2, 3, 4)]
    crops = [_crop(scan), _crop(scan, 8, 8, 8), *map(_crop, others)]
    crops += [_noisy(_crop(scan), 10), _crop(scan, 8, 9, 8)]
    found = _search(crops, ["a", "a", "b", "c", "d", "z", "z"], [0, 0, 0, 1, 2, 2, 2])
    (twins,) = found.twins
    assert (twins.first, twins.second) == ("a", "z")
    assert twins.correlation > 0.95
    assert twins.num_near >= 1
    assert (found.num_crops, found.num_without_pattern) == (7, 0)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2), (2, 0)])
def test_every_two_parts_are_compared(first: int, second: int) -> None:
    scan = _scan(1)
    found = _search(
        [_crop(scan), _crop(_scan(2)), _crop(scan)], ["a", "b", "c"], [first, 1, second]
    )
    assert len(found.twins) == 1


def test_scan_twice_in_one_part_is_no_leak() -> None:
    scan = _scan(1)
    found = _search([_crop(scan), _crop(scan), _crop(_scan(2))], ["a", "b", "c"], [1, 1, 2])
    assert found.twins == ()
    assert found.num_laid_over == 0


def test_plain_crops_are_counted_and_not_compared() -> None:
    plain = np.full(CROP_SHAPE_IRC, -870, dtype=np.int16)
    found = _search([plain, plain], ["a", "b"], [0, 2])
    assert (found.num_without_pattern, found.num_near, found.twins) == (2, 0, ())


def test_only_the_nearest_pairs_of_two_series_are_laid_over() -> None:
    scan = _scan(1)
    found = _search([_crop(scan)] * 6, ["a"] * 3 + ["z"] * 3, [0, 0, 0, 2, 2, 2])
    assert found.num_near == 9
    assert found.num_laid_over == 4
    assert found.twins[0].num_near == 9


def test_no_crop_at_all_is_no_duplicate() -> None:
    signatures = signatures_of(np.zeros((0, *CROP_SHAPE_IRC), dtype=np.int16))
    found = find_duplicates(signatures, [], np.zeros(0, dtype=np.int64), lambda rows: signatures)
    assert (found.num_crops, found.twins) == (0, ())
