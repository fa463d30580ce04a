# SPDX-License-Identifier: Apache-2.0
"""At which thresholds and with which calibrators a diagnosis is made, and where they come from.

Thresholds are of probabilities as the networks give them: that is what an operating point is
chosen on (``evaluation/operating_point``). Calibrators are for what weighs probabilities.

Belongs here: the value, and that a person's own threshold goes before a frozen one. Does not
belong here: where it is kept (``tracking/frozen.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lung_pipeline.diagnosis.verdict.rules import EVEN, NoisyOr, Rule, refuse_unknown_rule
from lung_pipeline.learning.calibrators import Calibrator, Identity

NODULE, MALIGNANCY = "nodule", "malignancy"
"""The models that give a probability."""

NOTHING_FROZEN = "0.5 each and not calibrated: nothing was frozen for this set of models"
"""Where the thresholds come from when no operating point was chosen for the models."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Thresholds and calibrators of one set of models."""

    nodule_threshold: float = EVEN
    """A finding counts as a nodule from this probability on, as the network gives it."""

    malignancy_threshold: float = EVEN
    """A nodule counts as malignant from this probability on, as the network gives it."""

    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    """For the nodule and the malignancy model its calibrator, where one was fitted."""

    thresholds_from: str = NOTHING_FROZEN
    """Where they come from, in words."""

    def asked_for(self, nodule: float | None, malignancy: float | None) -> OperatingPoint:
        """The same with a person's own thresholds, where any are given."""
        given = {"nodule": nodule, "malignancy": malignancy}
        named = [name for name, threshold in given.items() if threshold is not None]
        if not named:
            return self
        words = f"{' and '.join(named)} threshold as asked for"
        if len(named) < len(given):
            words += f"; else {self.thresholds_from}"
        return replace(
            self,
            nodule_threshold=self.nodule_threshold if nodule is None else nodule,
            malignancy_threshold=self.malignancy_threshold if malignancy is None else malignancy,
            thresholds_from=words,
        )

    def calibrator(self, step: str) -> Calibrator:
        """A model's calibrator; one that changes nothing where none was fitted."""
        return self.calibrators.get(step, Identity())

    def rules(self, *, patient_threshold: float = EVEN, leak: float = 0.0) -> tuple[Rule, ...]:
        """Every rule at this point, the default first.

        Args:
            patient_threshold: of noisy-or.
            leak: of noisy-or.

        Raises:
            SettingError: a number that is no probability.
        """
        thresholds = (self.nodule_threshold, self.malignancy_threshold)
        calibrators = (self.calibrator(NODULE), self.calibrator(MALIGNANCY))
        return (Rule(*thresholds), NoisyOr(*thresholds, patient_threshold, leak, *calibrators))


UNCHOSEN = OperatingPoint()
"""Where nothing was frozen."""


@dataclass(frozen=True, slots=True)
class Judging:
    """How a person wants patients judged."""

    rule_name: str = Rule.name
    """The rule whose verdict is the patient's; the others' stand beside it."""

    nodule_threshold: float | None = None
    """A finding counts as a nodule from here on; None: as frozen, else 0.5."""

    malignancy_threshold: float | None = None
    """A nodule counts as malignant from here on; None: as frozen, else 0.5."""

    patient_threshold: float = EVEN
    """With noisy-or a patient counts as malignant from here on."""

    leak: float = 0.0
    """With noisy-or how likely something malignant is there that no finding shows."""

    def __post_init__(self) -> None:
        refuse_unknown_rule(self.rule_name)
        self.rules(UNCHOSEN)

    def at(self, frozen: OperatingPoint | None) -> OperatingPoint:
        """The operating point, a person's own thresholds before frozen ones."""
        return (frozen or UNCHOSEN).asked_for(self.nodule_threshold, self.malignancy_threshold)

    def rules(self, frozen: OperatingPoint | None) -> tuple[Rule, ...]:
        """Every rule, the one asked for first."""
        made = self.at(frozen).rules(patient_threshold=self.patient_threshold, leak=self.leak)
        return tuple(sorted(made, key=lambda rule: rule.name != self.rule_name))


DEFAULT_JUDGING = Judging()
"""By the default rule, at the frozen thresholds."""
