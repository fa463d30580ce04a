# SPDX-License-Identifier: Apache-2.0
"""From findings to a verdict, by a named rule with its thresholds written beside it.

Belongs here: the rule. Does not belong here: thresholds chosen from data; they come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.errors import SettingError

MALIGNANT, BENIGN, NO_NODULE, NOT_ASSESSED = "malignant", "benign", "no nodule", "not assessed"
"""The four verdicts; the last means: nodules were found, and no malignancy model was given."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Malignant if any finding that counts as a nodule counts as malignant.

    The patient-level form of LIDC's rule "at least two readers gave 4 or 5", which the malignancy
    model is trained on nodule by nodule.
    """

    nodule_threshold: float = 0.5
    """A finding counts as a nodule from this probability on."""

    malignancy_threshold: float = 0.5
    """A nodule counts as malignant from this probability on."""

    name: str = "any-malignant-nodule"
    """What the rule is called in tables and reports."""

    def __post_init__(self) -> None:
        for threshold in (self.nodule_threshold, self.malignancy_threshold):
            if not 0 <= threshold <= 1:
                raise SettingError(
                    value=threshold,
                    place=f"rule '{self.name}'",
                    rule="a threshold must be a probability, 0 to 1",
                    cure="Give a number between 0 and 1.",
                )

    def in_words(self) -> str:
        """The rule as a sentence, as it stands beside each verdict."""
        return (
            f"malignant if any finding with a nodule probability of at least "
            f"{self.nodule_threshold:g} has a malignancy probability of at least "
            f"{self.malignancy_threshold:g}"
        )

    def nodules(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that count as nodules."""
        return [f for f in findings if f.nodule_probability >= self.nodule_threshold]

    def verdict(self, findings: Sequence[Finding]) -> str:
        """One of the four verdicts over all findings of a patient."""
        nodules = self.nodules(findings)
        if not nodules:
            return NO_NODULE
        known = [f.malignancy_probability for f in nodules if f.malignancy_probability is not None]
        if any(probability >= self.malignancy_threshold for probability in known):
            return MALIGNANT
        return BENIGN if len(known) == len(nodules) else NOT_ASSESSED


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict on one patient, with all that is needed to check it."""

    patient_id: str
    """Whose it is; the series UID where no patient is known."""

    series_uids: tuple[str, ...]
    """The series that were looked at."""

    verdict: str
    """One of the four verdicts."""

    rule: Rule
    """By which rule, with its thresholds."""

    findings: tuple[Finding, ...]
    """All findings, those that do not count as nodules included."""

    models: dict[str, str]
    """For each step its model: name, version and hash of the weights, as one string."""

    inputs_sha256: dict[str, str]
    """For each series the hash of its source files."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for ``diagnosis.json``."""
        nodules = self.rule.nodules(self.findings)
        return {
            "patient_id": self.patient_id,
            "series_uids": list(self.series_uids),
            "verdict": self.verdict,
            "rule": {
                "name": self.rule.name,
                "in_words": self.rule.in_words(),
                "nodule_threshold": self.rule.nodule_threshold,
                "malignancy_threshold": self.rule.malignancy_threshold,
            },
            "num_findings": len(self.findings),
            "num_nodules": len(nodules),
            "models": self.models,
            "inputs_sha256": self.inputs_sha256,
            "notice": RESEARCH_ONLY,
        }


RESEARCH_ONLY = "Research use only. Not a medical device; not for diagnosis of patients."
"""Stands on everything a person may take for a medical result."""
