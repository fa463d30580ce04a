# SPDX-License-Identifier: Apache-2.0
"""A small signature of each crop, and the search for crops whose signatures lie near.

A crop is divided into 144 blocks of 8 x 8 x 8 voxels; the signature is the mean and the standard
deviation of each: 288 numbers in place of 73,728. The means hardly move with noise (20 HU a voxel
are 0.9 HU a block), and both move little with an offset of a voxel.

Crops are compared by their pattern (the means brought to mean 0 and length 1), their contrast (the
spread of the means), their mean and their roughness (the logarithms of the standard deviations).
Without contrast there is no pattern: such a crop looks like any other of plain air, and is left
out.

Belongs here: what can be said without the voxels. Does not belong here: whether two crops are one
(``duplicates.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.hounsfield import VoxelsHu

BLOCK = 8
"""Voxels of a block along each axis; it divides each side of a crop."""

NUM_BLOCKS = (CROP_SHAPE_IRC[0] // BLOCK) * (CROP_SHAPE_IRC[1] // BLOCK) ** 2
"""Blocks of a crop."""

SIGNATURE_LENGTH = 2 * NUM_BLOCKS
"""Numbers of a signature."""

STEPS_PER_HU = 16
"""A signature is kept in sixteenths of a HU, so that rounding is far below the noise."""

LEAST_CONTRAST_HU = 20.0
"""Crops whose block means spread less (standard deviation) have no pattern: plain air, or padding.

On a real chest CT every window within the lung has more; those around the patient have less.
"""

NEAR = 0.25
"""The distance of features up to which two crops are looked at voxel by voxel.

On a real CT (2.5 mm slices, 0.82 mm pixels), of windows moved by one voxel along none, one, two and
three axes, with noise of 10 HU, 100, 92, 70 and 44 % lie within it of where they were; of windows
around other places of the same lungs 1 in 800,000.
"""

_HU_PER_UNIT = 200.0
"""A difference of mean that weighs as much as a pattern that shares nothing (distance 1)."""

_ROUGHNESS_WEIGHT, _SMOOTH_HU = 0.8, 30.0
"""How much roughness weighs, and the standard deviation below which its logarithm levels off, so
that noise does not make another block of a smooth one. Both chosen on that CT: at the same share of
moved windows found, 20 times fewer other places come near than without roughness."""

_TREE_AXES = 16
"""Directions of largest spread by which the tree searches; the distance along them is never more
than the distance, so nothing near is missed."""

_PCA_ROWS, _QUERY_ROWS, _PAIRS, _CROPS = 20_000, 256, 50_000, 32
"""Sizes of batches: what is held at once stays below 200 MB."""

Signatures = npt.NDArray[np.int16]
"""Sixteenths of a HU, shape (number of crops, 288): 144 means, then 144 standard deviations."""

Features = npt.NDArray[np.float32]
"""Pattern, roughness, contrast, mean: shape (number of crops, 290)."""


def signatures_of(crops_hu: VoxelsHu) -> Signatures:
    """The signatures of crops, shape (n, 32, 48, 48)."""
    signatures = np.empty((len(crops_hu), SIGNATURE_LENGTH), dtype=np.int16)
    limits = np.iinfo(np.int16)
    for rows in _batches(len(crops_hu), _CROPS):
        voxels_hu = crops_hu[rows].astype(np.int32)
        mean_hu = _block_sums(voxels_hu) / BLOCK**3
        variance = _block_sums(voxels_hu * voxels_hu) / BLOCK**3 - mean_hu * mean_hu
        steps = np.hstack([mean_hu, np.sqrt(np.maximum(variance, 0))]) * STEPS_PER_HU
        signatures[rows] = np.rint(steps).clip(limits.min, limits.max)
    return signatures


def _block_sums(voxels: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The sum of each block, shape (n, 144)."""
    index, row, column = (size // BLOCK for size in CROP_SHAPE_IRC)
    blocks = voxels.reshape(-1, index, BLOCK, row, BLOCK, column, BLOCK)
    sums = blocks.sum(axis=6, dtype=np.int64).sum(axis=4).sum(axis=2)
    return sums.reshape(-1, NUM_BLOCKS)


def features_of(signatures: Signatures) -> tuple[Features, npt.NDArray[np.bool_]]:
    """What distances are taken between, and which crops have a pattern to be compared."""
    features = np.zeros((len(signatures), SIGNATURE_LENGTH + 2), dtype=np.float32)
    has_pattern = np.zeros(len(signatures), dtype=np.bool_)
    for rows in _batches(len(signatures), _PAIRS):
        hu = signatures[rows].astype(np.float32) / STEPS_PER_HU
        means_hu, spreads_hu = hu[:, :NUM_BLOCKS], hu[:, NUM_BLOCKS:]
        mean_hu, contrast_hu = means_hu.mean(axis=1), means_hu.std(axis=1)
        has_pattern[rows] = contrast_hu >= LEAST_CONTRAST_HU
        safe_hu = np.maximum(contrast_hu, 1.0)
        root = np.float32(np.sqrt(NUM_BLOCKS))
        features[rows] = np.column_stack(
            [
                (means_hu - mean_hu[:, None]) / (safe_hu[:, None] * root),
                _ROUGHNESS_WEIGHT / root * np.log(spreads_hu + _SMOOTH_HU),
                np.log(safe_hu),
                mean_hu / _HU_PER_UNIT,
            ]
        )
    return features, has_pattern


def near_pairs(
    features: Features, one_side: npt.NDArray[np.int64], other_side: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """All pairs of a row of one side and a row of the other within ``NEAR``, batch by batch.

    Args:
        features: of all crops.
        one_side: row numbers, of which a tree is made.
        other_side: row numbers, looked for in it.

    Yields:
        Row numbers of either side and the distances, shape (number of pairs,) each.
    """
    from scipy.spatial import cKDTree

    if len(one_side) == 0 or len(other_side) == 0:
        return
    axes = _main_axes(features[one_side[:: max(1, len(one_side) // _PCA_ROWS)]])
    tree = cKDTree(features[one_side] @ axes)
    places = features[other_side] @ axes
    # In an order in which neighbours follow each other, a batch touches few branches.
    order = np.asarray(cKDTree(places, leafsize=_QUERY_ROWS).indices)
    for rows in _batches(len(order), _QUERY_ROWS):
        chosen = order[rows]
        yield from _within(features, one_side, other_side, _coarse(tree, places, chosen))


def _coarse(
    tree: Any, places: npt.NDArray[np.float32], chosen: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions in the tree and in the other side that lie near along the main axes."""
    from scipy.spatial import cKDTree

    # A little more than NEAR: the projection is rounded too.
    found = cKDTree(places[chosen]).sparse_distance_matrix(
        tree, NEAR * 1.001, output_type="ndarray"
    )
    return found["j"].astype(np.int64), chosen[found["i"]].astype(np.int64)


def _within(
    features: Features,
    one_side: npt.NDArray[np.int64],
    other_side: npt.NDArray[np.int64],
    coarse: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Those of the coarse pairs that are near in all features."""
    first, second = one_side[coarse[0]], other_side[coarse[1]]
    for rows in _batches(len(first), _PAIRS):
        distance = np.linalg.norm(features[first[rows]] - features[second[rows]], axis=1)
        near = distance <= NEAR
        if near.any():
            yield first[rows][near], second[rows][near], distance[near]


def _main_axes(features: Features) -> npt.NDArray[np.float32]:
    """The directions along which features spread most, shape (290, 16), of length 1."""
    centered = features - features.mean(axis=0)
    _, vectors = np.linalg.eigh(centered.T.astype(np.float64) @ centered)
    return vectors[:, : -_TREE_AXES - 1 : -1].astype(np.float32)


def _batches(total: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, total, size))
