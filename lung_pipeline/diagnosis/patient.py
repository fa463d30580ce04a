# SPDX-License-Identifier: Apache-2.0
"""The diagnosis of one patient: a verdict, with all that is needed to check it.

Belongs here: the value, its JSON, and what a series that nobody could look at does to a verdict.
Does not belong here: rules (``rules.py``) and thresholds (``operating_point.py``); they come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.verdict.operating_point import DEFAULT_JUDGING, Judging, OperatingPoint
from lung_pipeline.diagnosis.verdict.readers import ReadersVerdict
from lung_pipeline.diagnosis.verdict.rules import (
    BENIGN,
    MALIGNANT,
    NO_NODULE,
    NOT_ASSESSED,
    Chance,
    NoisyOr,
    Rule,
)

__all__ = [
    "BENIGN",
    "INCOMPLETE",
    "MALIGNANT",
    "NOT_ASSESSED",
    "NO_NODULE",
    "RESEARCH_ONLY",
    "Diagnosis",
    "Rule",
    "RuleVerdict",
    "diagnosis_of",
]

INCOMPLETE = "incomplete"
"""The verdict where a series could not be looked at and the others do not make it malignant: what
lies in that series is not known."""

RESEARCH_ONLY = "Research use only. Not a medical device; not for diagnosis of patients."
"""Stands on everything a person may take for a medical result."""


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule says."""

    rule: Rule
    """The rule with its settings."""

    verdict: str
    """Its verdict."""

    chance: Chance | None
    """The probability it rests on; None of a rule that only counts."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary; the probability is null where it is not known."""
        record: dict[str, Any] = {"verdict": self.verdict, "rule": self.rule.as_json()}
        if self.chance is not None:
            low, high = self.chance.low, self.chance.high
            known = low if low == high else None
            record |= {"probability": known, "probability_low": low, "probability_high": high}
        return record


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict on one patient, with all that is needed to check it."""

    patient_id: str
    """Whose it is; the series UID where no patient is known."""

    series_uids: tuple[str, ...]
    """The patient's series, those that could not be looked at included."""

    verdict: str
    """One of a rule's four verdicts, or ``INCOMPLETE``."""

    rule: Rule
    """By which rule, with its thresholds."""

    findings: tuple[Finding, ...]
    """All findings, those that do not count as nodules included."""

    models: dict[str, str]
    """For each step its model: name, version and hash of the weights, as one string."""

    inputs_sha256: dict[str, str]
    """For each series the hash of its source files."""

    verdicts: tuple[RuleVerdict, ...] = ()
    """What every rule says, the chosen one first."""

    thresholds_from: str = ""
    """Where the thresholds come from, in words."""

    readers: ReadersVerdict | None = None
    """What the readers' own rule says; None where their marks are not at hand."""

    cautions: tuple[str, ...] = ()
    """What to bear in mind of the scans, in words."""

    not_looked_at: Mapping[str, str] = field(default_factory=dict)
    """For each series that could not be looked at, why."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each step took, by its name; empty where it was not measured."""

    peak_memory_bytes: int | None = None
    """The most memory that was resident; None where it was not measured."""

    is_mirrored: bool = False
    """Whether the models saw everything left for right as well."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for ``diagnosis.json``."""
        nodules = self.rule.nodules(self.findings)
        return {
            "patient_id": self.patient_id,
            "series_uids": list(self.series_uids),
            "verdict": self.verdict,
            "rule": self.rule.as_json(),
            "thresholds_from": self.thresholds_from,
            "verdicts": [one.as_json() for one in self.verdicts],
            "readers": None if self.readers is None else self.readers.as_json(),
            "num_findings": len(self.findings),
            "num_nodules": len(nodules),
            "findings": self._inputs(),
            "cautions": list(self.cautions),
            "not_looked_at": dict(self.not_looked_at),
            "models": self.models,
            "is_mirrored": self.is_mirrored,
            "inputs_sha256": self.inputs_sha256,
            "seconds": dict(self.seconds),
            "peak_memory_bytes": self.peak_memory_bytes,
            "notice": RESEARCH_ONLY,
        }

    def _inputs(self) -> list[dict[str, Any]]:
        """What the rules were given of each finding; calibrated where a rule took it so."""
        rules = (self.rule, *(one.rule for one in self.verdicts))
        weighing = next((rule for rule in rules if isinstance(rule, NoisyOr)), None)
        records = [_input(finding) for finding in self.findings]
        if weighing is not None:
            calibrated = zip(*weighing.calibrated(self.findings), strict=True)
            for record, (nodule, malignancy) in zip(records, calibrated, strict=True):
                record["nodule_probability_calibrated"] = nodule
                record["malignancy_probability_calibrated"] = malignancy
        return records


def diagnosis_of(
    patient_id: str,
    findings: Sequence[Finding],
    *,
    inputs_sha256: Mapping[str, str],
    models: Mapping[str, str],
    frozen: OperatingPoint | None = None,
    judging: Judging = DEFAULT_JUDGING,
    readers: ReadersVerdict | None = None,
    cautions: Sequence[str] = (),
    not_looked_at: Mapping[str, str] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Diagnosis:
    """Judge a patient by every rule.

    Args:
        patient_id: whose findings.
        findings: all findings in the series that were looked at.
        inputs_sha256: for each of the patient's series the hash of its source files.
        models: for each step the name of its model.
        frozen: what was chosen for these models; None: nothing.
        judging: which rule's verdict is the patient's, and a person's own thresholds.
        readers: what the readers' rule says.
        cautions: what to bear in mind of the scans.
        not_looked_at: for each series that could not be looked at, why.
        seconds: how long each step took.

    Raises:
        ModelError: a finding with a probability that is none.
    """
    failed = dict(not_looked_at or {})
    verdicts = tuple(
        RuleVerdict(rule, _known(rule.verdict(findings), failed), rule.chance(findings))
        for rule in judging.rules(frozen)
    )
    return Diagnosis(
        patient_id=patient_id,
        series_uids=tuple(inputs_sha256),
        verdict=verdicts[0].verdict,
        rule=verdicts[0].rule,
        findings=tuple(findings),
        models=dict(models),
        inputs_sha256=dict(inputs_sha256),
        verdicts=verdicts,
        thresholds_from=judging.at(frozen).thresholds_from,
        readers=readers,
        cautions=tuple(cautions),
        not_looked_at=failed,
        seconds=dict(seconds or {}),
    )


def _known(verdict: str, failed: Mapping[str, str]) -> str:
    """Malignant stays so whatever another series holds; nothing else does."""
    return INCOMPLETE if failed and verdict != MALIGNANT else verdict


def _input(finding: Finding) -> dict[str, Any]:
    return {
        "series_uid": finding.series_uid,
        "xyz_mm": [finding.x_mm, finding.y_mm, finding.z_mm],
        "diameter_mm": finding.diameter_mm,
        "nodule_probability": finding.nodule_probability,
        "malignancy_probability": finding.malignancy_probability,
    }
