# SPDX-License-Identifier: Apache-2.0
"""What stands behind a scorecard's headline: chosen on validation, counted on the scored part."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.operating_point.targets import (
    MaxFalsePositives,
    MinMalignantSensitivity,
)
from lung_pipeline.evaluation.scorecard import Scorecard
from lung_pipeline.evaluation.scoring import score
from lung_pipeline.evaluation.split_certificate import SplitCertificate
from lung_pipeline.learning.calibrators import Identity, Temperature

NUM_SCANS = 40
"""In each part; each has a nodule at 0 and one more finding at 50 mm."""

SPLIT = SplitCertificate({"seed": 20}, {"validation": NUM_SCANS, "test": NUM_SCANS}, 0)
MODELS = {"segmentation": "s", "nodule": "n", "malignancy": "m"}


def _evaluation(num_scans: int = NUM_SCANS) -> Evaluation:
    """Nodules have .9 and false positives .2 on validation; on test a quarter is the other way.

    Every second nodule is malignant, and the malignancy model is right about three of four.
    """
    uids = [f"{part}{scan}" for part in ("v", "t") for scan in range(num_scans)]
    series = pd.DataFrame({"subset": "subset0", "series_uid": uids})
    series["patient_id"] = [f"P{uid}" for uid in uids]
    series["part"] = ["validation"] * num_scans + ["test"] * num_scans
    scan = np.arange(2 * num_scans) % num_scans
    is_test = np.arange(2 * num_scans) >= num_scans
    turned = is_test & (scan % 4 == 0)
    nodules = series.assign(x_mm=0.0, y_mm=0.0, z_mm=0.0, diameter_mm=10.0)
    nodules["is_malignant"] = pd.array(scan % 2 == 0, dtype="boolean")
    right = np.where(scan % 2 == 0, 0.9, 0.1)
    on = series.assign(x_mm=1.0, score=np.where(turned, 0.2, 0.9))
    on["malignancy_probability"] = np.where(scan % 4 == 3, 1 - right, right)
    off = series.assign(x_mm=50.0, score=np.where(turned, 0.9, 0.2), malignancy_probability=0.6)
    findings = pd.concat([on, off], ignore_index=True).assign(y_mm=0.0, z_mm=0.0)
    wanted = ["series_uid", "x_mm", "y_mm", "z_mm", "score", "malignancy_probability"]
    return Evaluation(("subset0",), series, nodules, findings[wanted], None, MODELS)


def _card(evaluation: Evaluation) -> Scorecard:
    return score(
        evaluation,
        SPLIT,
        name="a name",
        provenance={},
        made_at="2026-01-02T03:04:05Z",
        target=MaxFalsePositives(0.5),
    )[0]


def test_thresholds_are_those_of_validation_and_counts_those_of_test() -> None:
    details = _card(_evaluation()).details
    assert details is not None
    assert (details.thresholds.nodule, details.thresholds.malignancy) == (0.9, 0.5)
    assert details.thresholds.on_validation.malignant.predicted_malignant == 20
    # Every fourth scan of test is turned round: 10 of 40 nodules filtered out, all of them of
    # even scans, so malignant; their 10 false positives pass, and are called malignant.
    table = details.confusion
    assert (table.malignant.filtered_out, table.malignant.predicted_malignant) == (10, 10)
    assert (table.benign.predicted_benign, table.benign.predicted_malignant) == (10, 10)
    assert (table.non_nodule.filtered_out, table.non_nodule.predicted_malignant) == (30, 10)


def test_intervals_are_of_the_figures_that_the_headline_has() -> None:
    card = _card(_evaluation())
    details = card.details
    assert details is not None
    assert details.froc.cpm.value == card.detection.cpm
    assert details.froc.cpm.low is not None
    assert details.froc.cpm.low < card.detection.cpm
    model = details.malignancy_ranking.model
    assert model is not None
    assert model.roc_auc.value == card.malignancy.auc


def test_calibrators_are_fitted_on_validation_and_judged_on_test() -> None:
    details = _card(_evaluation()).details
    assert details is not None
    nodule = details.calibration["nodule"]
    # On validation it was never wrong, so the calibrator makes it surer; on test it is wrong of
    # every fourth scan, and what was surer costs more.
    assert isinstance(nodule.calibrator, Temperature)
    assert nodule.calibrator.temperature < 1
    assert nodule.as_given.log_loss is not None
    assert nodule.calibrated.log_loss is not None
    assert nodule.calibrated.log_loss > nodule.as_given.log_loss
    assert nodule.as_given.num_positive == NUM_SCANS


def test_a_handful_of_nodules_leaves_probabilities_as_they_are() -> None:
    details = _card(_evaluation(num_scans=4)).details
    assert details is not None
    assert isinstance(details.calibration["nodule"].calibrator, Identity)
    assert details.calibration["nodule"].calibrated == details.calibration["nodule"].as_given


def test_without_a_malignancy_model_there_is_nothing_to_calibrate_or_rank() -> None:
    evaluation = _evaluation()
    models = {step: name for step, name in MODELS.items() if step != "malignancy"}
    findings = evaluation.findings.assign(malignancy_probability=np.nan)
    details = _card(replace(evaluation, models=models, findings=findings)).details
    assert details is not None
    assert set(details.calibration) == {"nodule"}
    assert details.malignancy_ranking.model is None
    assert details.confusion.malignant.not_assessed == 10


def test_the_record_goes_through_json_and_back() -> None:
    card = _card(_evaluation())
    assert Scorecard.from_json(json.loads(json.dumps(card.as_json()))) == card


@pytest.mark.parametrize(
    "name",
    [
        "detection/cpm_low",
        "detection/sensitivity_at_0.125_fp_per_scan_high",
        "nodule/roc_auc",
        "malignancy/average_precision_of_diameter",
        "operating_point/nodule_threshold",
        "confusion/malignant_sensitivity",
        "calibration/nodule/ece",
        "calibration/malignancy/brier_calibrated",
        "false_positives/on_not_known",
    ],
)
def test_all_figures_have_a_name_for_the_tracker(name: str) -> None:
    assert name in _card(_evaluation()).metrics()


def test_the_target_may_be_malignant_nodules_instead() -> None:
    card, _ = score(
        _evaluation(),
        SPLIT,
        name="a name",
        provenance={},
        made_at="2026-01-02T03:04:05Z",
        target=MinMalignantSensitivity(1.0),
    )
    assert card.details is not None
    # Of validation's malignant nodules, all of even scans, none is below .9; of the false alarms
    # the false positives at .6 go, and the benign nodules at .9 stay.
    assert card.details.thresholds.malignancy == 0.9
    assert card.details.thresholds.on_validation.malignant_sensitivity == 1.0
    assert "at least 1 of all malignant nodules" in card.detection.how_chosen
