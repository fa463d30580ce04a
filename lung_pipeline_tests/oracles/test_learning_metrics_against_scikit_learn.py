# SPDX-License-Identifier: Apache-2.0
"""Our counts beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from lung_pipeline.learning.metrics import Confusion


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_figures_agree_with_scikit_learn(share: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        truth, predicted = rng.random(50) < share, rng.random(50) < 0.4
        ours = Confusion.of(truth, predicted)
        matrix = metrics.confusion_matrix(truth, predicted, labels=[False, True])
        assert ours.true_negative == matrix[0, 0]
        assert ours.false_positive == matrix[0, 1]
        assert ours.false_negative == matrix[1, 0]
        assert ours.true_positive == matrix[1, 1]
        theirs = [
            metrics.precision_score(truth, predicted, zero_division=0),
            metrics.recall_score(truth, predicted, zero_division=0),
            metrics.recall_score(~truth, ~predicted, zero_division=0),
            metrics.f1_score(truth, predicted, zero_division=0),
        ]
        assert list(ours.as_metrics("x").values()) == pytest.approx(theirs)
