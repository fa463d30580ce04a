# SPDX-License-Identifier: Apache-2.0
"""The malignancy figures as a record: which nodules count, and what is known of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from lung_pipeline.evaluation.ranking.malignancy import (
    MalignancyFigures,
    RankedNodules,
    malignancy_figures,
)
from lung_pipeline.learning.resampling import NOT_MEASURED

RANKED = RankedNodules(
    is_malignant=np.array([True, True, False, False, False]),
    diameter_mm=np.array([6.0, 20.1, 20.0, 5.9, 8.0]),
    probability=np.array([0.9, 0.4, 0.5, 0.2, 0.1]),
    patient_ids=np.array(["P", "Q", "Q", "R", "S"], dtype=object),
)


def test_figures_are_those_worked_by_hand() -> None:
    figures = malignancy_figures(RANKED)
    # Of six pairs the model wins five; 6 mm wins one and 20.1 mm three.
    assert figures.auc == pytest.approx(5 / 6)
    assert figures.auc_of_diameter == pytest.approx(4 / 6)
    assert figures.auc_difference.value == pytest.approx(1 / 6)
    assert (figures.num_malignant, figures.num_benign, figures.num_patients) == (2, 3, 4)


def test_both_ends_of_a_range_belong_to_it() -> None:
    inside = RANKED.within(6.0, 20.0)
    assert inside.diameter_mm.tolist() == [6.0, 20.0, 8.0]
    assert inside.is_malignant.tolist() == [True, False, False]
    assert inside.patient_ids.tolist() == ["P", "Q", "S"]
    assert inside.probability is not None
    assert inside.probability.tolist() == [0.9, 0.5, 0.1]


def test_without_a_malignancy_model_only_the_diameter_is_scored() -> None:
    without = replace(RANKED, probability=None)
    figures = malignancy_figures(without)
    assert (figures.auc, figures.auc_difference) == (None, NOT_MEASURED)
    assert figures.auc_of_diameter == pytest.approx(4 / 6)
    assert without.within(6.0, 20.0).probability is None


def test_no_nodule_at_all_leaves_every_figure_unknown() -> None:
    figures = malignancy_figures(RANKED.within(90.0, 99.0))
    assert figures == MalignancyFigures(None, None, 0, 0, 0, NOT_MEASURED)


def test_the_same_nodules_have_the_same_interval() -> None:
    assert malignancy_figures(RANKED) == malignancy_figures(RANKED)
    assert malignancy_figures(RANKED).auc_difference.low is not None


def test_json_and_back_is_the_identity() -> None:
    figures = malignancy_figures(RANKED)
    assert MalignancyFigures.from_json(json.loads(json.dumps(asdict(figures)))) == figures
