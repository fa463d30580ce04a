# SPDX-License-Identifier: Apache-2.0
"""The leakage certificate: what was checked of a split, as a value, as JSON and in words.

It knows no clock and no machine: the same tables give the same certificate, to the byte, and its
hash names it on the card of every model that was trained under it.

Belongs here: its form. Does not belong here: how it is made and asked for (``certify.py``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lung_pipeline.annotations.balance import Share
from lung_pipeline.annotations.luna import PATIENTS_FILE
from lung_pipeline.annotations.splits import PARTS
from lung_pipeline.crops.leakage import Check
from lung_pipeline.errors import StoreError

CERTIFICATE_FILE = "leakage_certificate.json"
"""Its name beside a model."""

_FORM = 2
"""Raised when the fields change."""


@dataclass(frozen=True, slots=True)
class PartCounts:
    """What one part holds."""

    patients: int
    """Patients."""

    series: int
    """Scans, also those without a candidate."""

    nodules: int
    """Annotated nodules."""

    crops: int
    """Crops, of nodules and of others."""


@dataclass(frozen=True, slots=True)
class SubsetPrint:
    """By what the tables of one subset are known again."""

    candidates: str
    """Fingerprint of the table of candidates, parts and labels included; its data version."""

    crops: str
    """Hash of the crops' signatures: changes with what the crops show."""

    volumes: str
    """Fingerprint of the table of volumes, source files' hashes included."""


@dataclass(frozen=True, slots=True)
class LeakageCertificate:
    """That no model was or will be judged on what it learned from, as far as was checked."""

    split_sha256: str
    """Over every series with its patient and part, sorted: two certificates with the same have
    the same split."""

    rule: dict[str, Any]
    """The rule of the split, as ``Split.as_json`` gives it."""

    subsets: dict[str, SubsetPrint]
    """The subsets it covers."""

    parts: dict[str, PartCounts]
    """What each part holds."""

    patients_in_two_subsets: dict[str, list[str]]
    """Patients with series in several subsets, whom a split by subset would part."""

    balance: tuple[Share, ...]
    """The shares of malignant, large and small nodules of each part."""

    checks: tuple[Check, ...]
    """What was asked and found."""

    num_series_without_patient: int = 0
    """Series that no table names a patient of: each counts as its own, and what two of them have
    in common but their content is not known."""

    @property
    def passed(self) -> bool:
        """Whether every check holds; a share that is off is a warning and fails nothing."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def warnings(self) -> list[str]:
        """The shares that are off by more than chance explains, in words."""
        return [share.in_words() for share in self.balance if share.is_off]

    @property
    def faults(self) -> list[str]:
        """The checks that failed, one line each."""
        return [
            f"{check.name} ({check.model}): {check.num_faults} found, first "
            f"{next(iter(check.faults), 'not told')}"
            for check in self.checks
            if not check.passed
        ]

    def without_names(self) -> LeakageCertificate:
        """The same without a patient's name, as it lies beside a model: models are handed on.

        Patients in two subsets are numbered; faults are counted and not told. A certificate that
        names nobody stays as it is, to the byte.
        """
        two = enumerate(self.patients_in_two_subsets.values(), start=1)
        return replace(
            self,
            patients_in_two_subsets={f"patient {number}": subsets for number, subsets in two},
            checks=tuple(replace(check, faults=()) for check in self.checks),
        )

    @property
    def first_fault(self) -> str:
        """The first of the faults; a certificate without a check has none and has not passed."""
        return next(iter(self.faults), "nothing was checked")

    def numbers(self) -> dict[str, int]:
        """The counts under flat names, to stand beside a materialization."""
        of_parts = {
            f"{part}_{what}": number
            for part, counts in self.parts.items()
            for what, number in asdict(counts).items()
        }
        return {
            "num_checks": len(self.checks),
            "num_failed_checks": len(self.faults),
            "num_warnings": len(self.warnings),
            "num_patients_in_two_subsets": len(self.patients_in_two_subsets),
            "num_series_without_patient": self.num_series_without_patient,
            **of_parts,
        }

    @property
    def sha256(self) -> str:
        """Hash of ``as_text``, and so of the file."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()

    def as_text(self) -> str:
        """The JSON file."""
        record = {
            "form": _FORM,
            "passed": self.passed,
            **asdict(self),
            "balance": [share.as_json() for share in self.balance],
            "warnings": self.warnings,
            "checks": [{**asdict(check), "passed": check.passed} for check in self.checks],
        }
        return json.dumps(record, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str, place: object) -> LeakageCertificate:
        """The certificate as it was before ``as_text``; ``StoreError`` where it is none."""
        try:
            certificate = _from_record(json.loads(text))
            if certificate.as_text() != text:
                raise ValueError("another content than its fields say")  # noqa: TRY301
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise StoreError(
                value=type(error).__name__,
                place=place,
                rule="the file must be a leakage certificate as this version writes it",
                cure="Materialize `leakage_certificate`, or run `lung-pipeline splits check`.",
            ) from error
        return certificate

    def in_words(self) -> str:
        """All of it for a person."""
        lines = [
            f"split {self.split_sha256[:16]} of {', '.join(self.subsets)} by {self.rule}",
            *(f"  {part:<11}{_counts(self.parts[part])}" for part in PARTS),
            "",
            *(f"  {share.in_words()}" for share in self.balance),
            *(f"WARNING {warning}: more than chance explains" for warning in self.warnings),
            *self._unknown_patients(),
            *(
                f"WARNING no patient is in {part}"
                for part in PARTS
                if not self.parts[part].patients
            ),
            "",
            *(
                f"patient {patient} has series in {' and '.join(subsets)}"
                for patient, subsets in self.patients_in_two_subsets.items()
            ),
            *_verdicts(self.checks),
        ]
        return "\n".join(lines)

    def _unknown_patients(self) -> list[str]:
        if not self.num_series_without_patient:
            return []
        return [
            f"WARNING {self.num_series_without_patient} series have no patient in {PATIENTS_FILE}: "
            "each counts as one, so a patient with two of them may stand in two parts"
        ]


def _from_record(record: Mapping[str, Any]) -> LeakageCertificate:
    subsets, parts = record["subsets"].items(), record["parts"].items()
    return LeakageCertificate(
        split_sha256=record["split_sha256"],
        rule=record["rule"],
        subsets={name: SubsetPrint(**fields) for name, fields in subsets},
        parts={name: PartCounts(**fields) for name, fields in parts},
        patients_in_two_subsets=record["patients_in_two_subsets"],
        balance=tuple(map(Share.from_json, record["balance"])),
        checks=tuple(map(_check_from_json, record["checks"])),
        num_series_without_patient=record["num_series_without_patient"],
    )


def _check_from_json(record: Mapping[str, Any]) -> Check:
    fields = {name: value for name, value in record.items() if name != "passed"}
    return Check(**{**fields, "faults": tuple(fields["faults"])})


def _counts(part: PartCounts) -> str:
    return ", ".join(f"{number} {what}" for what, number in asdict(part).items())


def _verdicts(checks: tuple[Check, ...]) -> list[str]:
    """A line a question, with what was compared for each model, and its faults below it."""
    asked: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        asked.setdefault((check.name, check.compared), []).append(check)
    lines = []
    for (name, compared), of_models in asked.items():
        verdict = "ok    " if all(check.passed for check in of_models) else "FAILED"
        counts = ", ".join(f"{check.model} {check.num_compared}" for check in of_models)
        lines.append(f"{verdict} {name}: {counts} {compared}")
        lines += sorted({f"         {fault}" for check in of_models for fault in check.faults})
    return lines
