# SPDX-License-Identifier: Apache-2.0
"""How well the readers' rule agrees with what became of the patients.

Every figure about malignancy stands on the readers' opinion; this one says how good the opinion
is. A rule is not learnt, so all patients count, whatever their part of the split.

Belongs here: patients counted, shares, intervals. Does not belong here: reading the diagnoses
(``annotations/diagnoses.py``) and the rules (``annotations/rules.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.annotations.diagnoses import METASTATIC, PRIMARY, UNKNOWN
from lung_pipeline.evaluation.intervals import share_by_wilson
from lung_pipeline.learning.ranking import auc_by_bootstrap
from lung_pipeline.learning.resampling import Estimate

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ReadersFigures:
    """The readers' rule beside the diagnosis, patients counted once each.

    A patient's diagnosis is malignant if it is primary lung cancer or a metastasis. The rule calls
    a patient malignant if it does so with any nodule.
    """

    rule: dict[str, Any]
    """The rule as JSON has it: its name and, where known, its version and settings."""

    num_patients: int
    """Patients of the subsets who stand in the table of diagnoses: the sum of the counts below."""

    num_unknown: int
    """Of these, the diagnosis is not known; they stand in no other count."""

    num_unrated: int
    """Diagnosed, but no reference nodule of theirs has a rating."""

    num_left_out: int
    """Diagnosed and rated, but the rule leaves each of their nodules out."""

    num_malignant_called_malignant: int
    """Diagnosis malignant, and the rule says so."""

    num_malignant_called_benign: int
    """Diagnosis malignant, but the rule calls every nodule benign."""

    num_benign_called_malignant: int
    """Diagnosis not malignant, but the rule calls a nodule malignant."""

    num_benign_called_benign: int
    """Diagnosis not malignant, and the rule calls every nodule benign."""

    sensitivity: Estimate
    """Share of the malignant that the rule calls so; E. B. Wilson's interval (1927)."""

    specificity: Estimate
    """Share of the others that the rule calls benign; E. B. Wilson's interval (1927)."""

    auc_of_mean_rating: Estimate
    """How well the mean rating ranks, the highest of a patient's nodules; all rated patients.

    The interval is a percentile bootstrap over patients, the malignant and the others each drawn
    anew among themselves. None where either are fewer than two, or every draw ranks alike.
    """

    @property
    def num_compared(self) -> int:
        """Patients with a diagnosis and a verdict of the rule: the sum of the four above."""
        malignant = self.num_malignant_called_malignant + self.num_malignant_called_benign
        return malignant + self.num_benign_called_malignant + self.num_benign_called_benign

    def metrics(self) -> dict[str, float | None]:
        """All figures under flat names; an interval's ends are ``_low`` and ``_high``."""
        flat: dict[str, float | None] = {}
        for name, figure in asdict(self).items():
            if name.startswith("num_"):
                flat[name] = figure
            elif name != "rule":
                flat |= {name: figure["value"]}
                flat |= {f"{name}_{end}": figure[end] for end in ("low", "high")}
        return flat

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ReadersFigures:
        """The figures as ``dataclasses.asdict`` gave them; ``KeyError`` or ``TypeError`` if not."""
        estimates = ("sensitivity", "specificity", "auc_of_mean_rating")
        return cls(**{**record, **{name: Estimate(**record[name]) for name in estimates}})


def readers_figures(
    nodules: pd.DataFrame,
    diagnoses: pd.DataFrame,
    patient_ids: Collection[str],
    *,
    rule: Mapping[str, Any],
    rng: np.random.Generator,
) -> ReadersFigures:
    """Hold the readers' rule against the diagnoses; the order of the rows does not matter.

    Args:
        nodules: the reference nodules: patient_id, ratings ("4,2,4", "" if unrated), is_malignant
            (boolean, NA where unrated or left out by the rule).
        diagnoses: one row a patient: patient_id, diagnosis, as ``read_diagnoses`` gives them.
        patient_ids: who was looked at, also without a nodule; other patients are left aside.
        rule: which rule ``is_malignant`` comes from.
        rng: draws the bootstrap samples.
    """
    present = diagnoses[diagnoses["patient_id"].isin(list(patient_ids))]
    known = present[present["diagnosis"] != UNKNOWN]
    rated = known.merge(_patients_of(nodules), on="patient_id", how="inner")
    is_ill = rated["diagnosis"].isin([PRIMARY, METASTATIC]).to_numpy(dtype=bool)
    is_decided = rated["is_malignant"].notna().to_numpy(dtype=bool)
    called = rated["is_malignant"].fillna(value=False).to_numpy(dtype=bool)
    hit, missed = (int((is_decided & is_ill & said).sum()) for said in (called, ~called))
    alarm, rest = (int((is_decided & ~is_ill & said).sum()) for said in (called, ~called))
    return ReadersFigures(
        rule=dict(rule),
        num_patients=len(present),
        num_unknown=len(present) - len(known),
        num_unrated=len(known) - len(rated),
        num_left_out=int((~is_decided).sum()),
        num_malignant_called_malignant=hit,
        num_malignant_called_benign=missed,
        num_benign_called_malignant=alarm,
        num_benign_called_benign=rest,
        sensitivity=share_by_wilson(hit, hit + missed),
        specificity=share_by_wilson(rest, rest + alarm),
        auc_of_mean_rating=auc_by_bootstrap(
            is_ill,
            rated["mean_rating"].to_numpy(dtype=np.float64),
            rated["patient_id"].to_numpy(dtype=object),
            rng,
        ),
    )


def _patients_of(nodules: pd.DataFrame) -> pd.DataFrame:
    """Patients with a rated nodule: patient_id and the highest mean_rating and is_malignant."""
    rated = nodules[nodules["ratings"] != ""]
    means = [float(np.mean([int(n) for n in text.split(",")])) for text in rated["ratings"]]
    by_patient = rated.assign(mean_rating=means).groupby("patient_id", as_index=False)
    # The highest of a boolean that may be NA: true if any is, NA if all are.
    return by_patient[["mean_rating", "is_malignant"]].max()
