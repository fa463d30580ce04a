# SPDX-License-Identifier: Apache-2.0
"""Means of blocks, worked out by hand and slowly."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.ct.cells import block_shares, cell_means, spread, step_for
from lung_pipeline.ct.geometry import Triple


@pytest.mark.parametrize("step", [(1, 1, 1), (2, 3, 4), (1, 5, 2), (7, 8, 9), (9, 9, 9)])
def test_a_cell_is_the_mean_of_its_block(step: Triple) -> None:
    voxels_hu = np.random.default_rng(0).integers(-1000, 1000, (7, 8, 9)).astype(np.int16)
    means = cell_means(voxels_hu, step)
    for place in np.ndindex(means.shape):
        block = voxels_hu[
            tuple(slice(p * s, (p + 1) * s) for p, s in zip(place, step, strict=True))
        ]
        assert means[place] == np.floor(block.mean())
    assert means.shape == tuple(-(-n // s) for n, s in zip((7, 8, 9), step, strict=True))


def test_sums_of_large_blocks_do_not_overflow() -> None:
    assert cell_means(np.full((40, 60, 60), 1000, np.int16), (40, 60, 60)).tolist() == [[[1000]]]


@pytest.mark.parametrize(
    ("spacing_irc_mm", "step"),
    [((2.5, 0.82, 0.82), (1, 3, 3)), ((0.5, 0.5, 0.5), (5, 5, 5)), ((5.0, 4.2, 2.0), (1, 1, 1))],
)
def test_a_cell_is_as_near_to_2_5_mm_as_whole_voxels_come(
    spacing_irc_mm: tuple[float, float, float], step: Triple
) -> None:
    assert step_for(spacing_irc_mm, 2.5) == step


def test_shares_of_blocks_go_on_where_the_mask_ends() -> None:
    mask = np.array([[[True, False, True]]])
    np.testing.assert_array_equal(block_shares(mask, (2, 1, 2)), [[[0.5, 1.0]]])


def test_spreading_undoes_the_shares_of_whole_blocks() -> None:
    coarse = np.random.default_rng(1).random((3, 4, 5)) > 0.5
    mask = spread(coarse, (2, 1, 3), (6, 4, 14))
    assert mask.shape == (6, 4, 14)
    np.testing.assert_array_equal(block_shares(mask, (2, 1, 3)) > 0.5, coarse)
