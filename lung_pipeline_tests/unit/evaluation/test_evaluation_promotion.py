# SPDX-License-Identifier: Apache-2.0
"""The rule of promotion: each way it may end, with its reason in words.

The first tests are on phantoms: sixty planned scans of 48 patients with 125 nodules, and systems of
a stated skill. The others take figures as they stand.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from phantom_systems import phantom_system

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.comparison.comparison import (
    CPM,
    MALIGNANCY_AUC_OF_FOUND,
    Comparison,
    Pair,
)
from lung_pipeline.evaluation.comparison.paired import compare
from lung_pipeline.evaluation.comparison.promotion import (
    PromotionRule,
    Verdict,
    force,
    judge,
    judge_first,
    judge_same,
)
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate

BETTER = Pair(0.700, 0.800, Estimate(0.100, 0.040, 0.160))
LEVEL = Pair(0.900, 0.901, Estimate(0.001, -0.020, 0.022))


@cache
def beside_the_champion(**settings: float) -> Comparison:
    """A phantom challenger of some skill beside a champion of skill 1."""
    champion, challenger = phantom_system("v1"), phantom_system("v2", seed=3, **settings)  # type: ignore[arg-type]
    return compare(champion, challenger, "2026-01-02")


def judged(cpm: Pair, malignancy: Pair, rule: PromotionRule | None = None) -> Verdict:
    figures = {CPM: cpm, MALIGNANCY_AUC_OF_FOUND: malignancy}
    return judge(replace(beside_the_champion(skill=2.0), figures=figures), rule or PromotionRule())


def test_phantom_challenger_that_is_worse_is_rejected() -> None:
    verdict = judge(beside_the_champion(skill=0.0), PromotionRule())
    assert not verdict.promoted
    assert verdict.in_words.startswith("rejected: CPM clearly worse: 0.3")
    assert "beside the champion's 0.579" in verdict.reasons[0]
    assert verdict.reasons[0].endswith("which lies below 0")


def test_phantom_challenger_that_is_better_within_noise_is_rejected() -> None:
    comparison = beside_the_champion(skill=1.05, judgement=2.5)
    verdict = judge(comparison, PromotionRule())
    difference = comparison.figures[CPM].difference
    assert difference.value is not None
    assert difference.value > 0
    assert not verdict.promoted
    assert verdict.in_words.startswith("rejected: CPM better, but within noise: ")
    assert "which includes 0" in verdict.reasons[0]


def test_phantom_challenger_that_is_clearly_better_is_promoted() -> None:
    verdict = judge(beside_the_champion(skill=2.0, judgement=2.0), PromotionRule())
    assert verdict.promoted
    assert verdict.in_words.startswith("promoted: CPM clearly better: 0.834 beside")
    assert "which lies above 0; malignancy AUC not worse by more than 0.03" in verdict.in_words


def test_phantom_challenger_that_finds_more_and_judges_worse_is_rejected() -> None:
    verdict = judge(beside_the_champion(skill=2.0, judgement=0.0), PromotionRule())
    assert not verdict.promoted
    assert verdict.reasons[0].startswith("malignancy AUC worse by more than 0.03: ")
    assert verdict.reasons[1].startswith("CPM clearly better")


def test_phantom_champion_beside_itself_has_no_evidence() -> None:
    same = compare(phantom_system("v1"), phantom_system("v2"), "2026-01-02")
    verdict = judge(same, PromotionRule())
    assert not verdict.promoted
    assert "without an interval" in verdict.reasons[0]
    assert verdict.reasons[1].startswith("malignancy AUC the same: ")


@pytest.mark.parametrize(
    ("cpm", "words"),
    [
        (Estimate(0.1, 0.001, 0.2), "CPM clearly better"),
        (Estimate(0.1, 0.0, 0.2), "CPM better, but within noise"),
        (Estimate(0.0, -0.1, 0.1), "CPM not better"),
        (Estimate(-0.1, -0.2, 0.0), "CPM not better"),
        (Estimate(-0.1, -0.2, -0.001), "CPM clearly worse"),
        (Estimate(0.1, None, None), "without an interval, which takes patients enough"),
        (NOT_MEASURED, "CPM not measured"),
    ],
)
def test_headline_in_words(cpm: Estimate, words: str) -> None:
    verdict = judged(Pair(0.7, 0.8, cpm), LEVEL)
    assert words in verdict.reasons[0]
    assert verdict.promoted == (words == "CPM clearly better")


@pytest.mark.parametrize(
    ("difference", "words", "promoted"),
    [
        (Estimate(0.02, -0.029, 0.05), "not worse by more than 0.03", True),
        (Estimate(0.02, -0.03, 0.05), "may be worse by more than 0.03", False),
        (Estimate(-0.04, -0.06, -0.01), "worse by more than 0.03", False),
        (Estimate(0.0, None, None), "the same", True),
        (Estimate(0.01, None, None), "too few patients to say that it is not worse", False),
        (NOT_MEASURED, "that both find: nothing says that it is not worse", False),
    ],
)
def test_malignancy_is_guarded_in_words(
    difference: Estimate, words: str, *, promoted: bool
) -> None:
    verdict = judged(BETTER, Pair(0.9, 0.9, difference))
    assert verdict.promoted == promoted
    assert words in verdict.reasons[1 if promoted else 0]


def test_margin_is_a_setting() -> None:
    wide = Pair(0.9, 0.91, Estimate(0.01, -0.05, 0.05))
    assert not judged(BETTER, wide).promoted
    assert judged(BETTER, wide, PromotionRule(malignancy_auc_margin=0.06)).promoted


def test_another_headline_swaps_what_must_be_better_and_what_not_worse() -> None:
    rule = PromotionRule(headline="malignancy_auc")
    assert judged(LEVEL, BETTER, rule).reasons[0].startswith("CPM not worse by more than 0.02") is (
        False
    )
    level = Pair(0.9, 0.901, Estimate(0.001, -0.019, 0.022))
    verdict = judged(level, BETTER, rule)
    assert verdict.promoted
    assert verdict.reasons[0].startswith("malignancy AUC clearly better")
    assert verdict.reasons[1].startswith("CPM not worse by more than 0.02")
    assert not judged(level, BETTER).promoted


@pytest.mark.parametrize("margin", [-0.01, 1.0, float("nan")])
def test_margin_that_means_nothing_is_refused(margin: float) -> None:
    with pytest.raises(SettingError, match="cpm_margin: a margin must be at least 0"):
        PromotionRule(cpm_margin=margin)


def test_set_without_a_model_the_champion_has_is_rejected() -> None:
    blind = phantom_system("v2", skill=3.0, steps=("segmentation", "nodule"))
    verdict = judge(compare(phantom_system("v1"), blind, "2026-01-02"), PromotionRule())
    assert verdict.in_words == (
        "rejected: the challenger has no malignancy model, the champion has"
    )


def test_champion_without_a_malignancy_model_guards_none() -> None:
    blind = phantom_system("v1", steps=("segmentation", "nodule"))
    verdict = judge(compare(blind, phantom_system("v2", skill=2.0), "now"), PromotionRule())
    assert verdict.promoted
    assert verdict.reasons[1] == "malignancy not compared: the champion has no malignancy model"


def test_without_a_champion_the_first_set_is_promoted() -> None:
    assert judge_first().in_words == ("promoted: there is no champion yet to be compared with")


def test_champions_are_not_promoted_again() -> None:
    assert judge_same().in_words == "rejected: the newest models are the champions already"


def test_force_promotes_and_keeps_what_the_rule_says() -> None:
    forced = force(judged(LEVEL, LEVEL), "  the champion's licence ended ")
    assert forced.promoted
    assert forced.in_words.startswith(
        "promoted: forced: the champion's licence ended; by rule rejected: CPM better, but within"
    )


@pytest.mark.parametrize("reason", ["", "  "])
def test_force_without_a_reason_is_refused(reason: str) -> None:
    with pytest.raises(SettingError, match="must say why"):
        force(judge_same(), reason)
