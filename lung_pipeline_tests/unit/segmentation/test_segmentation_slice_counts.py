# SPDX-License-Identifier: Apache-2.0
"""What is found, missed and marked in vain on whole slices, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.errors import AnnotationError
from lung_pipeline.segmentation.slice_counts import SliceCounts, slice_figures

NODULES = np.array(
    [
        # Nodule 1 on two slices, nodule 2 on the first, and a slice without any.
        [[1, 1, 0, 0, 0], [1, 1, 0, 0, 2], [0, 0, 0, 0, 2], [0, 0, 0, 0, 0]],
        [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    ]
)

PREDICTED = np.array(
    [
        # Of nodule 1 three voxels and one beside; a mark alone below.
        [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 0]],
        # Nothing of nodule 1; a mark right above that of the first slice is one of its own.
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 0]],
        # Two marks that touch by a corner only are two.
        [[0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]],
    ],
    dtype=bool,
)


def _figures(predicted: np.ndarray, nodules: np.ndarray) -> dict[str, float]:
    return slice_figures(predicted, nodules > 0, nodules)


def test_three_slices_worked_by_hand() -> None:
    assert _figures(PREDICTED, NODULES) == pytest.approx(
        {
            # 10 marked, 8 of nodules, 3 of them both.
            "validation/slice/voxel/recall": 3 / 8,
            "validation/slice/voxel/precision": 3 / 10,
            "validation/slice/voxel/dice": 6 / 18,
            "validation/slice/nodule/recall": 1 / 2,
            # Of five marks one touches a nodule.
            "validation/slice/nodule/precision": 1 / 5,
            # Nodule 1: 6 voxels, 4 marked, 3 both; nodule 2: nothing.
            "validation/slice/nodule/dice": (2 * 3 / (6 + 4) + 0) / 2,
            "validation/slice/nodule/correct": 1,
            "validation/slice/nodule/total": 2,
            "validation/slice/false_positives": 4 / 3,
            "validation/slice/total": 3,
        }
    )


def test_figures_are_plain_numbers() -> None:
    assert {type(value) for value in _figures(PREDICTED, NODULES).values()} == {float}


def test_a_perfect_prediction_has_nothing_wrong() -> None:
    figures = _figures(NODULES > 0, NODULES)
    assert figures.pop("validation/slice/false_positives") == 0
    shares = {name: value for name, value in figures.items() if "/total" not in name}
    assert shares.pop("validation/slice/nodule/correct") == 2
    assert set(shares.values()) == {1}


def test_a_mark_beside_a_nodule_that_shares_no_voxel_is_false() -> None:
    nodules = np.array([[[1, 1, 0, 0]]])
    beside = np.array([[[0, 0, 1, 0]]], dtype=bool)
    assert _figures(beside, nodules)["validation/slice/false_positives"] == 1
    assert _figures(beside, nodules)["validation/slice/nodule/recall"] == 0


def test_one_mark_over_two_nodules_is_no_fault_of_either() -> None:
    nodules = np.array([[[1, 1, 2, 2]]])
    figures = _figures(nodules > 0, nodules)
    assert figures["validation/slice/nodule/dice"] == 1
    assert figures["validation/slice/nodule/precision"] == 1


def test_slices_without_a_nodule_count_what_is_marked_in_vain() -> None:
    counts = SliceCounts.of(PREDICTED[2:], NODULES[2:] > 0, NODULES[2:])
    assert (counts.num_slices, counts.num_false_marks, counts.nodule_dices) == (1, 2, ())
    assert counts.as_metrics("x")["x/nodule/recall"] == 0


def test_series_add_up() -> None:
    # Cut where no nodule lies on both sides.
    parts = [
        SliceCounts.of(PREDICTED[part], NODULES[part] > 0, NODULES[part])
        for part in (np.s_[:2], np.s_[2:])
    ]
    whole = SliceCounts.of(PREDICTED, NODULES > 0, NODULES)
    assert parts[0] + parts[1] == whole == SliceCounts() + whole


def test_nothing_at_all_divides_by_nothing() -> None:
    assert set(SliceCounts().as_metrics().values()) == {0}
    silent = _figures(np.zeros_like(PREDICTED), NODULES)
    assert silent["validation/slice/voxel/dice"] == silent["validation/slice/nodule/dice"] == 0


def test_masks_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(AnnotationError, match="one shape"):
        slice_figures(PREDICTED[:2], NODULES > 0, NODULES)
    other = NODULES > 0
    other[2, 3, 4] = True
    with pytest.raises(AnnotationError, match="1 voxels that differ"):
        slice_figures(PREDICTED, other, NODULES)
