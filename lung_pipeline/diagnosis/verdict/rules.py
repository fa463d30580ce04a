# SPDX-License-Identifier: Apache-2.0
"""The rules from findings to a verdict for the patient; each has a name and says itself in words.

``any-malignant-nodule`` counts: a patient is malignant if one nodule is. ``noisy-or`` weighs: each
finding, calibrated, is a chance of its own that something malignant is there, and many small
chances add up. Thresholds of the first are of probabilities as the networks give them, since
operating points are chosen on those; the second takes calibrated ones, and has its own threshold.

Belongs here: rules as values. Does not belong here: where thresholds and calibrators come from
(``operating_point.py``), and what stands around a verdict (``patient.py``). A new rule is a class
below, an entry in ``RULES``, and its making in ``OperatingPoint.rules``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.errors import SettingError
from lung_pipeline.learning.calibrators import Calibrator, Identity, checked_probability

MALIGNANT, BENIGN, NO_NODULE, NOT_ASSESSED = "malignant", "benign", "no nodule", "not assessed"
"""The verdicts of a rule; the last means that it would take a malignancy model to tell."""

EVEN = 0.5
"""A threshold where nothing was chosen: as likely as not."""


@dataclass(frozen=True, slots=True)
class Chance:
    """How likely a patient is malignant, as far as it is known."""

    low: float
    """If every finding that was not assessed is benign."""

    high: float
    """If every finding that was not assessed is malignant."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Malignant if any finding that counts as a nodule counts as malignant.

    The patient-level form of LIDC's rule "at least two readers gave 4 or 5", which the malignancy
    model is trained on nodule by nodule.
    """

    name: ClassVar[str] = "any-malignant-nodule"

    hint: ClassVar[str] = "malignant if one nodule is"
    """A few words for whoever chooses between rules."""

    nodule_threshold: float = EVEN
    """A finding counts as a nodule from this probability on."""

    malignancy_threshold: float = EVEN
    """A nodule counts as malignant from this probability on."""

    def __post_init__(self) -> None:
        for threshold in (self.nodule_threshold, self.malignancy_threshold):
            _refuse_no_probability(threshold, self.name, "a threshold must be a probability")

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
        """One of the four verdicts over all findings of a patient.

        Raises:
            ModelError: a probability that is none, such as NaN.
        """
        refuse_unfit(findings)
        nodules = self.nodules(findings)
        if not nodules:
            return NO_NODULE
        known = [f.malignancy_probability for f in nodules if f.malignancy_probability is not None]
        if any(probability >= self.malignancy_threshold for probability in known):
            return MALIGNANT
        return BENIGN if len(known) == len(nodules) else NOT_ASSESSED

    def chance(self, findings: Sequence[Finding]) -> Chance | None:
        """The probability the verdict rests on; None of a rule that only counts."""
        return None

    def as_json(self) -> dict[str, Any]:
        """Name, words and settings."""
        return {
            "name": self.name,
            "in_words": self.in_words(),
            "nodule_threshold": self.nodule_threshold,
            "malignancy_threshold": self.malignancy_threshold,
        }


@dataclass(frozen=True, slots=True)
class NoisyOr(Rule):
    """Malignant if it is likely that at least one finding is a malignant nodule.

    The leaky noisy-or, P = 1 - (1 - leak) * product of (1 - p_nodule * p_malignant), after
    F. Liao and others, 2017, arXiv 1711.08324. There the leak is learnt with the network; here it
    is given, and 0 unless it is. All findings count, also those below the nodule threshold, which
    only says what is called a nodule. A finding without a malignancy lies between benign and
    malignant: a verdict that this does not change is given, else it is ``not assessed``.
    """

    name: ClassVar[str] = "noisy-or"

    hint: ClassVar[str] = "every finding adds its own chance, calibrated; many small ones add up"

    patient_threshold: float = EVEN
    """A patient counts as malignant from this probability on."""

    leak: float = 0.0
    """How likely something malignant is there that no finding shows."""

    nodule: Calibrator = field(default_factory=Identity)
    """Calibrates the nodule probability."""

    malignancy: Calibrator = field(default_factory=Identity)
    """Calibrates the malignancy probability."""

    def __post_init__(self) -> None:
        # Without arguments `super` does not find the class again that `slots=True` made anew.
        Rule.__post_init__(self)
        _refuse_no_probability(self.patient_threshold, self.name, "a threshold must be one")
        _refuse_no_probability(self.leak, self.name, "the leak must be a probability")

    def in_words(self) -> str:
        """The rule as a sentence, as it stands beside each verdict."""
        leak = f"(1 - {self.leak:g}) * " if self.leak else ""
        return (
            f"malignant if 1 - {leak}product of (1 - nodule probability * malignancy probability)"
            f" over all findings, calibrated, is at least {self.patient_threshold:g}"
        )

    def verdict(self, findings: Sequence[Finding]) -> str:
        """One of the four verdicts over all findings of a patient.

        Raises:
            ModelError: a probability that is none, such as NaN.
        """
        chance = self.chance(findings)
        if chance.low >= self.patient_threshold:
            return MALIGNANT
        if chance.high >= self.patient_threshold:
            return NOT_ASSESSED
        return BENIGN if self.nodules(findings) else NO_NODULE

    def chance(self, findings: Sequence[Finding]) -> Chance:
        """How likely the patient is malignant; both ends are equal where all was assessed."""
        nodules, known = self.calibrated(findings)
        ends = (
            any_of([n * (unknown if m is None else m) for n, m in zip(nodules, known, strict=True)])
            for unknown in (0.0, 1.0)
        )
        low, high = (any_of([self.leak, chance]) for chance in ends)
        return Chance(low, high)

    def calibrated(self, findings: Sequence[Finding]) -> tuple[list[float], list[float | None]]:
        """The calibrated probabilities of each finding, nodule and malignancy."""
        refuse_unfit(findings)
        nodules = self.nodule.apply([f.nodule_probability for f in findings])
        malignancies = self.malignancy.apply([_malignancy(f) for f in findings])
        known = [
            None if f.malignancy_probability is None else p
            for f, p in zip(findings, malignancies.tolist(), strict=True)
        ]
        return nodules.tolist(), known

    def as_json(self) -> dict[str, Any]:
        """Name, words and settings, the calibrators included."""
        # `super` does not find the class again that `slots=True` made anew.
        return {
            **Rule.as_json(self),
            "patient_threshold": self.patient_threshold,
            "leak": self.leak,
            "calibrators": {
                "nodule": self.nodule.as_json(),
                "malignancy": self.malignancy.as_json(),
            },
        }


RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (Rule, NoisyOr)}
"""Every rule by its name; the first is the default."""

DEFAULT_RULE = Rule.name
"""The rule where none is named."""


def any_of(probabilities: Sequence[float]) -> float:
    """The probability that at least one of independent things is so: 1 - product of (1 - p).

    By logarithms, so that it is exact for small numbers, and the same in any order.
    """
    return -math.expm1(math.fsum(_log_of_not(p) for p in probabilities))


def refuse_unfit(findings: Sequence[Finding]) -> None:
    """Refuse findings with a probability that is none: below any threshold they would be lost.

    Raises:
        ModelError: NaN, or a number outside 0 to 1.
    """
    checked_probability([f.nodule_probability for f in findings])
    checked_probability([_malignancy(f) for f in findings])


def refuse_unknown_rule(name: str) -> None:
    """Refuse a rule's name that there is none of; ``SettingError``."""
    if name not in RULES:
        raise SettingError(
            value=repr(name),
            place="rule of a diagnosis",
            rule=f"the rule must be one of {', '.join(RULES)}",
            cure="docs/how-to/diagnose-one-scan.md says what each does.",
        )


def _malignancy(finding: Finding) -> float:
    """Its malignancy; 0 in place of none, where only a number may stand."""
    return finding.malignancy_probability or 0.0


def _log_of_not(probability: float) -> float:
    return -math.inf if probability >= 1 else math.log1p(-probability)


def _refuse_no_probability(value: float, name: str, rule: str) -> None:
    if not 0 <= value <= 1:
        raise SettingError(
            value=value,
            place=f"rule '{name}'",
            rule=f"{rule}, 0 to 1",
            cure="Give a number between 0 and 1.",
        )
