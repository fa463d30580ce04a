# SPDX-License-Identifier: Apache-2.0
"""Laws of windows and batches that hold for every shape, centre and share."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lung_pipeline.crops.sampling import BalancedSampler, Group
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
    # What gets no row in an epoch is refused.
    assume(min(weight for weight in weights if weight) * size * 3 >= sum(weights))
    sampler = BalancedSampler(groups, batch_size=size, num_batches=3, seed=seed)
    wanted = np.asarray(weights) / sum(weights) * size
    of_batches = [np.bincount(rows, minlength=len(weights)) for rows in sampler.epoch(1)]
    assert [int(found.sum()) for found in of_batches] == [size] * 3
    assert all((np.abs(found - wanted) < 1).all() for found in of_batches)
    assert (np.abs(np.sum(of_batches, axis=0) - 3 * wanted) < 1).all()


@few
@given(
    st.integers(1, 30), st.integers(1, 9), st.integers(1, 5), st.integers(1, 6), st.integers(0, 99)
)
def test_no_row_is_met_twice_more_often_than_another(  # type: ignore[no-untyped-def]
    num_rows, size, num_batches, num_epochs, seed
) -> None:
    assume(0.3 * size * num_batches >= 1)
    groups = {"a": Group(np.arange(num_rows), 0.7), "b": Group(np.arange(50, 53), 0.3)}
    sampler = BalancedSampler(groups, batch_size=size, num_batches=num_batches, seed=seed)
    epochs = [np.concatenate(sampler.epoch(number)) for number in range(1, num_epochs + 1)]
    for rows, first in ((num_rows, 0), (3, 50)):
        met = np.bincount(np.concatenate(epochs), minlength=60)[first : first + rows]
        assert met.max() - met.min() <= 1
    alone = BalancedSampler(groups, batch_size=size, num_batches=num_batches, seed=seed)
    np.testing.assert_array_equal(np.concatenate(alone.epoch(num_epochs)), epochs[-1])
