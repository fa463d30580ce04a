# SPDX-License-Identifier: Apache-2.0
"""A box that was looked at, asked by voxels of the whole volume."""

from __future__ import annotations

import numpy as np

from lung_pipeline.diagnosis.steps.grouped import Grouped
from lung_pipeline.segmentation.probability_box import ProbabilityBox

START_IRC = (2, 10, 20)


def _grouped() -> Grouped:
    labels = np.arange(1, 4 * 5 * 6 + 1, dtype=np.int32).reshape(4, 5, 6)
    return Grouped(ProbabilityBox(START_IRC, (labels / 128).astype(np.float16)), labels, [])


def test_a_box_within_is_that_box() -> None:
    grouped = _grouped()
    probabilities, labels = grouped.part(np.s_[3:5, 11:13, 20:26])
    np.testing.assert_array_equal(labels, grouped.labels[1:3, 1:3])
    np.testing.assert_array_equal(probabilities, labels.astype(np.float16) / 128)


def test_what_was_not_looked_at_is_zero() -> None:
    grouped = _grouped()
    _, labels = grouped.part(np.s_[0:4, 8:11, 25:30])
    expected = np.zeros((4, 3, 5), dtype=np.int32)
    expected[2:, 2, 0] = grouped.labels[:2, 0, 5]
    np.testing.assert_array_equal(labels, expected)


def test_a_box_elsewhere_or_without_voxels_is_empty() -> None:
    probabilities, labels = _grouped().part(np.s_[100:103, 0:2, 0:2])
    assert probabilities.shape == labels.shape == (3, 2, 2)
    assert not labels.any()
    assert _grouped().part(np.s_[5:5, 0:2, 0:2])[1].shape == (0, 2, 2)


def test_points_get_the_label_of_their_voxel() -> None:
    points_irc = np.array([[[2, 10, 20], [5, 14, 25]], [[1, 10, 20], [6, 14, 25]]])
    assert _grouped().labels_at(points_irc).tolist() == [[1, 120], [0, 0]]
