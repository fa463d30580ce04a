# SPDX-License-Identifier: Apache-2.0
"""What was chosen for a set of models on the validation part, frozen beside their weights.

The thresholds are of the set, so each of its models has them and the names of all; a calibrator is
of one model. A later score of the same set replaces both, of another set replaces the thresholds.

Belongs here: which file lies with which model. Does not belong here: how they are chosen
(``evaluation/scoring.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lung_pipeline.home import Home
from lung_pipeline.tracking.registry import find_labelled, keep_with

if TYPE_CHECKING:
    from lung_pipeline.evaluation.details import Details

OPERATING_POINT, CALIBRATOR = "operating_point.json", "calibrator.json"
"""The files in a model's folder."""


def freeze(home: Home, labels: Mapping[str, str], details: Details) -> tuple[str, ...]:
    """Keep thresholds and calibrators in the folders of the models they were chosen for.

    Args:
        home: whose registry.
        labels: for each step its model, as it stands beside the findings.
        details: what was chosen.

    Returns:
        The steps whose model is registered; one read from a folder is left as it is.
    """
    point = {**details.thresholds.as_json(), "models": dict(labels)}
    frozen = []
    for step, label in labels.items():
        model = find_labelled(home, step, label)
        if model is None:
            continue
        keep_with(home, model, OPERATING_POINT, _as_text(point))
        if step in details.calibration:
            calibrator = details.calibration[step].calibrator
            keep_with(home, model, CALIBRATOR, _as_text(calibrator.as_json()))
        frozen.append(step)
    return tuple(frozen)


def _as_text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2) + "\n"
