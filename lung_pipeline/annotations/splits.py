# SPDX-License-Identifier: Apache-2.0
"""Which patients are learnt from, which choose the model, and which are only ever tested on.

A patient's part follows from the patient's own name, a seed and, by LUNA16's protocol, from the
subsets his series lie in. So it stays the same when other patients are added, and it can be told
anywhere without a table of the others.

Belongs here: the rules and the checks of them. Does not belong here: who a series belongs to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lung_pipeline.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""The three parts."""

PARTS = (TRAIN, VALIDATION, TEST)
"""The three parts, in the order in which they are used."""

BY_PATIENTS, BY_LUNA16_FOLDS = "patients", "luna16-folds"
"""The two protocols, as a setting names them."""

NUM_FOLDS = 10
"""LUNA16 hands out its scans as subset0 to subset9; each is the test part of one of ten models."""


class Split(Protocol):
    """What a split can be asked, by whatever protocol."""

    def part_of(self, patient_id: str, subsets: Collection[str] = ()) -> str:
        """The part of one patient, all of whose series lie in ``subsets``."""

    def as_json(self) -> dict[str, Any]:
        """The rule as a plain dictionary, for the origin of an artefact."""


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

    def part_of(self, patient_id: str, subsets: Collection[str] = ()) -> str:
        """The part of one patient; where his series lie does not matter."""
        place = _place_of(self.seed, patient_id)
        if place < self.train:
            return TRAIN
        return VALIDATION if place < self.train + self.validation else TEST

    def as_json(self) -> dict[str, Any]:
        """As in ``Split``."""
        return {"protocol": BY_PATIENTS, **asdict(self)}


@dataclass(frozen=True, slots=True)
class FoldRule:
    """LUNA16's ten folds: one subset is tested on, the others are learnt from and chosen by.

    LUNA16 divided series, not patients: LIDC-IDRI-0332 has one in subset2 and one in subset6. A
    patient with any series in the test fold is a test patient with all of them.
    https://luna16.grand-challenge.org/Evaluation/
    """

    test_fold: int
    """The number of the subset to test on, 0 to 9."""

    seed: int = 20
    """Which of the other patients choose the model."""

    validation: float = 0.15
    """The share of the other patients that choose models and thresholds; may be 0, not 1."""

    def __post_init__(self) -> None:
        # 2.0 is in the range too, and no subset is called so: nobody would be tested on.
        is_fold = isinstance(self.test_fold, int) and self.test_fold in range(NUM_FOLDS)
        if not (is_fold and 0 <= self.validation < 1):
            raise SettingError(
                value=f"test fold {self.test_fold!r} and validation {self.validation:g}",
                place="split rule",
                rule=f"the fold must be 0 to {NUM_FOLDS - 1}, the share of validation in [0, 1)",
                cure="Name the k of the subset<k> to test on, and a share such as 0.15.",
            )

    def part_of(self, patient_id: str, subsets: Collection[str] = ()) -> str:
        """The part of one patient.

        Args:
            patient_id: his name.
            subsets: all subsets in which he has a series.

        Raises:
            SettingError: no subset; whom nobody places would be learnt from, tested on or not.
        """
        if not subsets:
            raise SettingError(
                value="none",
                place=f"subsets of patient '{patient_id}'",
                rule=f"the protocol '{BY_LUNA16_FOLDS}' must know where a patient's series lie",
                cure="Give the subsets of all his series.",
            )
        if f"subset{self.test_fold}" in subsets:
            return TEST
        return TRAIN if _place_of(self.seed, patient_id) < 1 - self.validation else VALIDATION

    def as_json(self) -> dict[str, Any]:
        """As in ``Split``."""
        return {"protocol": BY_LUNA16_FOLDS, **asdict(self)}


def split_named(
    protocol: str, *, seed: int, train: float, validation: float, test_fold: int
) -> SplitRule | FoldRule:
    """The rule of a protocol; ``SettingError`` where there is none of that name.

    Each takes the settings it knows: ``train`` is of the one, ``test_fold`` of the other.
    """
    if protocol == BY_PATIENTS:
        return SplitRule(seed, train, validation)
    if protocol == BY_LUNA16_FOLDS:
        return FoldRule(test_fold, seed, validation)
    raise SettingError(
        value=repr(protocol),
        place="split protocol",
        rule=f"the protocol must be '{BY_PATIENTS}' or '{BY_LUNA16_FOLDS}'",
        cure="Name one of the two.",
    )


def split_from_json(record: Mapping[str, Any]) -> SplitRule | FoldRule:
    """The rule that ``as_json`` wrote down; ``SettingError`` where it is none."""
    try:
        settings = dict(record)
        kinds = {BY_PATIENTS: SplitRule, BY_LUNA16_FOLDS: FoldRule}
        return kinds[settings.pop("protocol")](**settings)
    except (KeyError, TypeError, ValueError) as error:
        raise SettingError(
            value=dict(record),
            place="split rule of a table",
            rule="it must be a rule as this version of the package writes it",
            cure="Materialize the candidates of the subset again.",
        ) from error


def patients_in_two_parts(table: pd.DataFrame) -> list[str]:
    """The patients that stand in more than one part, sorted; empty when the split is sound.

    Args:
        table: rows with patient_id and part, of as many subsets as there are.
    """
    parts = table.groupby("patient_id")["part"].nunique()
    return sorted(str(patient) for patient in parts[parts > 1].index)


def patients_in_two_subsets(table: pd.DataFrame) -> dict[str, list[str]]:
    """The patients with series in more than one subset, sorted, each with his subsets.

    In LUNA16 there is one, LIDC-IDRI-0332: a split by subset would part him.

    Args:
        table: rows with patient_id and subset.
    """
    subsets = subsets_of_patients(table)
    return {patient: of_one for patient, of_one in subsets.items() if len(of_one) > 1}


def series_in_two_subsets(table: pd.DataFrame) -> dict[str, list[str]]:
    """The series that lie in more than one subset, sorted, each with its subsets; it counts twice.

    Args:
        table: rows with series_uid and subset.
    """
    pairs = table[["series_uid", "subset"]].drop_duplicates().astype("str")
    twice = pairs[pairs.duplicated("series_uid", keep=False)].sort_values(["series_uid", "subset"])
    return {str(uid): list(of_one) for uid, of_one in twice.groupby("series_uid")["subset"]}


def subsets_of_patients(table: pd.DataFrame) -> dict[str, list[str]]:
    """For each patient, sorted, the subsets of his series, sorted; rows as above."""
    pairs = table[["patient_id", "subset"]].drop_duplicates().astype("str")
    found = pairs.sort_values(["patient_id", "subset"]).groupby("patient_id")["subset"]
    return {str(patient): list(of_one) for patient, of_one in found}


def _place_of(seed: int, patient_id: str) -> float:
    """A number in [0, 1) from seed and name: 53 bits of their SHA-256, a float's precision."""
    digest = hashlib.sha256(f"{seed}:{patient_id}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
