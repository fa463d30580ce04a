# SPDX-License-Identifier: Apache-2.0
"""Shares of malignant, large and small nodules, and what chance says of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations import balance
from lung_pipeline.annotations.balance import Share, shares_of_parts
from lung_pipeline.annotations.splits import PARTS

Row = tuple[str, str, float, bool | None]


def _nodules(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["patient_id", "part", "diameter_mm", "is_malignant"])
    return table.astype({"is_malignant": "boolean"})


def _one_each(malignant: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """One nodule a patient; for each part how many malignant and how many benign."""
    rows: list[Row] = []
    for part, numbers in malignant.items():
        for label, number in zip((True, False), numbers, strict=True):
            rows += [(f"{part}-{label}-{k}", part, 7.0, label) for k in range(number)]
    return _nodules(rows)


def _share(shares: tuple[Share, ...], part: str, trait: str) -> Share:
    (found,) = (one for one in shares if (one.part, one.trait) == (part, trait))
    return found


def test_each_part_has_each_trait_once_in_order() -> None:
    shares = shares_of_parts(_one_each({"train": (2, 2)}), permutations=10)
    expected = [(part, trait) for trait in ("malignant", "large", "small") for part in PARTS]
    assert [(one.part, one.trait) for one in shares] == expected


def test_size_classes_end_at_six_and_eight_millimetres() -> None:
    sizes = (5.99, 6.0, 8.0, 8.01)
    rows: list[Row] = [(f"p{k}", "train", mm, None) for k, mm in enumerate(sizes)]
    shares = shares_of_parts(_nodules(rows), permutations=10)
    assert _share(shares, "train", "small").num_with == 1
    assert _share(shares, "train", "large").num_with == 1
    assert _share(shares, "train", "large").share == 0.25


def test_nodules_without_a_label_are_neither_malignant_nor_benign() -> None:
    rows: list[Row] = [("p", "test", 5, True), ("q", "test", 5, None), ("r", "test", 5, False)]
    shares = shares_of_parts(_nodules(rows), permutations=10)
    malignant = _share(shares, "test", "malignant")
    assert (malignant.num_with, malignant.num_nodules, malignant.share) == (1, 2, 0.5)
    assert _share(shares, "test", "small").num_nodules == 3


def test_part_without_nodules_has_no_share_and_no_warning() -> None:
    shares = shares_of_parts(_one_each({"train": (5, 5)}), permutations=10)
    empty = _share(shares, "test", "malignant")
    assert (empty.num_nodules, empty.share, empty.p_value, empty.is_off) == (0, None, None, False)
    assert "no nodule is known" in empty.in_words()
    assert all(not one.is_off for one in shares_of_parts(_nodules([]), permutations=10))


def test_p_value_is_that_of_all_dealings_counted_by_hand() -> None:
    # Of 8 patients, 4 malignant; test has 3, all malignant. Deviation 1.5 of the mean 1.5: of the
    # 56 choices of three, 4 are all malignant and 4 are all benign.
    nodules = _one_each({"train": (1, 4), "test": (3, 0)})
    label = nodules["is_malignant"].tolist()
    as_far = sum(sum(label[k] for k in chosen) in (0, 3) for chosen in combinations(range(8), 3))
    shares = shares_of_parts(nodules)
    p_value = _share(shares, "test", "malignant").p_value
    assert p_value == pytest.approx(as_far / 56, abs=0.01)
    assert as_far == 8


def test_malignant_part_among_single_patients_is_warned_of() -> None:
    shares = shares_of_parts(
        _one_each({"train": (20, 100), "validation": (5, 20), "test": (25, 5)})
    )
    assert _share(shares, "test", "malignant").is_off
    assert not _share(shares, "validation", "malignant").is_off
    assert "test: 25 of 30 nodules are malignant" in _share(shares, "test", "malignant").in_words()


def test_same_counts_in_one_patient_are_chance() -> None:
    # One patient has the 25 malignant nodules of the test part: any part may get such a one.
    rows: list[Row] = [("many", "test", 7.0, True)] * 25
    rows += [(f"t{k}", "test", 7.0, False) for k in range(5)]
    rows += [(f"p{k}", "train", 7.0, k < 20) for k in range(120)]
    assert not _share(shares_of_parts(_nodules(rows)), "test", "malignant").is_off


def test_order_of_rows_changes_nothing_and_json_keeps_all() -> None:
    nodules = _one_each({"train": (9, 30), "validation": (3, 8), "test": (1, 7)})
    shares = shares_of_parts(nodules, permutations=500)
    shuffled = nodules.iloc[np.random.default_rng(0).permutation(len(nodules))]
    assert shares_of_parts(shuffled, permutations=500) == shares
    assert tuple(Share.from_json(one.as_json()) for one in shares) == shares


def test_sound_splits_are_hardly_ever_warned_of() -> None:
    # At the level, 100 splits bring at most 1 warning on average; 6 have a chance below 0.001.
    rng, warned = np.random.default_rng(4), 0
    for _ in range(100):
        rows: list[Row] = []
        for patient in range(60):
            part, kind = PARTS[rng.choice(3, p=[0.7, 0.15, 0.15])], rng.random()
            rows += [
                (f"p{patient}", part, 7.0, bool(rng.random() < kind))
                for _ in range(rng.integers(1, 6))
            ]
        shares = shares_of_parts(_nodules(rows), permutations=1_000)
        warned += any(one.is_off for one in shares)
    assert warned < 6


def test_figures_do_not_depend_on_how_many_dealings_are_made_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodules = _one_each({"train": (9, 30), "validation": (3, 7), "test": (8, 6)})
    together = shares_of_parts(nodules, permutations=500)
    monkeypatch.setattr(balance, "_PARTS_AT_ONCE", 7 * len(nodules))
    assert shares_of_parts(nodules, permutations=500) == together
