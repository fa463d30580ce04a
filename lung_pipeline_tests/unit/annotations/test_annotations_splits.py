# SPDX-License-Identifier: Apache-2.0
"""The split by patient: what it is for given names, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd
import pytest

from lung_pipeline.annotations.splits import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    FoldRule,
    SplitRule,
    patients_in_two_parts,
    patients_in_two_subsets,
    split_from_json,
    split_named,
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

    assert split_from_json(json.loads(json.dumps(rule.as_json()))) == rule
    assert rule.as_json()["protocol"] == "patients"


def test_patients_in_two_parts_are_named() -> None:
    rows = [("p", TRAIN), ("q", TRAIN), ("q", TEST), ("r", VALIDATION), ("r", VALIDATION)]
    table = pd.DataFrame(rows, columns=["patient_id", "part"])

    assert patients_in_two_parts(table) == ["q"]
    assert patients_in_two_parts(table[:1]) == []
    assert patients_in_two_parts(table[:0]) == []


def test_parts_are_in_the_order_of_their_use() -> None:
    assert PARTS == ("train", "validation", "test")


def test_patient_with_series_in_the_test_fold_is_tested_on_with_all_of_them() -> None:
    # LIDC-IDRI-0332 has a series in subset2 and one in subset6.
    both = ("subset2", "subset6")
    for fold in range(10):
        part = FoldRule(fold).part_of("LIDC-IDRI-0332", both)
        assert (part == TEST) == (fold in (2, 6))
        assert FoldRule(fold).part_of("LIDC-IDRI-0332", both[::-1]) == part


def test_who_is_not_in_the_test_fold_is_learnt_from_or_chosen_by_as_the_hash_has_it() -> None:
    names = [f"patient-{number}" for number in range(2_000)]
    parts = [FoldRule(3, validation=0.2).part_of(name, ["subset4"]) for name in names]
    # Five standard deviations of a share of 0.2 among 2,000 are 0.045.
    assert parts.count(VALIDATION) / 2_000 == pytest.approx(0.2, abs=0.045)
    assert parts.count(TRAIN) + parts.count(VALIDATION) == 2_000
    assert parts == [FoldRule(9, validation=0.2).part_of(name, ["clinic"]) for name in names]
    assert parts != [FoldRule(3, 21, 0.2).part_of(name, ["subset4"]) for name in names]


def test_subset_whose_name_only_begins_like_the_fold_is_not_the_fold() -> None:
    assert FoldRule(1, validation=0).part_of("p", ["subset10", "subset11"]) == TRAIN


def test_fold_protocol_does_not_guess_where_a_patient_lies() -> None:
    with pytest.raises(SettingError, match="must know where a patient's series lie"):
        FoldRule(1).part_of("p")


@pytest.mark.parametrize(
    ("test_fold", "validation"),
    [(-1, 0.1), (10, 0.1), (2.0, 0.1), (0, 1.0), (0, -0.1), (0, float("nan"))],
)
def test_folds_and_shares_that_are_none_are_refused(test_fold: Any, validation: float) -> None:
    with pytest.raises(SettingError, match="split rule"):
        FoldRule(test_fold, validation=validation)


def test_protocol_is_chosen_by_its_name() -> None:
    settings = {"seed": 3, "train": 0.5, "validation": 0.25, "test_fold": 4}
    assert split_named("patients", **settings) == SplitRule(3, 0.5, 0.25)
    assert split_named("luna16-folds", **settings) == FoldRule(4, 3, 0.25)
    with pytest.raises(SettingError, match=r"'series'.*Name one of the two"):
        split_named("series", **settings)


@pytest.mark.parametrize(
    "record",
    [{}, {"seed": 20, "train": 0.7}, {"protocol": "other"}, {"protocol": "patients", "fold": 1}],
)
def test_record_that_is_no_rule_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(SettingError, match="Materialize the candidates"):
        split_from_json(record)


def test_patients_in_two_subsets_are_named_with_them() -> None:
    rows = [("q", "subset6"), ("p", "subset1"), ("q", "subset2"), ("p", "subset1")]
    table = pd.DataFrame(rows, columns=["patient_id", "subset"])
    assert patients_in_two_subsets(table) == {"q": ["subset2", "subset6"]}
    assert patients_in_two_subsets(table[:0]) == {}
