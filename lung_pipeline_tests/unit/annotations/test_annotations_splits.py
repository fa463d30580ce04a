# SPDX-License-Identifier: Apache-2.0
"""The split by patient: what it is for given names, and what it refuses."""

from __future__ import annotations

import hashlib
import json

import pandas as pd
import pytest

from lung_pipeline.annotations.splits import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    SplitRule,
    patients_in_two_parts,
)
from lung_pipeline.errors import SettingError


def test_part_follows_from_the_hash_worked_out_by_hand() -> None:
    # The first eight hex digits of SHA-256 of "20:LIDC-IDRI-0003", as a share of 16^8.
    share = int(hashlib.sha256(b"20:LIDC-IDRI-0003").hexdigest()[:8], 16) / 16**8

    below = SplitRule(train=share + 1e-6, validation=0).part_of("LIDC-IDRI-0003")
    above = SplitRule(train=share - 1e-6, validation=2e-6).part_of("LIDC-IDRI-0003")
    beyond = SplitRule(train=share - 1e-6, validation=0).part_of("LIDC-IDRI-0003")

    assert (below, above, beyond) == (TRAIN, VALIDATION, TEST)


def test_parts_of_known_patients_never_change() -> None:
    # Written down once: a change here moves test patients of trained models into training.
    known = {
        "LIDC-IDRI-0001": TRAIN,
        "LIDC-IDRI-0005": VALIDATION,
        "LIDC-IDRI-0016": TEST,
        "LIDC-IDRI-0023": TEST,
    }

    assert {patient: SplitRule().part_of(patient) for patient in known} == known


def test_another_seed_gives_another_split() -> None:
    names = [f"patient-{number}" for number in range(50)]

    assert [SplitRule(1).part_of(n) for n in names] != [SplitRule(2).part_of(n) for n in names]


def test_everything_may_be_for_training() -> None:
    rule = SplitRule(train=0.9, validation=0.1)

    assert TEST not in {rule.part_of(str(number)) for number in range(500)}


@pytest.mark.parametrize(
    ("train", "validation"),
    [(0.0, 0.5), (-0.1, 0.5), (0.5, -0.1), (0.8, 0.3), (float("nan"), 0.1), (0.5, float("nan"))],
)
def test_shares_that_are_no_shares_are_refused(train: float, validation: float) -> None:
    with pytest.raises(SettingError, match="split rule"):
        SplitRule(train=train, validation=validation)


def test_rule_can_be_written_down_and_made_again() -> None:
    rule = SplitRule(seed=3, train=0.5, validation=0.25)

    assert SplitRule(**json.loads(json.dumps(rule.as_json()))) == rule


def test_patients_in_two_parts_are_named() -> None:
    rows = [("p", TRAIN), ("q", TRAIN), ("q", TEST), ("r", VALIDATION), ("r", VALIDATION)]
    table = pd.DataFrame(rows, columns=["patient_id", "part"])

    assert patients_in_two_parts(table) == ["q"]
    assert patients_in_two_parts(table[:1]) == []
    assert patients_in_two_parts(table[:0]) == []


def test_parts_are_in_the_order_of_their_use() -> None:
    assert PARTS == ("train", "validation", "test")
