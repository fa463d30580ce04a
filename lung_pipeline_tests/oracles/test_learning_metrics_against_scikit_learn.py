# SPDX-License-Identifier: Apache-2.0
"""Our counts beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from lung_pipeline.learning.metrics import Confusion, two_class_metrics


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


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_both_classes_agree_with_scikit_learn(share: float) -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        labels = (rng.random(200) < share).astype(int)
        labels[:2] = 0, 1
        # Rounded, so that there are ties.
        probability = (0.3 * labels + 0.7 * rng.random(200)).round(2).clip(0.01, 0.99)
        ours = two_class_metrics(labels, probability)
        figures = metrics.precision_recall_fscore_support(
            labels, probability >= 0.5, zero_division=0
        )
        for row, name in enumerate(("non-nodule", "nodule")):
            of_class = [
                ours[f"validation/{name}/{figure}"]
                for figure in ("precision", "recall", "f1", "total")
            ]
            assert of_class == pytest.approx([figure[row] for figure in figures])
        precision, recall, _ = metrics.precision_recall_curve(labels, probability)
        steps = -(np.diff(recall) * precision[:-1]).sum()
        assert ours["validation/pr_auc"] == pytest.approx(steps)
        weights = 1 / np.bincount(labels)[labels]
        loss = metrics.log_loss(labels, probability, sample_weight=weights)
        assert ours["validation/loss"] == pytest.approx(loss)
