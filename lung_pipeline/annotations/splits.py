# SPDX-License-Identifier: Apache-2.0
"""Which patients are learnt from, which choose the model, and which are only ever tested on.

A patient's part follows from the patient's name and a seed alone. So it stays the same when
scans, subsets or hospitals are added, and it can be told anywhere without a table.

Belongs here: the rule and the check of it. Does not belong here: who a series belongs to.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lung_pipeline.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""The three parts."""

PARTS = (TRAIN, VALIDATION, TEST)
"""The three parts, in the order in which they are used."""


@dataclass(frozen=True, slots=True)
class SplitRule:
    """A part for every patient there is or will be; the test part is what the others leave."""

    seed: int = 20
    """Another seed gives an unrelated split."""

    train: float = 0.7
    """The share of patients to learn from, above 0."""

    validation: float = 0.15
    """The share of patients that choose models and thresholds; may be 0."""

    def __post_init__(self) -> None:
        fits = self.train > 0 and self.validation >= 0 and self.train + self.validation <= 1 + 1e-9
        if not fits:
            raise SettingError(
                value=f"train {self.train:g} and validation {self.validation:g}",
                place="split rule",
                rule="the shares must not be negative, train not 0, and their sum not above 1",
                cure="Give shares of all patients, such as 0.7 and 0.15; the rest is for testing.",
            )

    def part_of(self, patient_id: str) -> str:
        """The part of one patient: ``TRAIN``, ``VALIDATION`` or ``TEST``."""
        place = _uniform(f"{self.seed}:{patient_id}")
        if place < self.train:
            return TRAIN
        return VALIDATION if place < self.train + self.validation else TEST

    def as_json(self) -> dict[str, Any]:
        """The rule as a plain dictionary, for the origin of an artefact."""
        return asdict(self)


def patients_in_two_parts(table: pd.DataFrame) -> list[str]:
    """The patients that stand in more than one part, sorted; empty when the split is sound.

    Args:
        table: rows with patient_id and part, of as many subsets as there are.
    """
    parts = table.groupby("patient_id")["part"].nunique()
    return sorted(str(patient) for patient in parts[parts > 1].index)


def _uniform(text: str) -> float:
    """A number in [0, 1) from a text: the first 53 bits of its SHA-256, a float's precision."""
    digest = hashlib.sha256(text.encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
