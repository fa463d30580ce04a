# SPDX-License-Identifier: Apache-2.0
"""What was chosen on the validation part stays with the set of models it was chosen for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.details import Details
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.operating_point.targets import MaxFalsePositives
from lung_pipeline.evaluation.operating_point.thresholds import Thresholds
from lung_pipeline.evaluation.scoring import score
from lung_pipeline.evaluation.split_certificate import SplitCertificate
from lung_pipeline.home import Home
from lung_pipeline.learning.calibrators import calibrator_from_json
from lung_pipeline.tracking.frozen import (
    CALIBRATOR,
    FROZEN,
    OPERATING_POINT,
    freeze,
    frozen_of,
    frozen_of_labels,
)
from lung_pipeline.tracking.names import CHALLENGER
from lung_pipeline.tracking.registry import ModelVersion, fetched, keep_in_run, register
from lung_pipeline.tracking.runs import run
from lung_pipeline.tracking.server import connect
from lung_pipeline.tracking.sets import key_of, make_champions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a model"
    made.mkdir()
    (made / "model.json").write_text("{}")
    return made


def _registered(home: Home, folder: Path, step: str, weights: str = "one") -> ModelVersion:
    with run(home, f"lung-{step}", "training") as opened:
        return register(opened, step, folder, f"{weights}-{step}", CHALLENGER)


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


def _registered_set(home: Home, folder: Path, *steps: str) -> dict[str, ModelVersion]:
    return {step: _registered(home, folder, step) for step in steps}


def _labels(models: dict[str, ModelVersion]) -> dict[str, str]:
    return {step: model.label for step, model in models.items()}


def _kept(home: Home, model: ModelVersion, key: str) -> dict[str, Any]:
    """What is frozen of a set in the run of a version, by file."""
    client = connect(home)
    entries = client.list_artifacts(model.run_id, f"{FROZEN}/{key}")
    texts = (
        Path(client.download_artifacts(model.run_id, entry.path)).read_text() for entry in entries
    )
    names = (Path(entry.path).name for entry in entries)
    return {name: json.loads(text) for name, text in zip(names, texts, strict=True)}


def test_thresholds_lie_with_every_model_of_the_set_and_calibrators_with_their_own(
    mlflow_home: Home, folder: Path
) -> None:
    made = _registered_set(mlflow_home, folder, "segmentation", "nodule", "malignancy")
    details = _details(0.7)
    assert freeze(mlflow_home, _labels(made), details)
    for step, model in made.items():
        kept = _kept(mlflow_home, model, key_of(made))
        assert (CALIBRATOR in kept) == (step != "segmentation")
        point = kept[OPERATING_POINT]
        assert point.pop("models") == _labels(made)
        assert Thresholds.from_json(point) == details.thresholds
        # What a night hashes stays as the training wrote it.
        with fetched(mlflow_home, model.uri) as folder:
            assert {path.name for path in folder.iterdir()} == {"model.json"}
    of_nodule = _kept(mlflow_home, made["nodule"], key_of(made))[CALIBRATOR]
    assert calibrator_from_json(of_nodule) == details.calibration["nodule"].calibrator


def _called_malignant(home: Home, model: ModelVersion, key: str) -> int:
    point = _kept(home, model, key)[OPERATING_POINT]
    return int(point["on_validation"]["malignant"]["predicted_malignant"])


def test_a_later_score_replaces_what_was_frozen_until_the_set_is_promoted(
    mlflow_home: Home, folder: Path
) -> None:
    made = _registered_set(mlflow_home, folder, "nodule")
    labels, key = _labels(made), key_of(made)
    assert freeze(mlflow_home, labels, _details(0.7))
    assert _called_malignant(mlflow_home, made["nodule"], key) == 2
    assert freeze(mlflow_home, labels, _details(0.3))
    assert _called_malignant(mlflow_home, made["nodule"], key) == 0
    make_champions(mlflow_home, made, "2026-01-02T03:04:05+00:00")
    assert not freeze(mlflow_home, labels, _details(0.7))
    assert _called_malignant(mlflow_home, made["nodule"], key) == 0


def test_a_version_of_two_sets_keeps_what_was_chosen_for_each(
    mlflow_home: Home, folder: Path
) -> None:
    first = _registered_set(mlflow_home, folder, "nodule", "malignancy")
    freeze(mlflow_home, _labels(first), _details(0.7))
    make_champions(mlflow_home, first, "2026-01-02T03:04:05+00:00")
    # Only malignancy is trained anew: the challenger shares the champion's nodule model.
    second = {**first, "malignancy": _registered(mlflow_home, folder, "malignancy", "other")}
    assert freeze(mlflow_home, _labels(second), _details(0.3))
    assert _called_malignant(mlflow_home, first["nodule"], key_of(first)) == 2
    assert _called_malignant(mlflow_home, first["nodule"], key_of(second)) == 0


def test_a_set_with_a_model_that_is_not_registered_is_left_as_it_is(
    mlflow_home: Home, folder: Path
) -> None:
    made = _registered_set(mlflow_home, folder, "nodule")
    labels = {"segmentation": "/some/folder", **_labels(made)}
    assert not freeze(mlflow_home, labels, _details(0.7))
    assert connect(mlflow_home).list_artifacts(made["nodule"].run_id, FROZEN) == []


def test_what_was_frozen_is_found_again_for_the_whole_set(mlflow_home: Home, folder: Path) -> None:
    made = _registered_set(mlflow_home, folder, "segmentation", "nodule", "malignancy")
    assert frozen_of(mlflow_home, made) is None
    details = _details(0.7)
    freeze(mlflow_home, _labels(made), details)
    point = frozen_of(mlflow_home, made)
    assert point is not None
    assert point.nodule_threshold == details.thresholds.nodule
    assert point.malignancy_threshold == details.thresholds.malignancy
    assert point.thresholds_from == f"frozen with these models, for {details.thresholds.how}"
    fitted = {step: one.calibrator for step, one in details.calibration.items()}
    assert dict(point.calibrators) == fitted
    assert set(fitted) == {"nodule", "malignancy"}
    assert frozen_of_labels(mlflow_home, _labels(made)) == point


def test_another_set_a_part_of_one_and_a_folder_have_nothing_frozen(
    mlflow_home: Home, folder: Path
) -> None:
    made: dict[str, ModelVersion | None] = {**_registered_set(mlflow_home, folder, "nodule")}
    freeze(mlflow_home, _labels({"nodule": _version(made)}), _details(0.7))
    assert frozen_of(mlflow_home, made) is not None
    assert frozen_of(mlflow_home, {**made, "segmentation": None}) is None
    other = _registered(mlflow_home, folder, "malignancy")
    assert frozen_of(mlflow_home, {**made, "malignancy": other}) is None
    assert frozen_of(mlflow_home, {}) is None


def _version(made: dict[str, ModelVersion | None]) -> ModelVersion:
    (version,) = made.values()
    assert version is not None
    return version


def test_a_freezing_that_was_cut_off_counts_as_none(mlflow_home: Home, folder: Path) -> None:
    made = _registered_set(mlflow_home, folder, "nodule", "malignancy")
    freeze(mlflow_home, _labels(made), _details(0.7))
    path = f"{FROZEN}/{key_of(made)}/{OPERATING_POINT}"
    keep_in_run(mlflow_home, made["nodule"], path, "{}")
    assert frozen_of(mlflow_home, made) is None


def test_a_record_of_another_version_is_refused_in_words(mlflow_home: Home, folder: Path) -> None:
    made = _registered_set(mlflow_home, folder, "nodule")
    keep_in_run(mlflow_home, made["nodule"], f"{FROZEN}/{key_of(made)}/{OPERATING_POINT}", "{}")
    with pytest.raises(StoreError, match="Choose the operating point again"):
        frozen_of(mlflow_home, made)
