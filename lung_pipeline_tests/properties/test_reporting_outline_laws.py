# SPDX-License-Identifier: Apache-2.0
"""Laws of outlines and of the truth picture, for any masks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation

from lung_pipeline.reporting.patient.outline import outline
from lung_pipeline.reporting.patient.truth_overlay import truth_picture

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(MASKS)
def test_an_outline_is_what_a_dilation_adds(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(outline(mask), binary_dilation(mask) & ~mask)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_values_lie_within_0_and_1_and_only_marked_pixels_have_a_colour(
    data: st.DataObject, num_rows: int, num_columns: int
) -> None:
    shape = (num_rows, num_columns)
    slice_hu = data.draw(arrays(np.int16, shape))
    found, true = data.draw(arrays(np.bool_, shape)), data.draw(arrays(np.bool_, shape))
    picture = truth_picture(slice_hu, found, true)
    assert picture.shape == (512, 512, 3)
    assert picture.min() >= 0
    assert picture.max() <= 1
    is_colored = np.ptp(picture, axis=2) > 0.1
    assert is_colored.any() == (found | true).any()
