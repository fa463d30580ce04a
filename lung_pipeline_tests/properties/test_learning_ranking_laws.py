# SPDX-License-Identifier: Apache-2.0
"""Laws of ranking beside the ruler that hold for every table of nodules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.learning.ranking import auc_difference, roc_auc
from lung_pipeline.learning.resampling import Estimate

NODULES = st.lists(
    st.tuples(st.booleans(), st.integers(0, 9), st.integers(3, 30), st.integers(0, 6)),
    min_size=1,
    max_size=25,
).map(np.array)
"""Rows of malignant or not, score, ruler, patient."""

few = settings(max_examples=40, deadline=None)


def _difference(nodules: np.ndarray, scores: int = 1, ruler: int = 2) -> Estimate:
    truth, patients = nodules[:, 0], nodules[:, 3]
    rng = np.random.default_rng(4)
    return auc_difference(truth, nodules[:, scores], nodules[:, ruler], patients, rng, 200)


@few
@given(NODULES)
def test_swapped_scores_turn_the_difference_round(nodules: np.ndarray) -> None:
    there, back = _difference(nodules), _difference(nodules, 2, 1)
    if there.value is not None:
        assert back.value == -there.value
    if there.low is not None:
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)


@few
@given(NODULES, st.integers(0, 99))
def test_order_of_the_nodules_is_irrelevant(nodules: np.ndarray, seed: int) -> None:
    shuffled = nodules[np.random.default_rng(seed).permutation(len(nodules))]
    assert _difference(shuffled) == _difference(nodules)


@few
@given(NODULES)
def test_only_the_order_of_the_scores_counts(nodules: np.ndarray) -> None:
    other = nodules.copy()
    other[:, 1] = nodules[:, 1] ** 3 - 50
    assert _difference(other) == _difference(nodules)


@few
@given(NODULES)
def test_every_nodule_twice_tells_nothing_new(nodules: np.ndarray) -> None:
    twice = np.concatenate([nodules, nodules])
    assert _difference(twice) == _difference(nodules)


@few
@given(NODULES)
def test_reversed_scores_have_the_rest_of_the_area(nodules: np.ndarray) -> None:
    area = roc_auc(nodules[:, 0], nodules[:, 1])
    if area is not None:
        assert roc_auc(nodules[:, 0], -nodules[:, 1]) == pytest.approx(1 - area)
