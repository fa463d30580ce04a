# SPDX-License-Identifier: Apache-2.0
"""Which samples are the worst."""

from __future__ import annotations

import numpy as np

from lung_pipeline.learning.examples import worst_rows


def test_worst_are_the_unlikeliest_nodules_and_the_likeliest_others() -> None:
    labels = np.array([1, 0, 1, 0, 1, 0])
    probability = np.array([0.9, 0.8, 0.1, 0.2, 0.1, 0.7])
    misses, alarms = worst_rows(labels, probability, num=2)
    assert misses.tolist() == [2, 4]
    assert alarms.tolist() == [1, 5]


def test_fewer_are_shown_where_there_are_fewer() -> None:
    misses, alarms = worst_rows(np.array([0, 0]), np.array([0.2, 0.3]))
    assert (misses.tolist(), alarms.tolist()) == ([], [1, 0])
