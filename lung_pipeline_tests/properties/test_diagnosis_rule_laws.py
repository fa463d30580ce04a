# SPDX-License-Identifier: Apache-2.0
"""Laws of the rules over any findings: what raises a probability never lowers a suspicion."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.verdict.rules import (
    BENIGN,
    MALIGNANT,
    NO_NODULE,
    NOT_ASSESSED,
    NoisyOr,
    Rule,
)
from lung_pipeline.learning.calibrators import Temperature

PROBABILITY = st.floats(0, 1)
FINDINGS = st.lists(
    st.builds(
        lambda nodule, malignancy: Finding("1", 0, 0, 0, 0, 0, 0, 5.0, nodule, malignancy),
        PROBABILITY,
        st.one_of(st.none(), PROBABILITY),
    ),
    max_size=8,
)
NOISY = st.builds(
    lambda threshold, leak, hot: NoisyOr(
        patient_threshold=threshold, leak=leak, nodule=Temperature(hot), malignancy=Temperature(hot)
    ),
    PROBABILITY,
    PROBABILITY,
    st.floats(0.2, 5),
)
ROUNDING = 1e-12
"""Logarithms there and back."""


@given(NOISY, FINDINGS)
def test_it_is_at_least_the_greatest_product_and_at_most_their_sum(
    rule: NoisyOr, findings: list[Finding]
) -> None:
    nodules, malignancies = rule.calibrated(findings)
    chance = rule.chance(findings)
    known = [n * m for n, m in zip(nodules, malignancies, strict=True) if m is not None]
    all_malignant = [
        n * (1 if m is None else m) for n, m in zip(nodules, malignancies, strict=True)
    ]
    assert chance.low >= max([rule.leak, *known]) - ROUNDING
    assert chance.low <= sum([rule.leak, *known]) + ROUNDING
    assert chance.high >= max([rule.leak, *all_malignant]) - ROUNDING
    assert 0 <= chance.low <= chance.high <= 1
    if None not in malignancies:
        assert chance.low == chance.high


@given(NOISY, FINDINGS, st.data())
def test_it_grows_with_each_probability_and_with_each_finding(
    rule: NoisyOr, findings: list[Finding], data: st.DataObject
) -> None:
    before = rule.chance(findings)
    for number, finding in enumerate(findings):
        surer = replace(
            finding, nodule_probability=data.draw(st.floats(finding.nodule_probability, 1))
        )
        if finding.malignancy_probability is not None:
            grown = data.draw(st.floats(finding.malignancy_probability, 1))
            surer = replace(surer, malignancy_probability=grown)
        after = rule.chance([*findings[:number], surer, *findings[number + 1 :]])
        assert after.low >= before.low - ROUNDING
        assert after.high >= before.high - ROUNDING
        without = rule.chance([*findings[:number], *findings[number + 1 :]])
        assert without.low <= before.low + ROUNDING


@given(NOISY, FINDINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_findings_changes_nothing(
    rule: NoisyOr, findings: list[Finding], rng: random.Random
) -> None:
    turned = rng.sample(findings, len(findings))
    assert rule.chance(turned) == rule.chance(findings)
    assert Rule().verdict(turned) == Rule().verdict(findings)


@given(NOISY, FINDINGS, st.data())
def test_a_verdict_without_some_malignancies_is_that_of_any_they_could_have(
    noisy: NoisyOr, findings: list[Finding], data: st.DataObject
) -> None:
    assessed = [
        f
        if f.malignancy_probability is not None
        else replace(f, malignancy_probability=data.draw(PROBABILITY))
        for f in findings
    ]
    for rule in (Rule(), noisy):
        known, told = rule.verdict(assessed), rule.verdict(findings)
        assert told in (known, NOT_ASSESSED)
        assert known != NOT_ASSESSED


@given(FINDINGS)
def test_without_anything_malignant_both_rules_say_the_same(findings: list[Finding]) -> None:
    benign = [replace(f, malignancy_probability=0.0) for f in findings]
    assert Rule().verdict(benign) == NoisyOr().verdict(benign)
    assert Rule().verdict(benign) in (BENIGN, NO_NODULE)
    sure = [replace(f, nodule_probability=1.0, malignancy_probability=1.0) for f in findings]
    assert Rule().verdict(sure) == NoisyOr().verdict(sure) == (MALIGNANT if sure else NO_NODULE)
