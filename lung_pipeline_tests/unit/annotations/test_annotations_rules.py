# SPDX-License-Identifier: Apache-2.0
"""The named rules: cases that can be worked out by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from lung_pipeline.annotations.rules import (
    RULES,
    Majority,
    MalignancyRule,
    MeanRating,
    MedianRating,
    TwoOfReaders,
    rule_named,
)
from lung_pipeline.errors import SettingError

M, B, OUT = True, False, None


@pytest.mark.parametrize(
    ("rule", "ratings", "label"),
    [
        pytest.param(TwoOfReaders(), [4, 2, 4, 2], M, id="two of four gave 4"),
        pytest.param(TwoOfReaders(), [5, 4], M, id="two of two"),
        pytest.param(TwoOfReaders(), [1, 1, 4, 5], M, id="two suspicious among benign ones"),
        pytest.param(TwoOfReaders(), [5, 3, 3, 3], B, id="one alone is not enough"),
        pytest.param(TwoOfReaders(), [5], B, id="a single reader cannot decide"),
        pytest.param(TwoOfReaders(), [3, 3, 3, 3], B, id="undecided is not malignant"),
        pytest.param(MeanRating(), [5, 1, 4], M, id="mean 3.33"),
        pytest.param(MeanRating(), [1, 5, 2, 3], B, id="mean 2.75"),
        pytest.param(MeanRating(), [3, 3, 3], OUT, id="mean 3 is left out"),
        pytest.param(MeanRating(), [2, 4], OUT, id="2 and 4 have the mean 3"),
        pytest.param(MeanRating(ties="malignant"), [2, 4], M, id="mean 3 counted as malignant"),
        pytest.param(MeanRating(ties="benign"), [2, 4], B, id="mean 3 counted as benign"),
        pytest.param(MeanRating(3.5), [4, 3], OUT, id="mean at another threshold"),
        pytest.param(MeanRating(3.5), [4, 3, 3], B, id="mean below another threshold"),
        pytest.param(MeanRating(), [3, 3, 3, 4], M, id="threes pull the mean, not over"),
        pytest.param(MeanRating(3.5), [3, 3, 4], B, id="mean 3.33 with the threes"),
        pytest.param(MeanRating(3.5, threes="ignored"), [3, 3, 4], M, id="mean 4 without them"),
        pytest.param(MeanRating(threes="ignored"), [3, 3], OUT, id="nothing but threes"),
        pytest.param(MedianRating(), [1, 4, 5], M, id="median 4"),
        pytest.param(MedianRating(), [1, 3, 5], OUT, id="median 3"),
        pytest.param(MedianRating(), [2, 3, 4, 4], M, id="median 3.5"),
        pytest.param(MedianRating(threes="ignored"), [2, 3, 3, 5], M, id="median 3.5 of 2 and 5"),
        pytest.param(MedianRating(ties="benign"), [3], B, id="median 3 counted as benign"),
        pytest.param(Majority(), [4, 5, 1], M, id="two against one"),
        pytest.param(Majority(), [4, 1, 2], B, id="one against two"),
        pytest.param(Majority(), [4, 4, 1, 2], OUT, id="two against two"),
        pytest.param(Majority(ties="malignant"), [4, 1], M, id="a tie counted as malignant"),
        pytest.param(Majority(), [4, 3, 3, 3], M, id="threes do not vote"),
        pytest.param(Majority(threes="counted"), [4, 3, 3, 3], B, id="threes vote against"),
        pytest.param(Majority(), [3, 3], OUT, id="nobody votes"),
    ],
)
def test_label_is_worked_out_by_hand(
    rule: MalignancyRule, ratings: list[int], label: bool | None
) -> None:
    assert rule.label(ratings) is label


@pytest.mark.parametrize("name", RULES)
def test_no_ratings_are_no_verdict(name: str) -> None:
    assert rule_named(name).label([]) is None


@pytest.mark.parametrize("name", RULES)
def test_order_of_the_readers_does_not_matter(name: str) -> None:
    rule = rule_named(name)
    for ratings in itertools.combinations_with_replacement(range(1, 6), 4):
        labels = {rule.label(order) for order in set(itertools.permutations(ratings))}
        assert len(labels) == 1


@pytest.mark.parametrize("name", RULES)
def test_higher_rating_never_makes_a_nodule_less_malignant(name: str) -> None:
    rank: dict[bool | None, int] = {False: 0, None: 1, True: 2}
    # A 3 that is ignored is no rating at all, so the order holds among those that count.
    settings: dict[str, Any] = {"threes": "counted"} if name != TwoOfReaders.name else {}
    rule = rule_named(name, **settings)
    for ratings in itertools.product(range(1, 6), repeat=3):
        for reader in range(3):
            higher = [min(r + (k == reader), 5) for k, r in enumerate(ratings)]
            assert rank[rule.label(higher)] >= rank[rule.label(ratings)]


def test_default_rule_is_two_of_readers() -> None:
    assert next(iter(RULES)) == "two-of-readers"
    assert rule_named("two-of-readers").as_json() == {"name": "two-of-readers", "version": 1}


def test_settings_stand_beside_the_name() -> None:
    rule = rule_named("mean", threshold=3.5, ties="benign", threes=None)
    assert rule == MeanRating(3.5, "benign", "counted")
    assert rule.as_json() == {
        "name": "mean",
        "version": 1,
        "threshold": 3.5,
        "ties": "benign",
        "threes": "counted",
    }


def test_rule_in_words_names_every_setting() -> None:
    assert rule_named("two-of-readers").in_words() == "two-of-readers v1"
    assert rule_named("majority").in_words() == "majority v1 (ties left out, threes ignored)"


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        pytest.param("two-readers", {}, "two-of-readers, mean, median, majority", id="unknown"),
        pytest.param("two-of-readers", {"threshold": 3.0}, "no settings", id="foreign setting"),
        pytest.param(
            "majority", {"threshold": 3.0}, "ties, threes", id="majority has no threshold"
        ),
        pytest.param("mean", {"ties": "maybe"}, "left out, malignant, benign", id="unknown tie"),
        pytest.param("median", {"threes": "some"}, "counted, ignored", id="unknown threes"),
        pytest.param("mean", {"threshold": 7.0}, "from 1 to 5", id="threshold off the scale"),
        pytest.param("mean", {"threshold": float("nan")}, "from 1 to 5", id="no number"),
    ],
)
def test_unfit_rule_is_refused_in_words(name: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        rule_named(name, **settings)
