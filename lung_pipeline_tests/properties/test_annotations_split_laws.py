# SPDX-License-Identifier: Apache-2.0
"""Laws of either split: no patient in two parts, whatever the seed, the table and its order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.annotations.splits import (
    PARTS,
    TEST,
    FoldRule,
    Split,
    SplitRule,
    patients_in_two_parts,
    patients_in_two_subsets,
    split_from_json,
    subsets_of_patients,
)

SEEDS = st.integers(-(2**40), 2**40)
SHARES = st.floats(0, 0.99)
RULES = st.one_of(
    st.builds(
        lambda seed, train, rest: SplitRule(seed, train, rest * (1 - train)),
        SEEDS,
        st.floats(0.01, 1),
        st.floats(0, 1),
    ),
    st.builds(FoldRule, st.integers(0, 9), SEEDS, SHARES),
)
ROWS = st.lists(
    st.tuples(st.text(max_size=6), st.integers(0, 11).map("subset{}".format)),
    min_size=1,
    max_size=30,
)
"""A patient's name, any text, and the subset of one of his series."""


@dataclass(frozen=True)
class _Divided:
    """A table of series that was given parts."""

    table: pd.DataFrame
    part_of: dict[str, str]


def _divide(rule: Split, rows: list[tuple[str, str]]) -> _Divided:
    table = pd.DataFrame(rows, columns=["patient_id", "subset"], dtype="str")
    subsets = subsets_of_patients(table)
    parts = [rule.part_of(patient, subsets[patient]) for patient in table["patient_id"]]
    return _Divided(table.assign(part=parts), dict(zip(table["patient_id"], parts, strict=True)))


@settings(max_examples=40, deadline=None)
@given(rule=RULES, rows=ROWS)
def test_no_seed_and_no_table_makes_a_patient_stand_in_two_parts(
    rule: Split, rows: list[tuple[str, str]]
) -> None:
    divided = _divide(rule, rows)
    assert patients_in_two_parts(divided.table) == []
    assert set(divided.part_of.values()) <= set(PARTS)


@settings(max_examples=40, deadline=None)
@given(rule=RULES, rows=ROWS, seed=st.integers(0, 2**32 - 1))
def test_no_order_of_rows_changes_a_part(
    rule: Split, rows: list[tuple[str, str]], seed: int
) -> None:
    shuffled = [rows[k] for k in np.random.default_rng(seed).permutation(len(rows))]
    assert _divide(rule, shuffled).part_of == _divide(rule, rows).part_of


@settings(max_examples=40, deadline=None)
@given(rule=RULES, rows=ROWS, others=ROWS)
def test_a_part_never_changes_when_other_patients_are_added(
    rule: Split, rows: list[tuple[str, str]], others: list[tuple[str, str]]
) -> None:
    known = {patient for patient, _ in rows}
    added = [row for row in others if row[0] not in known]
    before, after = _divide(rule, rows).part_of, _divide(rule, rows + added).part_of
    assert {patient: after[patient] for patient in before} == before


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, fold=st.integers(0, 9), seed=SEEDS)
def test_who_has_a_series_in_the_test_fold_is_tested_on_and_nobody_else(
    rows: list[tuple[str, str]], fold: int, seed: int
) -> None:
    divided = _divide(FoldRule(fold, seed), rows)
    in_fold = {patient for patient, subset in rows if subset == f"subset{fold}"}
    assert {patient for patient, part in divided.part_of.items() if part == TEST} == in_fold


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_patients_in_two_subsets_are_those_and_no_others(rows: list[tuple[str, str]]) -> None:
    table = pd.DataFrame(rows, columns=["patient_id", "subset"], dtype="str")
    found = patients_in_two_subsets(table)
    names = {patient for patient, _ in rows}
    several = {name for name in names if len({s for p, s in rows if p == name}) > 1}
    assert set(found) == several
    assert all(subsets == sorted(set(subsets)) for subsets in found.values())


@settings(max_examples=40, deadline=None)
@given(rule=RULES)
def test_a_rule_comes_back_from_json(rule: Split) -> None:
    assert split_from_json(rule.as_json()) == rule
