# SPDX-License-Identifier: Apache-2.0
"""Precision, recall and F1, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.errors import AnnotationError, ModelError
from lung_pipeline.learning.metrics import Confusion, two_class_metrics

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


def test_negatives_are_the_same_predictions_looked_at_from_the_other_side() -> None:
    assert Confusion(3, 1, 2, 5).of_negatives == Confusion(5, 2, 1, 3)


def test_two_classes_of_six_samples_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    # At 0.5 one false alarm (0.8) and one miss (0.4); on the threshold counts as a nodule.
    probability = np.array([0.1, 0.2, 0.3, 0.8, 0.5, 0.4])
    figures = two_class_metrics(labels, probability)
    of_negatives = -np.log([0.9, 0.8, 0.7, 0.2]).mean()
    of_positives = -np.log([0.5, 0.4]).mean()
    assert figures == pytest.approx(
        {
            # Not the mean over six, in which the nodules would hardly count.
            "validation/loss": (of_negatives + of_positives) / 2,
            # The nodules stand second and third of the falling order: (1/2 + 2/3) / 2.
            "validation/pr_auc": 7 / 12,
            # Of eight pairs two are the wrong way round.
            "validation/roc_auc": 6 / 8,
            "validation/non-nodule/recall": 3 / 4,
            "validation/non-nodule/precision": 3 / 4,
            "validation/non-nodule/f1": 3 / 4,
            "validation/non-nodule/correct": 3,
            "validation/non-nodule/total": 4,
            "validation/non-nodule/loss": of_negatives,
            "validation/nodule/recall": 1 / 2,
            "validation/nodule/precision": 1 / 2,
            "validation/nodule/f1": 1 / 2,
            "validation/nodule/correct": 1,
            "validation/nodule/total": 2,
            "validation/nodule/loss": of_positives,
        }
    )


def test_names_prefix_and_threshold_are_the_callers() -> None:
    labels, probability = np.array([0, 1]), np.array([0.1, 0.3])
    names = ("benign", "malignant")
    figures = two_class_metrics(labels, probability, names, prefix="test", threshold=0.2)
    assert figures["test/malignant/correct"] == figures["test/benign/correct"] == 1
    assert all(name.startswith("test/") for name in figures)


@pytest.mark.parametrize(("label", "absent"), [(0, "nodule"), (1, "non-nodule")])
def test_what_one_class_alone_cannot_tell_is_left_out(label: int, absent: str) -> None:
    figures = two_class_metrics(np.full(3, label), np.array([0.2, 0.4, 0.9]))
    unknown = {"validation/pr_auc", "validation/roc_auc", f"validation/{absent}/loss"}
    assert not unknown & figures.keys()
    assert figures[f"validation/{absent}/total"] == 0
    present = {"nodule", "non-nodule"} - {absent}
    assert figures["validation/loss"] == figures[f"validation/{present.pop()}/loss"]


def test_a_sure_mistake_costs_much_and_not_all() -> None:
    figures = two_class_metrics(np.array([1, 0]), np.array([0.0, 1.0]))
    assert figures["validation/loss"] == pytest.approx(-np.log(1e-7), rel=1e-6)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(AnnotationError, match="no sample"):
        two_class_metrics(np.array([]), np.array([]))
    with pytest.raises(ModelError, match=r"validation sample 1: .* got nan"):
        two_class_metrics(np.array([0, 1]), np.array([0.5, np.nan]))
    with pytest.raises(ModelError, match=r"got 1\.5"):
        two_class_metrics(np.array([0, 1]), np.array([1.5, 0.5]))
