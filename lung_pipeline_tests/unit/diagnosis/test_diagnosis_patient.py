# SPDX-License-Identifier: Apache-2.0
"""The rule: four verdicts, thresholds that count, and the words beside them."""

from __future__ import annotations

import json
import math

import pytest

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import (
    BENIGN,
    MALIGNANT,
    NO_NODULE,
    NOT_ASSESSED,
    RESEARCH_ONLY,
    Diagnosis,
    Rule,
)
from lung_pipeline.errors import SettingError

RULE = Rule(nodule_threshold=0.6, malignancy_threshold=0.7)


def _finding(nodule: float, malignancy: float | None) -> Finding:
    return Finding("1.2", 0, 0, 0, 0, 0, 0, 5.0, nodule, malignancy)


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
def test_verdicts(findings: list[tuple[float, float | None]], verdict: str) -> None:
    assert RULE.verdict([_finding(*probabilities) for probabilities in findings]) == verdict


def test_nodules_are_the_findings_from_the_threshold_on_in_their_order() -> None:
    findings = [_finding(p, None) for p in (0.7, 0.59, 0.6)]
    assert RULE.nodules(findings) == [findings[0], findings[2]]


def test_the_rule_says_its_thresholds_in_words() -> None:
    assert RULE.in_words() == (
        "malignant if any finding with a nodule probability of at least 0.6 "
        "has a malignancy probability of at least 0.7"
    )
    assert Rule().in_words().count("0.5") == 2


@pytest.mark.parametrize("threshold", [-0.01, 1.01, math.nan, math.inf])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(SettingError, match="'any-malignant-nodule'"):
        Rule(nodule_threshold=threshold)
    with pytest.raises(SettingError, match="'any-malignant-nodule'"):
        Rule(malignancy_threshold=threshold)


@pytest.mark.parametrize("threshold", [0, 1])
def test_the_ends_of_the_range_are_thresholds(threshold: float) -> None:
    sure = [_finding(1.0, 1.0)]
    assert Rule(threshold, threshold).verdict(sure) == MALIGNANT


def test_a_diagnosis_is_plain_json_with_all_that_made_it() -> None:
    diagnosis = Diagnosis(
        patient_id="LIDC-IDRI-0001",
        series_uids=("1.2", "1.3"),
        verdict=BENIGN,
        rule=RULE,
        findings=(_finding(0.9, 0.1), _finding(0.2, 0.9)),
        models={"nodule": "nodule v3 abc"},
        inputs_sha256={"1.2": "aa", "1.3": "bb"},
    )
    assert json.loads(json.dumps(diagnosis.as_json())) == {
        "patient_id": "LIDC-IDRI-0001",
        "series_uids": ["1.2", "1.3"],
        "verdict": "benign",
        "rule": {
            "name": "any-malignant-nodule",
            "in_words": RULE.in_words(),
            "nodule_threshold": 0.6,
            "malignancy_threshold": 0.7,
        },
        "num_findings": 2,
        "num_nodules": 1,
        "models": {"nodule": "nodule v3 abc"},
        "inputs_sha256": {"1.2": "aa", "1.3": "bb"},
        "notice": RESEARCH_ONLY,
    }
