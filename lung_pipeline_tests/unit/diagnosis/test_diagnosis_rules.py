# SPDX-License-Identifier: Apache-2.0
"""The rules worked by hand: verdicts, the probability behind them, thresholds, and the words."""

from __future__ import annotations

import math

import pytest

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.verdict.operating_point import OperatingPoint
from lung_pipeline.diagnosis.verdict.rules import (
    BENIGN,
    DEFAULT_RULE,
    MALIGNANT,
    NO_NODULE,
    NOT_ASSESSED,
    RULES,
    Chance,
    NoisyOr,
    Rule,
    any_of,
    refuse_unknown_rule,
)
from lung_pipeline.errors import ModelError, SettingError
from lung_pipeline.learning.calibrators import Temperature

ANY = Rule(nodule_threshold=0.6, malignancy_threshold=0.7)


def _finding(nodule: float, malignancy: float | None) -> Finding:
    return Finding("1.2", 0, 0, 0, 0, 0, 0, 5.0, nodule, malignancy)


def _findings(*pairs: tuple[float, float | None]) -> list[Finding]:
    return [_finding(*probabilities) for probabilities in pairs]


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([], NO_NODULE),
        ([(0.59, 1.0)], NO_NODULE),
        ([(0.59, None)], NO_NODULE),
        ([(0.6, 0.7)], MALIGNANT),  # both thresholds count themselves
        ([(0.6, 0.69)], BENIGN),
        ([(0.9, 0.1), (0.9, 0.2)], BENIGN),
        ([(0.9, 0.1), (0.7, 0.8), (0.9, 0.2)], MALIGNANT),  # any one is enough
        ([(0.9, 0.1), (0.5, 0.99)], BENIGN),  # what is no nodule is not asked
        ([(0.9, None)], NOT_ASSESSED),
        ([(0.9, None), (0.9, 0.1)], NOT_ASSESSED),  # the one not assessed may be malignant
        ([(0.9, None), (0.9, 0.9)], MALIGNANT),
        ([(0.1, None), (0.9, 0.1)], BENIGN),
    ],
)
def test_any_malignant_nodule(findings: list[tuple[float, float | None]], verdict: str) -> None:
    assert ANY.verdict(_findings(*findings)) == verdict
    assert ANY.chance(_findings(*findings)) is None


@pytest.mark.parametrize(
    ("findings", "low", "high", "verdict"),
    [
        ([], 0.0, 0.0, NO_NODULE),
        ([(0.8, 0.5)], 0.4, 0.4, BENIGN),
        ([(0.8, 0.625)], 0.5, 0.5, MALIGNANT),  # the threshold counts itself
        # 1 - .6 * .6: neither is likely to be malignant, but one of them is.
        ([(0.8, 0.5), (0.8, 0.5)], 0.64, 0.64, MALIGNANT),
        # 1 - .9 ^ 3: below the nodule threshold a finding still adds its small chance.
        ([(0.2, 0.5)] * 3, 0.271, 0.271, NO_NODULE),
        ([(1.0, 1.0), (0.3, 0.3)], 1.0, 1.0, MALIGNANT),
        ([(0.0, 1.0), (1.0, 0.0)], 0.0, 0.0, BENIGN),
        # Without a malignancy: anything from none to all of the nodule probability.
        ([(0.9, None)], 0.0, 0.9, NOT_ASSESSED),
        ([(0.4, None)], 0.0, 0.4, NO_NODULE),  # malignant or not, it is too little
        ([(0.9, 0.9), (0.9, None)], 0.81, 0.981, MALIGNANT),
    ],
)
def test_noisy_or(
    findings: list[tuple[float, float | None]], low: float, high: float, verdict: str
) -> None:
    chance = NoisyOr().chance(_findings(*findings))
    assert (chance.low, chance.high) == pytest.approx((low, high), abs=1e-12)
    assert NoisyOr().verdict(_findings(*findings)) == verdict


def test_a_leak_is_a_chance_that_is_there_without_any_finding() -> None:
    assert NoisyOr(leak=0.1).chance([]) == pytest.approx(Chance(0.1, 0.1))
    assert NoisyOr(leak=0.1).chance(_findings((0.8, 0.5))).low == pytest.approx(1 - 0.9 * 0.6)
    assert NoisyOr(leak=0.5).verdict([]) == MALIGNANT


def test_calibrated_probabilities_are_weighed_not_those_of_the_networks() -> None:
    # A temperature of 2 makes of odds 81 : 1 odds 9 : 1, and of 1 : 16 odds 1 : 4.
    rule = NoisyOr(nodule=Temperature(2.0), malignancy=Temperature(2.0))
    findings = _findings((81 / 82, 1 / 17), (0.5, None))
    nodules, malignancies = rule.calibrated(findings)
    assert nodules == pytest.approx([0.9, 0.5])
    assert malignancies[0] == pytest.approx(0.2)
    assert malignancies[1] is None
    chance = rule.chance(findings)
    assert chance.low == pytest.approx(0.9 * 0.2)
    # What is not known is 1 itself at most, whatever a calibrator would make of 1.
    assert chance.high == pytest.approx(1 - (1 - 0.18) * 0.5)


def test_nodules_are_those_of_the_networks_own_probability() -> None:
    """Thresholds are frozen on probabilities as they are given, and fit no others."""
    findings = _findings((0.7, None), (0.59, None), (0.6, None))
    calibrated = NoisyOr(0.6, 0.5, nodule=Temperature(10.0))
    assert ANY.nodules(findings) == calibrated.nodules(findings) == [findings[0], findings[2]]


@pytest.mark.parametrize("rule", [ANY, NoisyOr()])
@pytest.mark.parametrize("pair", [(math.nan, 0.5), (0.9, math.nan), (1.1, 0.5), (0.9, -0.1)])
def test_what_is_no_probability_is_refused_not_lost_below_a_threshold(
    rule: Rule, pair: tuple[float, float]
) -> None:
    with pytest.raises(ModelError, match="must lie between 0 and 1"):
        rule.verdict([_finding(0.9, 0.9), _finding(*pair)])


def test_small_chances_are_not_rounded_away() -> None:
    assert any_of([1e-20]) == pytest.approx(1e-20, rel=1e-12)
    assert any_of([1e-9] * 1000) == pytest.approx(1e-6, rel=1e-5)
    assert any_of([]) == 0
    assert any_of([0.3, 1.0]) == 1


def test_each_rule_says_its_numbers_in_words() -> None:
    assert ANY.in_words() == (
        "malignant if any finding with a nodule probability of at least 0.6 "
        "has a malignancy probability of at least 0.7"
    )
    assert NoisyOr(patient_threshold=0.3, leak=0.01).in_words() == (
        "malignant if 1 - (1 - 0.01) * product of (1 - nodule probability * malignancy "
        "probability) over all findings, calibrated, is at least 0.3"
    )
    assert NoisyOr().as_json()["calibrators"]["nodule"]["how"] == "not calibrated"


@pytest.mark.parametrize("number", [-0.01, 1.01, math.nan, math.inf])
def test_a_number_that_is_no_probability_is_refused(number: float) -> None:
    for place in ("nodule_threshold", "malignancy_threshold"):
        with pytest.raises(SettingError, match="'any-malignant-nodule'"):
            Rule(**{place: number})
    for place in ("nodule_threshold", "patient_threshold", "leak"):
        with pytest.raises(SettingError, match="'noisy-or'"):
            NoisyOr(**{place: number})  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [0, 1])
def test_the_ends_of_the_range_are_thresholds(threshold: float) -> None:
    sure = [_finding(1.0, 1.0)]
    assert Rule(threshold, threshold).verdict(sure) == MALIGNANT
    assert NoisyOr(patient_threshold=threshold).verdict(sure) == MALIGNANT


def test_every_rule_is_made_at_an_operating_point_and_says_a_word_of_itself() -> None:
    made = OperatingPoint().rules()
    assert {rule.name: type(rule) for rule in made} == RULES
    assert [rule.name for rule in made] == list(RULES)
    assert len({rule.hint for rule in RULES.values()}) == len(RULES)


def test_rules_are_known_by_their_names() -> None:
    assert list(RULES) == ["any-malignant-nodule", "noisy-or"]
    assert RULES[DEFAULT_RULE] is Rule
    with pytest.raises(SettingError, match="any-malignant-nodule, noisy-or, got 'maximum'"):
        refuse_unknown_rule("maximum")
