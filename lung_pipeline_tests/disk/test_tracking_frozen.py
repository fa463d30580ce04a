# SPDX-License-Identifier: Apache-2.0
"""What was chosen on the validation part lies beside the weights it was chosen for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.evaluation.details import Details
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.operating_point.targets import MaxFalsePositives
from lung_pipeline.evaluation.operating_point.thresholds import Thresholds
from lung_pipeline.evaluation.scoring import score
from lung_pipeline.evaluation.split_certificate import SplitCertificate
from lung_pipeline.home import Home
from lung_pipeline.learning.calibrators import calibrator_from_json
from lung_pipeline.tracking.frozen import CALIBRATOR, OPERATING_POINT, freeze
from lung_pipeline.tracking.names import CHALLENGER
from lung_pipeline.tracking.registry import ModelVersion, fetch, register
from lung_pipeline.tracking.runs import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a model"
    made.mkdir()
    (made / "model.json").write_text("{}")
    return made


def _registered(home: Home, folder: Path, step: str) -> ModelVersion:
    with run(home, f"lung-{step}", "training") as opened:
        return register(opened, step, folder, f"{step}0123456789abcdef", CHALLENGER)


def _details(malignant_score: float) -> Details:
    """Of four scans in each part, each with a nodule that is found and a false positive."""
    uids = [f"{part}{scan}" for part in "vt" for scan in range(4)]
    series = pd.DataFrame({"subset": "subset0", "series_uid": uids, "patient_id": uids})
    series["part"] = ["validation"] * 4 + ["test"] * 4
    nodules = series.assign(x_mm=0.0, y_mm=0.0, z_mm=0.0, diameter_mm=10.0)
    nodules["is_malignant"] = pd.array(np.arange(8) % 2 == 0, dtype="boolean")
    on = series.assign(x_mm=1.0, score=0.9, malignancy_probability=malignant_score)
    off = series.assign(x_mm=50.0, score=0.2, malignancy_probability=0.1)
    findings = pd.concat([on, off], ignore_index=True).assign(y_mm=0.0, z_mm=0.0)
    models = {"segmentation": "s", "nodule": "n", "malignancy": "m"}
    evaluation = Evaluation(("subset0",), series, nodules, findings, None, models)
    split = SplitCertificate({}, {}, 0)
    card, _ = score(
        evaluation, split, name="a", provenance={}, made_at="now", target=MaxFalsePositives(0.5)
    )
    assert card.details is not None
    return card.details


def test_thresholds_lie_with_every_model_of_the_set_and_calibrators_with_their_own(
    mlflow_home: Home, folder: Path
) -> None:
    steps = ("segmentation", "nodule", "malignancy")
    made = {step: _registered(mlflow_home, folder, step) for step in steps}
    labels = {step: model.label for step, model in made.items()}
    details = _details(0.7)
    assert freeze(mlflow_home, labels, details) == steps
    for step, model in made.items():
        kept = fetch(mlflow_home, model.uri)
        point = json.loads((kept / OPERATING_POINT).read_text())
        assert point.pop("models") == labels
        assert Thresholds.from_json(point) == details.thresholds
        assert (kept / CALIBRATOR).exists() == (step != "segmentation")
        assert (kept / "model.json").read_text() == "{}"
    of_nodule = fetch(mlflow_home, made["nodule"].uri) / CALIBRATOR
    found = calibrator_from_json(json.loads(of_nodule.read_text()))
    assert found == details.calibration["nodule"].calibrator


def test_a_later_score_replaces_what_was_frozen(mlflow_home: Home, folder: Path) -> None:
    model = _registered(mlflow_home, folder, "nodule")
    labels = {"nodule": model.label}
    freeze(mlflow_home, labels, _details(0.7))
    later = _details(0.3)
    freeze(mlflow_home, labels, later)
    point = json.loads((fetch(mlflow_home, model.uri) / OPERATING_POINT).read_text())
    assert point["on_validation"]["malignant"]["predicted_malignant"] == 0
    assert later.confusion.malignant.predicted_malignant == 0


def test_a_model_that_is_not_registered_is_left_as_it_is(mlflow_home: Home, folder: Path) -> None:
    model = _registered(mlflow_home, folder, "nodule")
    labels = {"segmentation": "/some/folder", "nodule": f"{model.label} of long ago"}
    assert freeze(mlflow_home, labels, _details(0.7)) == ()
    assert {path.name for path in fetch(mlflow_home, model.uri).iterdir()} == {"model.json"}
