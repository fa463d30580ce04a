# SPDX-License-Identifier: Apache-2.0
"""All that stands behind the headline figures of a scorecard, each with its interval.

What is chosen is chosen on the validation part (thresholds, calibrators), and all that is counted
is counted on the part that is scored. Thresholds are of probabilities as the networks give them:
findings are stored so, and a calibrator turns no ranking round.

Belongs here: which figures a scorecard has, and on which rows. Does not belong here: the figures
(one module each), and the scorecard (``scorecard.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lung_pipeline.evaluation.detection.froc_bootstrap import froc_figures
from lung_pipeline.evaluation.detection.froc_figures import FrocFigures
from lung_pipeline.evaluation.detection.matching import Matches
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.evaluation.lost_nodules.false_positives import (
    FalsePositivePlaces,
    false_positive_places,
)
from lung_pipeline.evaluation.lost_nodules.waterfall import Waterfall, waterfall
from lung_pipeline.evaluation.operating_point.confusion import (
    ConfusionTable,
    confusion_table,
    things_seen,
)
from lung_pipeline.evaluation.operating_point.thresholds import Thresholds
from lung_pipeline.evaluation.ranking.calibrated import ModelCalibration, calibrations_of
from lung_pipeline.evaluation.ranking.malignancy import MalignancyRanking, malignancy_ranking
from lung_pipeline.evaluation.ranking.roc import RankingFigures, nodule_ranking


@dataclass(frozen=True, slots=True)
class Details:
    """What stands behind the headline."""

    froc: FrocFigures
    """The seven sensitivities and the CPM with their intervals."""

    nodule_ranking: RankingFigures
    """How well the nodule probability ranks findings on nodules above false positives."""

    malignancy_ranking: MalignancyRanking
    """How well malignant ranks above benign, with the diameter's curve beside it."""

    calibration: dict[str, ModelCalibration]
    """For the nodule and the malignancy model how far its probability may be taken at its word."""

    thresholds: Thresholds
    """The operating point, chosen on the validation part and frozen with the models."""

    confusion: ConfusionTable
    """What became of all things at these thresholds, on the part that is scored."""

    false_positives: FalsePositivePlaces
    """What findings that are no hit lie on, at the nodule threshold."""

    waterfall: Waterfall | None
    """At which stage each nodule was lost; None of findings that wrote no trace."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary; the calibrators name their kind."""
        of_models = {step: one.as_json() for step, one in self.calibration.items()}
        return {**asdict(self), "calibration": of_models}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Details:
        """The details as they were before ``as_json``; ``KeyError`` or ``TypeError`` if not."""
        of_models = record["calibration"].items()
        lost = record["waterfall"]
        return cls(
            **{name: read(record[name]) for name, read in _SECTIONS.items()},
            calibration={step: ModelCalibration.from_json(one) for step, one in of_models},
            waterfall=None if lost is None else Waterfall.from_json(lost),
        )

    def metrics(self) -> dict[str, float | None]:
        """All figures under flat names, each section before its own."""
        sections: dict[str, Mapping[str, float | None]] = {
            "detection": self.froc.metrics(),
            "nodule": self.nodule_ranking.metrics(),
            "malignancy": self.malignancy_ranking.metrics(),
            "operating_point": {
                "nodule_threshold": self.thresholds.nodule,
                "malignancy_threshold": self.thresholds.malignancy,
            },
            "confusion": self.confusion.metrics(),
            "false_positives": self.false_positives.metrics(),
            "waterfall": {} if self.waterfall is None else self.waterfall.metrics(),
            **{f"calibration/{step}": one.metrics() for step, one in self.calibration.items()},
        }
        return {
            f"{section}/{name}": figure
            for section, figures in sections.items()
            for name, figure in figures.items()
        }


_SECTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "froc": FrocFigures.from_json,
    "nodule_ranking": RankingFigures.from_json,
    "malignancy_ranking": MalignancyRanking.from_json,
    "thresholds": Thresholds.from_json,
    "confusion": ConfusionTable.from_json,
    "false_positives": FalsePositivePlaces.from_json,
}
"""How each section is read that every record has."""


def details_of(
    scored: Evaluation, matches: Matches, deciding: Evaluation, thresholds: Thresholds
) -> Details:
    """The details of one part.

    Args:
        scored: what is counted.
        matches: of its findings.
        deciding: the validation part, by which calibrators are fitted.
        thresholds: chosen there.
    """
    patient_of = dict(scored.series[["series_uid", "patient_id"]].to_numpy())
    things = things_seen(scored.nodules, scored.findings, matches, len(scored.series))
    nodule, malignancy = thresholds.nodule, thresholds.malignancy
    lost = None
    if scored.trace is not None:
        lost = waterfall(
            scored.trace, scored.nodules, nodule_threshold=nodule, malignancy_threshold=malignancy
        )
    return Details(
        froc=froc_figures(matches, patient_of),
        nodule_ranking=nodule_ranking(
            matches,
            scored.findings["series_uid"].map(patient_of),
            np.random.default_rng(RESAMPLING_SEED),
        ),
        malignancy_ranking=malignancy_ranking(scored.ranked_hits(matches, nodule)),
        calibration=calibrations_of(deciding, scored, matches),
        thresholds=thresholds,
        confusion=confusion_table(things, nodule_threshold=nodule, malignancy_threshold=malignancy),
        false_positives=false_positive_places(scored.findings, matches, scored.trace, nodule),
        waterfall=lost,
    )
