# SPDX-License-Identifier: Apache-2.0
"""Real crops: the same place of a real CT is known again, other places and patients are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.crops.duplicates import SAME, correlation, find_duplicates
from lung_pipeline.crops.signatures import features_of, signatures_of
from lung_pipeline.crops.windows import cut_window
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.reading import read_ct

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scan(reference_data: Path) -> VoxelsHu:
    return read_ct(reference_data / "lidc" / "LIDC-IDRI-0003").voxels_hu


@pytest.fixture(scope="module")
def centers(scan: VoxelsHu) -> np.ndarray:
    """Four hundred voxels of the lungs, with the border of the volume among them."""
    in_chest = np.zeros(scan.shape, dtype=np.bool_)
    in_chest[:, 80:430, 50:460] = True
    lung = np.argwhere(in_chest & (scan < -500) & (scan > -950))
    return lung[np.random.default_rng(0).choice(len(lung), 400, replace=False)]


@pytest.fixture(scope="module")
def published(reference_data: Path) -> tuple[VoxelsHu, list[str]]:
    """The six published LUNA16 crops, of five series."""
    files = sorted((reference_data / "crops").glob("*.npz"))
    crops = [next(iter(np.load(file).values())).reshape(32, 48, 48) for file in files]
    return np.stack(crops).round().astype(np.int16), [file.name.split("_")[0] for file in files]


def _cut(scan: VoxelsHu, centers: np.ndarray) -> VoxelsHu:
    return np.stack([cut_window(scan, center) for center in centers])


@pytest.mark.parametrize(("sigma_hu", "axes", "least"), [(20, 0, 0.98), (10, 1, 0.8), (10, 3, 0.3)])
def test_same_places_with_noise_and_moved_are_found(
    scan: VoxelsHu, centers: np.ndarray, sigma_hu: float, axes: int, least: float
) -> None:
    rng = np.random.default_rng(1)
    places = centers[:100]
    move = np.zeros_like(places)
    for row in move:
        row[rng.permutation(3)[:axes]] = rng.choice([-1, 1], axes)
    copies = _cut(scan, places + move)
    copies = (copies + rng.normal(0, sigma_hu, copies.shape)).clip(-1000, 1000)
    both = np.concatenate([_cut(scan, places), copies.round().astype(np.int16)])
    # Each place a series of its own, so that every pair is laid over.
    names = [f"{kind}{k}" for kind in ("scan", "copy") for k in range(100)]
    parts = np.repeat([0, 2], 100)
    found = find_duplicates(signatures_of(both), names, parts, lambda rows: both[list(rows)])
    pairs = {(twin.first, twin.second) for twin in found.twins}
    hits = {(f"scan{k}", f"copy{k}") for k in range(100)}
    assert len(pairs & hits) >= least * 100


def test_every_window_of_the_lung_has_a_pattern(scan: VoxelsHu, centers: np.ndarray) -> None:
    _, has_pattern = features_of(signatures_of(_cut(scan, centers)))
    assert has_pattern.mean() > 0.99


def test_other_places_of_the_same_lungs_are_not_duplicates(
    scan: VoxelsHu, centers: np.ndarray
) -> None:
    # One side of the chest beside the other: as like as two patients may be.
    crops = _cut(scan, centers)
    parts = np.where(centers[:, 2] < 256, 0, 2)
    clear = np.abs(centers[:, 2] - 256) > 24
    crops, parts = crops[clear], parts[clear]
    names = [f"place{k}" for k in range(len(crops))]
    found = find_duplicates(signatures_of(crops), names, parts, lambda rows: crops[list(rows)])
    assert found.twins == ()
    assert min((parts == 0).sum(), (parts == 2).sum()) > 100


def test_published_crops_are_all_different(published: tuple[VoxelsHu, list[str]]) -> None:
    crops, series = published
    assert len(crops) == 6
    found = find_duplicates(
        signatures_of(crops), series, np.array([0, 0, 0, 1, 2, 2]), lambda rows: crops[list(rows)]
    )
    assert found.twins == ()
    highest = [correlation(crops[i], crops[j]) for i in range(6) for j in range(i)]
    assert max(highest) < SAME - 0.3
    assert all(correlation(crop, crop) > 0.999 for crop in crops)
