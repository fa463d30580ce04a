# SPDX-License-Identifier: Apache-2.0
"""Laws of the readers' agreement that hold for every table of patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.annotations.diagnoses import BENIGN, METASTATIC, PRIMARY, UNKNOWN
from lung_pipeline.evaluation.readers import ReadersFigures, readers_figures

PATIENTS = [f"P{number}" for number in range(12)]
RATINGS = st.lists(st.integers(1, 5), max_size=4).map(lambda given: ",".join(map(str, given)))

NODULES = st.lists(
    st.tuples(st.sampled_from(PATIENTS), RATINGS, st.sampled_from([True, False, None])), max_size=20
).map(
    lambda rows: pd.DataFrame(
        [(patient, ratings, label if ratings else None) for patient, ratings, label in rows],
        columns=["patient_id", "ratings", "is_malignant"],
    ).astype({"patient_id": "str", "ratings": "str", "is_malignant": "boolean"})
)
DIAGNOSES = st.dictionaries(st.sampled_from(PATIENTS), st.integers(0, 3), max_size=12).map(
    lambda known: pd.DataFrame(
        {"patient_id": list(known), "diagnosis": list(known.values())}
    ).astype({"patient_id": "str", "diagnosis": "int64"})
)

few = settings(max_examples=25, deadline=None)


def _figures(nodules: pd.DataFrame, diagnoses: pd.DataFrame) -> ReadersFigures:
    rng = np.random.default_rng(3)
    return readers_figures(nodules, diagnoses, PATIENTS, rule={"name": "any"}, rng=rng)


@few
@given(NODULES, DIAGNOSES)
def test_every_patient_is_counted_once_and_figures_lie_in_their_intervals(
    nodules: pd.DataFrame, diagnoses: pd.DataFrame
) -> None:
    figures = _figures(nodules, diagnoses)
    apart = figures.num_unknown + figures.num_unrated + figures.num_left_out
    assert apart + figures.num_compared == figures.num_patients == len(diagnoses)
    for estimate in (figures.sensitivity, figures.specificity):
        assert (estimate.value is None) == (estimate.low is None) == (estimate.high is None)
        if estimate.value is not None:
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    auc = figures.auc_of_mean_rating
    if auc.low is not None:
        assert 0 <= auc.low < auc.high <= 1


@few
@given(NODULES, DIAGNOSES, st.integers(0, 99))
def test_order_of_rows_is_irrelevant(
    nodules: pd.DataFrame, diagnoses: pd.DataFrame, seed: int
) -> None:
    shuffled = (table.sample(frac=1, random_state=seed) for table in (nodules, diagnoses))
    assert _figures(*shuffled) == _figures(nodules, diagnoses)


@few
@given(NODULES, DIAGNOSES)
def test_swapped_diagnoses_turn_sensitivity_into_the_rest_of_specificity(
    nodules: pd.DataFrame, diagnoses: pd.DataFrame
) -> None:
    swap = {UNKNOWN: UNKNOWN, BENIGN: PRIMARY, PRIMARY: BENIGN, METASTATIC: BENIGN}
    swapped = _figures(nodules, diagnoses.assign(diagnosis=diagnoses["diagnosis"].map(swap)))
    figures = _figures(nodules, diagnoses)
    assert swapped.num_malignant_called_malignant == figures.num_benign_called_malignant
    assert swapped.num_malignant_called_benign == figures.num_benign_called_benign
    if figures.auc_of_mean_rating.value is not None:
        total = figures.auc_of_mean_rating.value + (swapped.auc_of_mean_rating.value or 0.0)
        np.testing.assert_allclose(total, 1)
