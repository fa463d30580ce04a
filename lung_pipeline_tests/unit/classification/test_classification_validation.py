# SPDX-License-Identifier: Apache-2.0
"""A classifier that says what stands in a crop is judged; its figures are worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import lung_pipeline.classification.inference as inference
from lung_pipeline.classification.tasks import Task
from lung_pipeline.classification.validation import validate_classifier
from lung_pipeline.crops.store import CropSet
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.learning.epoch import Validation
from lung_pipeline.learning.examples import CropExamples


class _SaysOfValue(torch.nn.Module):
    """Yes with the probability that stands, in thousandths, in the first voxel."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, crops_hu: torch.Tensor) -> torch.Tensor:
        yes = crops_hu[:, 0, 0, 0, 0] / 1000
        return torch.stack([torch.log(1 - yes), torch.log(yes)], dim=1)


def _task(
    labels: list[int],
    thousandths: list[int],
    names: tuple[str, str] = ("non-nodule", "nodule"),
    diameter_mm: list[float] | None = None,
) -> Task:
    """Crops of two subsets; the first is of the training part and would spoil every figure."""
    num = len(labels) + 1
    crops_hu = np.zeros((num, *CROP_SHAPE_IRC), dtype=np.int16)
    crops_hu[:, 0, 0, 0] = [1, *thousandths]
    table = pd.DataFrame(
        {
            "candidate_id": [f"series:{row}" for row in range(num)],
            "patient_id": [f"patient{row}" for row in range(num)],
        }
    )
    diameters = None if diameter_mm is None else np.array([99.0, *diameter_mm])
    crops = CropSet((crops_hu[:2], crops_hu[2:]), table)
    return Task(crops, np.array([1, *labels]), {}, np.arange(1, num), names, diameters)


def _shown(validation: Validation, name: str) -> CropExamples:
    (found,) = (example for example in validation.examples if example.name == name)
    assert isinstance(found, CropExamples)
    return found


def test_validation_weighs_both_classes_alike_and_counts_each() -> None:
    task = _task([1, 0, 0, 0], [600, 500, 200, 700])
    figures = validate_classifier(_SaysOfValue(), task, 1).figures
    of_no = -np.mean(np.log([0.5, 0.8, 0.3]))
    assert figures["validation/loss"] == pytest.approx((-np.log(0.6) + of_no) / 2, abs=1e-4)
    assert figures["validation/roc_auc"] == pytest.approx(2 / 3)
    assert figures["validation/nodule/recall"] == 1
    assert figures["validation/nodule/precision"] == 1 / 3  # a half counts as yes
    assert figures["validation/non-nodule/recall"] == 1 / 3
    assert figures["validation/non-nodule/total"] == 3
    assert not any("diameter" in name for name in figures)


def test_one_class_alone_has_a_loss_no_area_and_no_false_alarms() -> None:
    judged = validate_classifier(_SaysOfValue(), _task([1, 1], [500, 500]), 1)
    assert judged.figures["validation/loss"] == pytest.approx(np.log(2), abs=1e-4)
    assert "validation/roc_auc" not in judged.figures
    assert [example.name for example in judged.examples] == ["worst-misses"]


def test_worst_of_each_class_are_shown_worst_first() -> None:
    judged = validate_classifier(_SaysOfValue(), _task([0, 1, 0, 1], [300, 900, 800, 100]), 1)
    misses, alarms = (_shown(judged, name) for name in ("worst-misses", "worst-false-alarms"))
    assert misses.names == ("series:4", "series:2")
    assert alarms.names == ("series:3", "series:1")
    assert misses.probability == pytest.approx([0.1, 0.9], abs=0.005)
    # Each crop stands with its own probability.
    assert misses.crops_hu[:, 0, 0, 0].tolist() == [100, 900]
    assert alarms.crops_hu[:, 0, 0, 0].tolist() == [800, 300]
    assert misses.title == (
        "nodule, taken for non-nodule: the worst 2 of 2, with the probability of nodule"
    )


def test_twelve_of_a_class_are_shown_at_most() -> None:
    judged = validate_classifier(_SaysOfValue(), _task([1] * 20, list(range(100, 900, 40))), 1)
    misses = _shown(judged, "worst-misses")
    assert len(misses.names) == 12
    assert "the worst 12 of 20" in misses.title


def test_crops_without_ids_are_told_by_their_rows() -> None:
    task = _task([1, 0], [400, 300])
    del task.crops.index["candidate_id"]
    judged = validate_classifier(_SaysOfValue(), task, 1)
    assert _shown(judged, "worst-misses").names == ("1",)


LABELS = [1, 0, 1, 0, 1, 0, 0]
THOUSANDTHS = [900, 200, 300, 400, 800, 100, 600]
DIAMETER_MM = [25.0, 4.0, 6.0, 9.0, 20.0, 12.0, 20.1]


def test_malignancy_stands_beside_the_diameter_also_where_size_does_not_decide() -> None:
    task = _task(LABELS, THOUSANDTHS, ("benign", "malignant"), DIAMETER_MM)
    figures = validate_classifier(_SaysOfValue(), task, 1).figures
    # Malignant 25, 6 and 20 mm beside benign 4, 9, 12 and 20.1: 4 + 1 + 3 of 12 pairs.
    assert figures["validation/auc_of_diameter"] == pytest.approx(8 / 12)
    # .9 and .8 beat all of .2, .4, .1, .6 and .3 beats two.
    assert figures["validation/roc_auc"] == pytest.approx(10 / 12)
    assert figures["validation/auc_difference"] == pytest.approx(2 / 12)
    # Of 6 to 20 mm, both included: malignant 6 and 20 beside benign 9 and 12.
    assert figures["validation/6_to_20_mm/auc_of_diameter"] == pytest.approx(2 / 4)
    assert figures["validation/6_to_20_mm/roc_auc"] == pytest.approx(3 / 4)
    assert figures["validation/malignant/total"] == 3
    assert figures["validation/auc_difference_low"] < figures["validation/auc_difference_high"]


def test_one_seed_gives_one_interval_in_every_epoch() -> None:
    rng = np.random.default_rng(5)
    labels, diameter_mm = rng.integers(0, 2, 40), rng.uniform(3, 30, 40)
    task = _task(
        labels.tolist(),
        rng.integers(100, 900, 40).tolist(),
        ("benign", "malignant"),
        diameter_mm.tolist(),
    )
    first, again, other = (
        validate_classifier(_SaysOfValue(), task, seed).figures for seed in (3, 3, 4)
    )
    assert first == again
    assert first["validation/auc_difference_low"] != other["validation/auc_difference_low"]
    assert first["validation/auc_difference"] == other["validation/auc_difference"]


def test_crops_are_read_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    task = _task(LABELS, THOUSANDTHS)
    whole = validate_classifier(_SaysOfValue(), task, 1).figures
    monkeypatch.setattr(inference, "READ_CROPS", 3)
    assert validate_classifier(_SaysOfValue(), task, 1).figures == pytest.approx(whole, abs=1e-6)
