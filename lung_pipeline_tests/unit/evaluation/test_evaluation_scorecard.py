# SPDX-License-Identifier: Apache-2.0
"""The scorecard: what goes in comes out, in JSON and in flat names."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.detection.froc import froc, operating_point
from lung_pipeline.evaluation.detection.matching import match
from lung_pipeline.evaluation.ranking.malignancy import (
    MalignancyFigures,
    RankedNodules,
    malignancy_figures,
)
from lung_pipeline.evaluation.readers import ReadersFigures
from lung_pipeline.evaluation.scorecard import (
    Scorecard,
    build_scorecard,
)
from lung_pipeline.evaluation.split_certificate import SplitCertificate
from lung_pipeline.learning.ranking import RANGE_MM
from lung_pipeline.learning.resampling import Estimate

NODULES = pd.DataFrame(
    {"series_uid": ["a", "b"], "x_mm": 0.0, "y_mm": 0.0, "z_mm": 0.0, "diameter_mm": 6.0}
)
READERS = ReadersFigures(
    rule={"name": "mean", "version": 1, "threshold": 3.5},
    num_patients=21,
    num_unknown=5,
    num_unrated=4,
    num_left_out=2,
    num_malignant_called_malignant=3,
    num_malignant_called_benign=1,
    num_benign_called_malignant=0,
    num_benign_called_benign=6,
    sensitivity=Estimate(0.75, 0.3, 0.95),
    specificity=Estimate(1.0, 0.61, 1.0),
    auc_of_mean_rating=Estimate(1.0, None, None),
)


RANKED = RankedNodules(
    is_malignant=np.array([True, False, False, True, False]),
    diameter_mm=np.array([9.0, 10.0, 4.0, 30.0, 6.0]),
    probability=np.array([0.8, 0.7, 0.1, 0.2, 0.3]),
    patient_ids=np.array(["A", "B", "B", "C", "D"], dtype=object),
)


def scorecard(num_nodules: int = 2, readers: ReadersFigures | None = None) -> Scorecard:
    """One nodule of two found at 0.9; one false positive at 0.4; two scans."""
    nodules = NODULES.iloc[:num_nodules]
    findings = NODULES.assign(score=[0.9, 0.4], x_mm=[1.0, 50.0])
    matches = match(findings, nodules, series_uids=["a", "b"])
    curve = froc(matches, 2)
    return build_scorecard(
        name="demo",
        part="test",
        subsets=("subset0", "subset1"),
        num_patients=2,
        models={"nodule": "lung-nodule v3"},
        matches=matches,
        curve=curve,
        point=operating_point(curve, 0.0),
        how_chosen="highest sensitivity at no more than 4 false positives a scan",
        malignancy=malignancy_figures(RANKED),
        malignancy_6_to_20_mm=malignancy_figures(RANKED.within(*RANGE_MM)),
        split=SplitCertificate(
            {"kind": "hash", "seed": 7}, {"train": 5, "test": 2}, 0, {"nodule": "the same"}
        ),
        provenance={"code": "0.1.0"},
        made_at="2026-01-02T03:04:05Z",
        readers=readers,
    )


@pytest.mark.parametrize("readers", [None, READERS])
def test_json_and_back_is_the_identity(readers: ReadersFigures | None) -> None:
    card = scorecard(readers=readers)
    assert Scorecard.from_json(json.loads(json.dumps(card.as_json()))) == card


def test_a_record_from_before_the_readers_is_still_read() -> None:
    card = scorecard()
    record = card.as_json()
    del record["readers"]
    assert Scorecard.from_json(record) == card


def test_a_record_from_before_models_said_their_split_is_still_read() -> None:
    record = scorecard().as_json()
    del record["split"]["split_of_models"]
    card = Scorecard.from_json(record)
    assert card.split.num_models_of_another_split is None
    assert "split/models_of_another_split" not in card.metrics()


@pytest.mark.parametrize(
    ("splits", "number"),
    [
        ([], None),
        (["the same", "the same"], 0),
        (["the same", "not known"], None),
        (["another", "not known"], 1),
        (["another", "another"], 2),
    ],
)
def test_models_of_another_split_are_counted_where_that_is_known(
    splits: list[str], number: int | None
) -> None:
    split = SplitCertificate({}, {}, 0, dict(zip(("segmentation", "nodule"), splits, strict=False)))
    assert split.num_models_of_another_split == number


def test_a_record_from_before_the_ruler_is_still_read() -> None:
    record = scorecard().as_json()
    del record["malignancy_6_to_20_mm"]
    names = ("auc", "auc_of_diameter", "num_malignant", "num_benign")
    record["malignancy"] = {name: record["malignancy"][name] for name in names}
    card = Scorecard.from_json(record)
    assert card.malignancy == MalignancyFigures(4 / 6, 5 / 6, 2, 3)
    assert card.malignancy_6_to_20_mm is None
    of_ruler = {name for name in card.metrics() if name.startswith("malignancy")}
    assert of_ruler == {f"malignancy/{name}" for name in names}


@pytest.mark.parametrize(
    "damage", ["missing", "missing of readers", "readers", "ruler", "interval", "unknown"]
)
def test_a_record_of_other_fields_is_refused(damage: str) -> None:
    record = scorecard(readers=READERS).as_json()
    if damage == "missing":
        del record["detection"]["cpm"]
    elif damage == "missing of readers":
        del record["readers"]["sensitivity"]["low"]
    elif damage == "readers":
        record["readers"] = []
    elif damage == "ruler":
        record["malignancy_6_to_20_mm"]["auc_of_length"] = 0.5
    elif damage == "interval":
        del record["malignancy"]["auc_difference"]["low"]
    else:
        record["colour"] = "green"
    with pytest.raises(StoreError, match="exactly the fields"):
        Scorecard.from_json(record)


def test_metrics_hold_the_figures_worked_by_hand() -> None:
    metrics = scorecard().metrics()
    assert metrics["detection/sensitivity_at_operating_point"] == 1 / 2
    assert metrics["detection/fp_per_scan_at_operating_point"] == 0.0
    assert metrics["detection/threshold"] == 0.9
    assert metrics["detection/cpm"] == pytest.approx(1 / 2)
    assert metrics["detection/num_false_positives"] == 1


def test_metrics_hold_the_model_beside_the_ruler_in_both_ranges() -> None:
    card = scorecard()
    of_ruler = {n: figure for n, figure in card.metrics().items() if n.startswith("malignancy")}
    # Malignant: 0.8 wins against all three, 0.2 against one. 9 mm wins twice, 30 mm three times.
    interval = card.malignancy.auc_difference
    assert of_ruler == {
        "malignancy/auc": pytest.approx(4 / 6),
        "malignancy/auc_of_diameter": pytest.approx(5 / 6),
        "malignancy/auc_difference": pytest.approx(-1 / 6),
        "malignancy/auc_difference_low": interval.low,
        "malignancy/auc_difference_high": interval.high,
        "malignancy/num_malignant": 2,
        "malignancy/num_benign": 3,
        "malignancy/num_patients": 4,
        # Of 6 to 20 mm one malignant nodule is left: too few for an interval.
        "malignancy_6_to_20_mm/auc": 1.0,
        "malignancy_6_to_20_mm/auc_of_diameter": 0.5,
        "malignancy_6_to_20_mm/auc_difference": 0.5,
        "malignancy_6_to_20_mm/num_malignant": 1,
        "malignancy_6_to_20_mm/num_benign": 2,
        "malignancy_6_to_20_mm/num_patients": 3,
    }


def test_metrics_hold_the_readers_with_their_intervals() -> None:
    metrics = scorecard(readers=READERS).metrics()
    of_readers = {name: figure for name, figure in metrics.items() if name.startswith("readers/")}
    assert of_readers == {
        "readers/num_patients": 21,
        "readers/num_unknown": 5,
        "readers/num_unrated": 4,
        "readers/num_left_out": 2,
        "readers/num_malignant_called_malignant": 3,
        "readers/num_malignant_called_benign": 1,
        "readers/num_benign_called_malignant": 0,
        "readers/num_benign_called_benign": 6,
        "readers/sensitivity": 0.75,
        "readers/sensitivity_low": 0.3,
        "readers/sensitivity_high": 0.95,
        "readers/specificity": 1.0,
        "readers/specificity_low": 0.61,
        "readers/specificity_high": 1.0,
        "readers/auc_of_mean_rating": 1.0,
    }
    assert not any(name.startswith("readers/") for name in scorecard().metrics())


def test_metric_names_are_valid_for_mlflow() -> None:
    names = scorecard(readers=READERS).metrics()
    assert "detection/sensitivity_at_0.125_fp_per_scan" in names
    assert all(re.fullmatch(r"[A-Za-z0-9_./-]+", name) for name in names)


def test_unknown_figures_are_null_in_json_and_absent_from_metrics() -> None:
    card = scorecard(num_nodules=0)
    assert card.detection.cpm is None
    assert json.loads(json.dumps(card.as_json(), allow_nan=False))["detection"]["cpm"] is None
    assert "detection/cpm" not in card.metrics()
