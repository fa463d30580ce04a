# SPDX-License-Identifier: Apache-2.0
"""What was chosen for a set of models on the validation part, frozen with each of its versions.

Thresholds and calibrators fit the findings of one set: another segmentation gives a nodule model
other candidates. So they lie in the run of each version under the key of the set, and a version
that is shared by two sets keeps both choices. They do not lie in the model's own folder, which
stays as its training wrote it to the byte.

Belongs here: where a choice is kept, until when it may change, and how it is found again. Does not
belong here: how it is made (``evaluation/scoring.py``), and what goes before it
(``diagnosis/verdict/operating_point.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lung_pipeline.diagnosis.verdict.operating_point import OperatingPoint
from lung_pipeline.home import Home
from lung_pipeline.learning.calibrators import Calibrator, calibrator_from_json
from lung_pipeline.tracking.registry import (
    ModelVersion,
    find_labelled,
    keep_in_run,
    kept_in_run,
)
from lung_pipeline.tracking.sets import key_of, was_promoted

if TYPE_CHECKING:
    from lung_pipeline.evaluation.details import Details

FROZEN, OPERATING_POINT, CALIBRATOR = "frozen", "operating_point.json", "calibrator.json"
"""The folder in a version's run, below it one for each set, and the files of a set."""


def freeze(home: Home, labels: Mapping[str, str], details: Details) -> bool:
    """Keep thresholds and calibrators with the versions of the set they were chosen for.

    A later score of the set replaces them until it is promoted; from then on they stay.

    Args:
        home: whose registry.
        labels: for each step its model, as it stands beside the findings.
        details: what was chosen.

    Returns:
        Whether they were kept: not of a set that was promoted, nor with a model that is read from a
        folder.
    """
    found = {step: find_labelled(home, step, label) for step, label in labels.items()}
    models = {step: model for step, model in found.items() if model is not None}
    if len(models) < len(found) or was_promoted(home, models):
        return False
    folder = f"{FROZEN}/{key_of(models)}"
    point = {**details.thresholds.as_json(), "models": dict(labels)}
    for step, model in models.items():
        keep_in_run(home, model, f"{folder}/{OPERATING_POINT}", _as_text(point))
        if step in details.calibration:
            calibrator = details.calibration[step].calibrator.as_json()
            keep_in_run(home, model, f"{folder}/{CALIBRATOR}", _as_text(calibrator))
    return True


def frozen_of(home: Home, models: Mapping[str, ModelVersion | None]) -> OperatingPoint | None:
    """The thresholds and calibrators that were frozen for a set of models.

    The thresholds are of probabilities as the networks give them (``evaluation/details.py``).

    Args:
        home: whose registry.
        models: for each step its version; None of a model that is read from a folder.

    Returns:
        None where a model is not registered, or where the versions do not all hold the same choice:
        nothing was ever frozen, or the freezing was cut off.

    Raises:
        StoreError: a record that this version of the package cannot read.
    """
    known = {step: model for step, model in models.items() if model is not None}
    if not known or len(known) < len(models):
        return None
    folder = f"{FROZEN}/{key_of(known)}"
    path = f"{folder}/{OPERATING_POINT}"
    texts = {kept_in_run(home, model, path) for model in known.values()}
    if len(texts) != 1 or None in texts:
        return None
    (text,) = texts
    return _point(str(text), _calibrators(home, known, folder))


def frozen_of_labels(home: Home, labels: Mapping[str, str]) -> OperatingPoint | None:
    """The same for models as they stand beside findings."""
    return frozen_of(
        home, {step: find_labelled(home, step, label) for step, label in labels.items()}
    )


def _point(text: str, calibrators: Mapping[str, Calibrator]) -> OperatingPoint:
    from lung_pipeline.evaluation.operating_point.thresholds import Thresholds

    record = json.loads(text)
    record.pop("models", None)
    chosen = Thresholds.from_json(record)
    words = f"frozen with these models, for {chosen.how}"
    return OperatingPoint(chosen.nodule, chosen.malignancy, calibrators, words)


def _calibrators(
    home: Home, models: Mapping[str, ModelVersion], folder: str
) -> dict[str, Calibrator]:
    found = {step: kept_in_run(home, one, f"{folder}/{CALIBRATOR}") for step, one in models.items()}
    return {step: calibrator_from_json(json.loads(text)) for step, text in found.items() if text}


def _as_text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2) + "\n"
