# SPDX-License-Identifier: Apache-2.0
"""Laws of windows and batches that hold for every shape, centre and share."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.crops.sampling import Group, balanced_batches
from lung_pipeline.crops.windows import cut_window
from lung_pipeline.ct.hounsfield import AIR_HU

SHAPES = st.tuples(*(st.integers(1, 6),) * 3)
CENTERS = st.tuples(*(st.integers(-9, 14),) * 3)

few = settings(max_examples=60, deadline=None)


@few
@given(SHAPES, CENTERS, SHAPES)
def test_a_window_is_a_slice_of_the_padded_volume(shape, center, window_shape) -> None:  # type: ignore[no-untyped-def]
    voxels_hu = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    margin = 20
    padded = np.pad(voxels_hu, margin, constant_values=AIR_HU)
    place = tuple(
        slice(margin + c - size // 2, margin + c - size // 2 + size)
        for c, size in zip(center, window_shape, strict=True)
    )
    np.testing.assert_array_equal(cut_window(voxels_hu, center, window_shape), padded[place])


@few
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any),
    st.integers(1, 40),
    st.integers(0, 99),
)
def test_each_group_has_its_share_of_a_batch_to_less_than_one_row(weights, size, seed) -> None:  # type: ignore[no-untyped-def]
    # Sums of tenths leave rounding errors, which must neither refuse nor miscount.
    groups = {
        str(number): Group(np.full(weight, number), weight * 0.1)
        for number, weight in enumerate(weights)
    }
    rng = np.random.default_rng(seed)
    for rows in balanced_batches(groups, batch_size=size, num_batches=3, rng=rng):
        assert len(rows) == size
        wanted = np.asarray(weights) / sum(weights) * size
        found = np.bincount(rows, minlength=len(weights))
        assert (np.abs(found - wanted) < 1).all()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 99))
def test_over_many_batches_odd_shares_come_out_even(seed) -> None:  # type: ignore[no-untyped-def]
    groups = {
        "third": Group(np.array([0]), 1 / 3),
        "other": Group(np.array([1]), 2 / 3),
    }
    drawn = balanced_batches(groups, batch_size=4, num_batches=300, rng=np.random.default_rng(seed))
    assert abs(np.mean([np.mean(rows == 0) for rows in drawn]) - 1 / 3) < 0.03
