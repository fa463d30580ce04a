# SPDX-License-Identifier: Apache-2.0
"""Precision, recall and F1, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.learning.metrics import Confusion

TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
PREDICTED = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0])


def test_counts_and_figures_of_ten_predictions() -> None:
    confusion = Confusion.of(TRUTH, PREDICTED)
    assert confusion == Confusion(3, 1, 1, 5)
    assert confusion.precision == 3 / 4
    assert confusion.recall == 3 / 4
    assert confusion.specificity == 5 / 6
    assert confusion.f1 == 6 / 8
    assert confusion.as_metrics("validation") == {
        "validation/precision": 3 / 4,
        "validation/recall": 3 / 4,
        "validation/specificity": 5 / 6,
        "validation/f1": 6 / 8,
    }


def test_batches_add_up_to_the_whole() -> None:
    parts = Confusion.of(TRUTH[:3], PREDICTED[:3]) + Confusion.of(TRUTH[3:], PREDICTED[3:])
    assert parts == Confusion.of(TRUTH, PREDICTED)


@pytest.mark.parametrize("shape", [(10,), (2, 5), (1, 2, 5)])
def test_any_shape_is_counted_voxel_by_voxel(shape: tuple[int, ...]) -> None:
    counted = Confusion.of(TRUTH.reshape(shape), PREDICTED.reshape(shape))
    assert counted == Confusion(3, 1, 1, 5)


def test_where_there_is_nothing_to_divide_by_figures_are_zero() -> None:
    nothing = Confusion()
    assert (nothing.precision, nothing.recall, nothing.specificity, nothing.f1) == (0, 0, 0, 0)
    silent = Confusion.of(np.array([True]), np.array([False]))
    assert (silent.precision, silent.recall, silent.f1) == (0, 0, 0)
