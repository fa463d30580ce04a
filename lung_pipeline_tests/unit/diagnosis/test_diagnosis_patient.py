# SPDX-License-Identifier: Apache-2.0
"""A diagnosis: both rules beside each other, what could not be looked at, and all of it as JSON."""

from __future__ import annotations

import json

import pytest

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import (
    BENIGN,
    INCOMPLETE,
    MALIGNANT,
    NO_NODULE,
    NOT_ASSESSED,
    RESEARCH_ONLY,
    Diagnosis,
    Rule,
    diagnosis_of,
)
from lung_pipeline.diagnosis.verdict.operating_point import NOTHING_FROZEN, Judging, OperatingPoint
from lung_pipeline.diagnosis.verdict.readers import ReadersVerdict
from lung_pipeline.diagnosis.verdict.rules import Chance, NoisyOr
from lung_pipeline.errors import SettingError
from lung_pipeline.learning.calibrators import Temperature

FROZEN = OperatingPoint(0.6, 0.7, {"nodule": Temperature(2.0, "fitted")}, "frozen for a test")


def _finding(nodule: float, malignancy: float | None) -> Finding:
    return Finding("1.2", 1.0, 2.0, 3.0, 0, 0, 0, 5.0, nodule, malignancy)


def _judged(*pairs: tuple[float, float | None], **given: object) -> Diagnosis:
    findings = [_finding(*pair) for pair in pairs]
    settings = {"inputs_sha256": {"1.2": "aa"}, "models": {"nodule": "n v1 (b)"}, **given}
    return diagnosis_of("A", findings, **settings)  # type: ignore[arg-type]


def test_both_rules_stand_beside_each_other_and_may_differ() -> None:
    """Two findings of .8 * .4: no nodule is likely malignant, 1 - .68 ** 2 = .5376 that one is."""
    diagnosis = _judged((0.8, 0.4), (0.8, 0.4))
    assert diagnosis.verdict == BENIGN
    counted, weighed = diagnosis.verdicts
    assert (counted.rule.name, counted.verdict, counted.chance) == (
        "any-malignant-nodule",
        BENIGN,
        None,
    )
    assert (weighed.rule.name, weighed.verdict) == ("noisy-or", MALIGNANT)
    assert weighed.chance is not None
    assert weighed.chance.low == pytest.approx(0.5376)
    chosen = _judged((0.8, 0.4), (0.8, 0.4), judging=Judging("noisy-or"))
    assert (chosen.verdict, chosen.rule) == (MALIGNANT, weighed.rule)
    assert [one.rule.name for one in chosen.verdicts] == ["noisy-or", "any-malignant-nodule"]


def test_an_empty_scan_has_no_nodule_by_either_rule() -> None:
    diagnosis = _judged()
    assert [one.verdict for one in diagnosis.verdicts] == [NO_NODULE, NO_NODULE]
    assert diagnosis.verdicts[1].chance == Chance(0.0, 0.0)
    assert diagnosis.as_json()["findings"] == []


def test_without_a_malignancy_model_a_nodule_is_not_assessed_by_either_rule() -> None:
    diagnosis = _judged((0.9, None))
    assert [one.verdict for one in diagnosis.verdicts] == [NOT_ASSESSED, NOT_ASSESSED]
    record = diagnosis.as_json()["verdicts"][1]
    assert record["probability"] is None
    assert (record["probability_low"], record["probability_high"]) == pytest.approx((0.0, 0.9))


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        ([], INCOMPLETE),  # never "no nodule" for what nobody looked at
        ([(0.9, 0.1)], INCOMPLETE),
        ([(0.9, None)], INCOMPLETE),
        ([(0.9, 0.9)], MALIGNANT),  # whatever the other series holds
    ],
)
def test_a_series_nobody_looked_at_leaves_the_verdict_open(
    pairs: list[tuple[float, float | None]], verdict: str
) -> None:
    failed = {"1.3": "the slices must be even, got a gap"}
    sources = {"1.2": "aa", "1.3": "bb"}
    diagnosis = _judged(*pairs, not_looked_at=failed, inputs_sha256=sources)
    assert [one.verdict for one in diagnosis.verdicts] == [verdict, verdict]
    assert diagnosis.series_uids == ("1.2", "1.3")
    assert diagnosis.as_json()["not_looked_at"] == failed


def test_thresholds_are_the_frozen_ones_and_a_persons_own_go_before_them() -> None:
    frozen = _judged((0.65, 0.75), frozen=FROZEN)
    assert (frozen.rule.nodule_threshold, frozen.rule.malignancy_threshold) == (0.6, 0.7)
    assert frozen.thresholds_from == "frozen for a test"
    own = _judged((0.65, 0.75), frozen=FROZEN, judging=Judging(malignancy_threshold=0.8))
    assert (own.rule.nodule_threshold, own.rule.malignancy_threshold) == (0.6, 0.8)
    assert own.thresholds_from == "malignancy threshold as asked for; else frozen for a test"
    assert (frozen.verdict, own.verdict) == (MALIGNANT, BENIGN)
    both = Judging(nodule_threshold=0.1, malignancy_threshold=0.2)
    assert both.at(FROZEN).thresholds_from == "nodule and malignancy threshold as asked for"
    assert _judged().thresholds_from == NOTHING_FROZEN
    assert _judged().rule == Rule()


def test_a_rule_or_threshold_that_is_none_is_refused_before_any_work() -> None:
    with pytest.raises(SettingError, match="must be one of any-malignant-nodule, noisy-or"):
        Judging("most-likely")
    with pytest.raises(SettingError, match="the leak must be a probability"):
        Judging(leak=2.0)


def test_a_diagnosis_is_plain_json_with_all_that_made_it() -> None:
    readers = ReadersVerdict(BENIGN, "two-of-readers v1", ((1, 2), ()), 0, "072.xml, sha256 ab")
    diagnosis = _judged(
        (0.9, 0.1),
        (0.2, None),
        frozen=FROZEN,
        readers=readers,
        cautions=["slices are thick"],
        seconds={"segmenting": 1.5},
    )
    record = json.loads(json.dumps(diagnosis.as_json()))
    rules = [rule.as_json() for rule in (Rule(0.6, 0.7), NoisyOr(0.6, 0.7, nodule=_TWO))]
    assert [one["rule"] for one in record.pop("verdicts")] == rules
    first, second = record.pop("findings")
    assert first == {
        "series_uid": "1.2",
        "xyz_mm": [1.0, 2.0, 3.0],
        "diameter_mm": 5.0,
        "nodule_probability": 0.9,
        "malignancy_probability": 0.1,
        "nodule_probability_calibrated": pytest.approx(0.75),  # odds 9 : 1 become 3 : 1
        "malignancy_probability_calibrated": 0.1,
    }
    assert second["malignancy_probability_calibrated"] is None
    assert record == {
        "patient_id": "A",
        "series_uids": ["1.2"],
        "verdict": "benign",
        "rule": rules[0],
        "thresholds_from": "frozen for a test",
        "readers": {
            "verdict": "benign",
            "rule": "two-of-readers v1",
            "num_nodules": 2,
            "num_malignant": 0,
            "ratings": [[1, 2], []],
            "source": "072.xml, sha256 ab",
        },
        "num_findings": 2,
        "num_nodules": 1,
        "cautions": ["slices are thick"],
        "not_looked_at": {},
        "models": {"nodule": "n v1 (b)"},
        "is_mirrored": False,
        "inputs_sha256": {"1.2": "aa"},
        "seconds": {"segmenting": 1.5},
        "peak_memory_bytes": None,
        "notice": RESEARCH_ONLY,
    }


_TWO = Temperature(2.0, "fitted")


def test_a_diagnosis_needs_no_more_than_it_did_before() -> None:
    plain = Diagnosis("A", ("1",), BENIGN, Rule(), (_finding(0.9, 0.1),), {}, {"1": "aa"})
    record = plain.as_json()
    assert (record["num_nodules"], record["verdicts"], record["readers"]) == (1, [], None)
    assert "nodule_probability_calibrated" not in record["findings"][0]
