# SPDX-License-Identifier: Apache-2.0
"""How well malignant is told from benign, always beside the ruler.

Diameter alone ranks LUNA16's nodules with an area of .919 under the default rule, so a model's
figure says nothing by itself; beside it stand the diameter's on the same nodules and the
difference.

Belongs here: which nodules are ranked, and the figures as a record. Does not belong here: ranking
and drawing (``learning/ranking.py``), curves (``roc.py``), and which finding hits which nodule
(``matching.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.evaluation.ranking.roc import (
    RankingDifference,
    RankingFigures,
    ranking_difference,
    ranking_figures,
)
from lung_pipeline.learning.ranking import auc_difference, roc_auc
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate


@dataclass(frozen=True, slots=True)
class RankedNodules:
    """Nodules that were detected and that readers rated, one entry each."""

    is_malignant: npt.NDArray[np.bool_]
    """The readers' rule, shape (n,)."""

    diameter_mm: npt.NDArray[np.float64]
    """The diameter of the readers' mark, shape (n,)."""

    probability: npt.NDArray[np.float64] | None
    """Of the finding that hit it to be malignant, shape (n,); None without a model."""

    patient_ids: npt.NDArray[np.object_]
    """Whose they are, shape (n,)."""

    def within(self, smallest_mm: float, largest_mm: float) -> RankedNodules:
        """Those of a range of diameters, both ends included."""
        inside = (smallest_mm <= self.diameter_mm) & (self.diameter_mm <= largest_mm)
        return RankedNodules(
            self.is_malignant[inside],
            self.diameter_mm[inside],
            None if self.probability is None else self.probability[inside],
            self.patient_ids[inside],
        )


@dataclass(frozen=True, slots=True)
class MalignancyFigures:
    """How well malignant ranks above benign, among nodules that were detected and rated."""

    auc: float | None
    """Area under the ROC curve of the malignancy model; None with one class only, or no model."""

    auc_of_diameter: float | None
    """The same with the nodule's diameter as the score: the floor any model must clear."""

    num_malignant: int
    """Detected nodules the readers call malignant."""

    num_benign: int
    """Detected nodules the readers call benign."""

    num_patients: int | None = None
    """Patients they are of; None in old records."""

    auc_difference: Estimate = NOT_MEASURED
    """``auc`` less ``auc_of_diameter``, by a paired bootstrap over patients; unknown in old
    records."""

    def metrics(self) -> dict[str, float | None]:
        """All figures under flat names; an interval's ends are ``_low`` and ``_high``."""
        return {**asdict(self), **self.auc_difference.metrics("auc_difference")}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MalignancyFigures:
        """The figures as ``dataclasses.asdict`` gave them; ``KeyError`` or ``TypeError`` if not."""
        if "auc_difference" not in record:
            return cls(**record)
        return cls(**{**record, "auc_difference": Estimate(**record["auc_difference"])})


@dataclass(frozen=True, slots=True)
class MalignancyRanking:
    """The curves of the malignancy model and of the diameter, on the same nodules and draws."""

    model: RankingFigures | None
    """The model's; None without one."""

    diameter: RankingFigures
    """The diameter's: the floor any model must clear."""

    difference: RankingDifference | None
    """The model's less the diameter's, paired; None without a model."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MalignancyRanking:
        """The curves as they were before ``as_json``; ``KeyError`` or ``TypeError`` if not."""
        model, difference = record["model"], record["difference"]
        return cls(
            model=None if model is None else RankingFigures.from_json(model),
            diameter=RankingFigures.from_json(record["diameter"]),
            difference=None if difference is None else RankingDifference.from_json(difference),
        )

    def metrics(self) -> dict[str, float | None]:
        """The figures that ``MalignancyFigures`` has not: average precision beside the ruler's."""
        figures = dict(self.diameter.average_precision.metrics("average_precision_of_diameter"))
        if self.model is not None and self.difference is not None:
            figures |= self.model.average_precision.metrics("average_precision")
            difference = self.difference.average_precision
            figures |= difference.metrics("average_precision_difference")
        return figures


def malignancy_ranking(ranked: RankedNodules) -> MalignancyRanking:
    """The curves over some nodules; the same nodules give the same intervals, in any order.

    Raises:
        AnnotationError: a diameter or probability that is no finite number.
    """
    malignant, diameter_mm, patients = ranked.is_malignant, ranked.diameter_mm, ranked.patient_ids

    def rng() -> np.random.Generator:
        return np.random.default_rng(RESAMPLING_SEED)

    model, difference = None, None
    if ranked.probability is not None:
        model = ranking_figures(malignant, ranked.probability, patients, rng())
        difference = ranking_difference(malignant, ranked.probability, diameter_mm, patients, rng())
    diameter = ranking_figures(malignant, diameter_mm, patients, rng())
    return MalignancyRanking(model, diameter, difference)


def malignancy_figures(ranked: RankedNodules) -> MalignancyFigures:
    """The figures over some nodules; the same nodules give the same interval, in any order.

    Raises:
        AnnotationError: a diameter or probability that is no finite number.
    """
    malignant, diameter_mm, probability = (
        ranked.is_malignant,
        ranked.diameter_mm,
        ranked.probability,
    )
    difference = NOT_MEASURED
    if probability is not None:
        rng = np.random.default_rng(RESAMPLING_SEED)
        difference = auc_difference(malignant, probability, diameter_mm, ranked.patient_ids, rng)
    return MalignancyFigures(
        auc=None if probability is None else roc_auc(malignant, probability),
        auc_of_diameter=roc_auc(malignant, diameter_mm),
        num_malignant=int(malignant.sum()),
        num_benign=int((~malignant).sum()),
        num_patients=len(set(ranked.patient_ids)),
        auc_difference=difference,
    )
