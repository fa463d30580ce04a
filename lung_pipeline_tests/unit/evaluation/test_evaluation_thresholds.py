# SPDX-License-Identifier: Apache-2.0
"""The operating point of two scans, worked by hand.

    what it is    nodule   malignancy
    malignant A   .9       .8
    malignant B   .6       .9
    malignant C   .3       .4
    malignant D   missed
    benign        .8       .7
    benign        .5       .1
    non-nodule    .7       .85
    non-nodule    .4       .2
    non-nodule    .35      .6
    non-nodule    .2       .05

Half of the malignant: A and B pass together up to .6 and .8, and .85 passes with them: one false
alarm. A and C would bring more, and so would all three. Below .6 the malignancy threshold has to
stay above .7, the second highest of what alarms: .8 it is, down to the lowest nodule threshold.
All three that were found pass up to .3 and .4, and .7, .85 and .6 with them: three false alarms.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lung_pipeline.errors import SettingError, StoreError
from lung_pipeline.evaluation.operating_point.confusion import Things, confusion_table
from lung_pipeline.evaluation.operating_point.targets import (
    MaxFalsePositives,
    MinMalignantSensitivity,
)
from lung_pipeline.evaluation.operating_point.thresholds import Thresholds, solve

TABLE = [
    ("malignant", 0.9, 0.8),
    ("malignant", 0.6, 0.9),
    ("malignant", 0.3, 0.4),
    ("malignant", math.nan, math.nan),
    ("benign", 0.8, 0.7),
    ("benign", 0.5, 0.1),
    ("non-nodule", 0.7, 0.85),
    ("non-nodule", 0.4, 0.2),
    ("non-nodule", 0.35, 0.6),
    ("non-nodule", 0.2, 0.05),
]


def _things(rows: list[tuple[str, float, float]] = TABLE, num_series: int = 2) -> Things:
    kinds, nodule, malignancy = ([row[k] for row in rows] for k in range(3))
    return Things(np.array(kinds, dtype=str), np.array(nodule), np.array(malignancy), num_series)


def _pair(thresholds: Thresholds) -> tuple[float, float]:
    return thresholds.nodule, thresholds.malignancy


@pytest.mark.parametrize(
    ("tolerated", "pair"),
    [
        (4.0, (0.2, 0.8)),  # 4 non-nodules in 2 scans pass at .2: tolerated
        (1.5, (0.3, 0.8)),  # 3 pass at .3
        (1.0, (0.4, 0.8)),  # 2 pass at .4
        (0.0, (0.5, 0.8)),  # none is tolerated; fewer than 1 is not to be had, up to .5
    ],
)
def test_half_of_the_malignant_with_the_fewest_false_alarms(
    tolerated: float, pair: tuple[float, float]
) -> None:
    chosen = solve(_things(), MinMalignantSensitivity(0.5, tolerated))
    assert _pair(chosen) == pair
    assert chosen.on_validation.malignant_sensitivity == 2 / 4
    assert chosen.on_validation.false_alarms_per_scan == 1 / 2
    assert "cannot" not in chosen.how


def test_three_quarters_of_the_malignant_cost_three_false_alarms() -> None:
    chosen = solve(_things(), MinMalignantSensitivity(0.75))
    # At .2, no more than three of .85, .7, .6, .2 and .1 may pass: above .2 comes .4.
    assert _pair(chosen) == (0.2, 0.4)
    assert chosen.on_validation.false_alarms_per_scan == 3 / 2


def test_target_out_of_reach_gives_the_nearest_point_and_says_so() -> None:
    chosen = solve(_things(), MinMalignantSensitivity(0.95))
    assert _pair(chosen) == _pair(solve(_things(), MinMalignantSensitivity(0.75)))
    assert "it cannot be met, only 3 have a finding; this is the nearest" in chosen.how
    assert "75.0% of malignant nodules predicted so" in chosen.how


def test_more_malignant_nodules_at_the_same_cost_come_before_a_looser_threshold() -> None:
    # Without a false alarm the nodule threshold may fall to .3, where malignancy must be above
    # .6 and one is found, or stay at .8, where both are.
    rows = [("malignant", 0.9, 0.9), ("malignant", 0.8, 0.5), ("benign", 0.3, 0.6)]
    chosen = solve(_things(rows), MinMalignantSensitivity(0.5))
    assert chosen.on_validation.malignant_sensitivity == 1
    assert _pair(chosen) == (0.8, 0.5)


def test_share_that_is_met_exactly_is_enough() -> None:
    # 7 of 25 are .28, though .28 x 25 is more than 7 in floating point; the eighth costs an alarm.
    rows = [("malignant", 0.9 - 0.01 * k, 0.5) for k in range(25)]
    rows += [("non-nodule", 0.835, 0.9)]
    chosen = solve(_things(rows), MinMalignantSensitivity(0.28))
    assert chosen.on_validation.malignant_sensitivity == 7 / 25
    assert chosen.on_validation.false_alarms_per_scan == 0


def test_unrated_nodules_are_no_false_alarms() -> None:
    rows = [*TABLE, ("unrated", 0.95, 0.99)]
    chosen = solve(_things(rows), MinMalignantSensitivity(0.5))
    assert chosen.on_validation.false_alarms_per_scan == 1 / 2
    assert chosen.on_validation.unrated.predicted_malignant == 1


def test_malignant_nodule_that_is_not_assessed_cannot_be_predicted() -> None:
    rows = [("malignant", 0.9, math.nan), ("malignant", 0.5, 0.6)]
    chosen = solve(_things(rows), MinMalignantSensitivity(0.95))
    assert _pair(chosen) == (0.5, 0.6)
    assert "only 1 have a finding" in chosen.how


@pytest.mark.parametrize(
    ("allowed", "nodule", "found"),
    [
        (0.0, 0.8, 2 / 6),  # A and the benign above the first non-nodule
        (0.5, 0.5, 4 / 6),  # one non-nodule in two scans
        (1.0, 0.4, 4 / 6),
        (8.0, 0.2, 5 / 6),
    ],
)
def test_most_nodules_within_a_budget_of_false_positives(
    allowed: float, nodule: float, found: float
) -> None:
    chosen = solve(_things(), MaxFalsePositives(allowed, malignancy_threshold=0.6))
    assert _pair(chosen) == (nodule, 0.6)
    assert chosen.on_validation.nodule_sensitivity == found
    assert chosen.on_validation.fp_per_scan <= allowed


def test_budget_out_of_reach_gives_the_strictest_point_and_says_so() -> None:
    rows = [*TABLE, ("non-nodule", 1.0, 0.5)]
    chosen = solve(_things(rows), MaxFalsePositives(0.25))
    assert chosen.nodule == 1.0
    assert chosen.on_validation.fp_per_scan == 1 / 2
    assert "it cannot be met; this is the strictest that finds anything" in chosen.how


@pytest.mark.parametrize("rows", [[], TABLE[6:], TABLE[3:4]])
def test_nothing_to_decide_by_gives_even_thresholds_and_says_so(
    rows: list[tuple[str, float, float]],
) -> None:
    for target in (MaxFalsePositives(), MinMalignantSensitivity()):
        chosen = solve(_things(rows), target)
        assert _pair(chosen) == (0.5, 0.5)
        assert "0.5 is chosen" in chosen.how


def test_no_scan_at_all_gives_even_thresholds() -> None:
    chosen = solve(_things([], num_series=0), MaxFalsePositives())
    assert chosen.how.endswith("on 0 series of the validation part: nothing")


def test_target_of_malignant_nodules_without_a_model_is_refused() -> None:
    things = _things([(kind, nodule, math.nan) for kind, nodule, _ in TABLE])
    with pytest.raises(SettingError, match="needs a malignancy model"):
        solve(things, MinMalignantSensitivity())
    assert solve(things, MaxFalsePositives(0.5)).nodule == 0.5


def test_words_say_target_and_what_was_reached() -> None:
    assert solve(_things(), MaxFalsePositives(1.0)).how == (
        "at most 1 false positives a scan; on 2 series of the validation part: 66.7% of nodules"
        " found, 50.0% of malignant nodules predicted so, 1.00 false positives a scan, 1.00 false"
        " alarms a scan"
    )


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_targets_outside_their_range_are_refused(value: float) -> None:
    for wrong in (
        lambda: MaxFalsePositives(value),
        lambda: MaxFalsePositives(4.0, value),
        lambda: MinMalignantSensitivity(value),
        lambda: MinMalignantSensitivity(0.9, value),
    ):
        with pytest.raises(SettingError, match="target of the operating point"):
            wrong()


def test_share_of_nothing_is_no_target() -> None:
    with pytest.raises(SettingError, match="above 0"):
        MinMalignantSensitivity(0.0)


def test_what_was_reached_is_the_table_at_the_thresholds() -> None:
    things = _things()
    for target in (MaxFalsePositives(1.0), MinMalignantSensitivity(0.5)):
        chosen = solve(things, target)
        again = confusion_table(
            things, nodule_threshold=chosen.nodule, malignancy_threshold=chosen.malignancy
        )
        assert chosen.on_validation == again


def test_json_and_back_is_the_identity() -> None:
    chosen = solve(_things(), MinMalignantSensitivity(0.5))
    assert Thresholds.from_json(json.loads(json.dumps(chosen.as_json()))) == chosen


@pytest.mark.parametrize("missing", ["nodule", "how", "on_validation"])
def test_record_with_a_missing_field_is_refused(missing: str) -> None:
    record = solve(_things(), MaxFalsePositives()).as_json()
    del record[missing]
    with pytest.raises(StoreError, match="thresholds of a model"):
        Thresholds.from_json(record)


def test_metrics_have_both_thresholds_and_what_they_gave() -> None:
    metrics = solve(_things(), MinMalignantSensitivity(0.5)).metrics()
    assert (metrics["nodule_threshold"], metrics["malignancy_threshold"]) == (0.2, 0.8)
    assert metrics["malignant_sensitivity"] == 0.5
