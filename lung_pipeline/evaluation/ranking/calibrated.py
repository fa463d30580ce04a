# SPDX-License-Identifier: Apache-2.0
"""How far the probabilities of a set of models may be taken at their word, before and after.

The calibrator of a model is fitted on the validation part, and judged on the part that is scored.

Belongs here: which samples speak for which model. Does not belong here: the figures
(``calibration.py``) and the calibrators (``learning/calibrators.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.detection.matching import FALSE_POSITIVE, HIT, Matches
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.evaluation.ranking.calibration import CalibrationFigures, calibration_figures
from lung_pipeline.learning.calibrating import fit_calibrator
from lung_pipeline.learning.calibrators import Calibrator, Temperature, calibrator_from_json

KIND = Temperature.kind
"""One number, which a few dozen nodules can tell; steps would take hundreds of each class."""

NODULE, MALIGNANCY = "nodule", "malignancy"
"""The models that give a probability."""


@dataclass(frozen=True, slots=True)
class ModelCalibration:
    """One model's probability as it is, and as its calibrator makes it."""

    calibrator: Calibrator
    """Fitted on the validation part; kept with the model."""

    as_given: CalibrationFigures
    """Of the network's own probability, on the part that is scored."""

    calibrated: CalibrationFigures
    """Of the calibrated probability, on the same samples."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {**asdict(self), "calibrator": self.calibrator.as_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ModelCalibration:
        """The record as it was before ``as_json``; ``KeyError`` or ``TypeError`` if not."""
        return cls(
            calibrator_from_json(record["calibrator"]),
            CalibrationFigures.from_json(record["as_given"]),
            CalibrationFigures.from_json(record["calibrated"]),
        )

    def metrics(self) -> dict[str, float | None]:
        """Both under flat names; those after calibration end in ``_calibrated``."""
        after = self.calibrated.metrics()
        return {
            **self.as_given.metrics(),
            **{f"{name}_calibrated": figure for name, figure in after.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Truths and probabilities of one model, one entry a sample."""

    is_positive: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float64]
    patient_ids: npt.NDArray[np.object_]


def calibrations_of(
    deciding: Evaluation, scored: Evaluation, matches: Matches
) -> dict[str, ModelCalibration]:
    """The calibration of each model that gives a probability.

    Args:
        deciding: the validation part.
        scored: the part the figures are of.
        matches: of the scored findings.
    """
    fitted_on = _samples_of(deciding, deciding.matched())
    judged_on = _samples_of(scored, matches)
    return {step: _calibrated(fitted_on[step], judged_on[step]) for step in fitted_on}


def _samples_of(evaluation: Evaluation, matches: Matches) -> dict[str, _Samples]:
    """Findings, on nodules or false, for one model; for the other rated nodules that were hit."""
    patient_of = dict(evaluation.series[["series_uid", "patient_id"]].to_numpy())
    counts = np.isin(matches.finding_fate, (HIT, FALSE_POSITIVE))
    patients = evaluation.findings["series_uid"].map(patient_of).to_numpy(dtype=object)
    samples = {
        NODULE: _Samples(
            matches.finding_fate[counts] == HIT, matches.finding_score[counts], patients[counts]
        )
    }
    ranked = evaluation.ranked_hits(matches, 0.0)
    if ranked.probability is not None:
        samples[MALIGNANCY] = _Samples(ranked.is_malignant, ranked.probability, ranked.patient_ids)
    return samples


def _calibrated(fitted_on: _Samples, judged_on: _Samples) -> ModelCalibration:
    calibrator = fit_calibrator(KIND, fitted_on.is_positive, fitted_on.probability)

    def figures(probability: npt.NDArray[np.float64]) -> CalibrationFigures:
        rng = np.random.default_rng(RESAMPLING_SEED)
        return calibration_figures(judged_on.is_positive, probability, judged_on.patient_ids, rng)

    given = judged_on.probability
    return ModelCalibration(calibrator, figures(given), figures(calibrator.apply(given)))
