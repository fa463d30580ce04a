# SPDX-License-Identifier: Apache-2.0
"""Six findings on one line, each on something else."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from lung_pipeline.evaluation.detection.matching import FALSE_POSITIVE, Matches, match
from lung_pipeline.evaluation.lost_nodules.false_positives import (
    IN_LUNG,
    IN_TISSUE,
    NOT_KNOWN,
    ON_EXCLUDED,
    ON_FOUND,
    ON_MISSED,
    PLACES,
    FalsePositivePlaces,
    false_positive_places,
    places_of,
)

PLACE = ["series_uid", "x_mm", "y_mm", "z_mm"]

FINDINGS = pd.DataFrame(
    [
        ("a", 0.0, 0.9, 0.1),  # hits the nodule at 0
        ("a", 1.0, 0.8, 0.1),  # hits it too
        ("a", 20.0, 0.7, 0.1),  # on an excluded mark
        ("a", 40.0, 0.6, 0.9),  # holds the nodule at 34, off its centre
        ("a", 60.0, 0.5, 0.5),  # at the wall
        ("a", 80.0, 0.4, 0.49),  # in the lung
        ("a", 100.0, 0.3, math.nan),  # not measured
        ("b", 40.0, 0.2, 0.0),  # where a holds a nodule, in another series
    ],
    columns=["series_uid", "x_mm", "score", "tissue_share"],
).assign(y_mm=0.0, z_mm=0.0)

NODULES = pd.DataFrame(
    [("a", 0.0, 6.0), ("a", 34.0, 6.0), ("b", 200.0, 6.0)],
    columns=["series_uid", "x_mm", "diameter_mm"],
).assign(y_mm=0.0, z_mm=0.0)

MARKS = pd.DataFrame([("a", 20.0, 0.0, 0.0, 6.0)], columns=[*PLACE, "diameter_mm"])

TRACE = pd.DataFrame(
    [("a", True, 0.0), ("a", False, 40.0), ("b", False, math.nan)],
    columns=["series_uid", "is_hit", "finding_x_mm"],
).assign(finding_y_mm=0.0, finding_z_mm=0.0)


def _matched(findings: pd.DataFrame = FINDINGS) -> Matches:
    return match(findings, NODULES, MARKS)


def test_each_finding_lies_on_one_thing() -> None:
    places = places_of(FINDINGS, _matched(), TRACE)
    assert places.tolist()[1:] == [
        ON_FOUND,
        ON_EXCLUDED,
        ON_MISSED,
        IN_TISSUE,
        IN_LUNG,
        NOT_KNOWN,
        IN_LUNG,
    ]


@pytest.mark.parametrize(
    ("threshold", "num", "num_false"), [(0.0, 7, 5), (0.5, 4, 2), (0.85, 0, 0), (math.inf, 0, 0)]
)
def test_hits_and_what_is_below_the_threshold_are_not_counted(
    threshold: float, num: int, num_false: int
) -> None:
    made = false_positive_places(FINDINGS, _matched(), TRACE, threshold)
    assert sum(made.places.values()) == num
    assert made.num_false_positives == num_false
    assert set(made.places) == set(PLACES)


def test_as_many_are_false_as_the_matching_says() -> None:
    matches = _matched()
    made = false_positive_places(FINDINGS, matches, TRACE, 0.35)
    is_false = (matches.finding_fate == FALSE_POSITIVE) & (matches.finding_score >= 0.35)
    assert made.num_false_positives == is_false.sum() == 3


def test_without_a_trace_or_a_measure_less_is_known_and_as_much_counted() -> None:
    bare = FINDINGS.drop(columns="tissue_share")
    made = false_positive_places(bare, _matched(bare), None, 0.0)
    assert made.places == {
        **dict.fromkeys(PLACES, 0),
        ON_EXCLUDED: 1,
        ON_FOUND: 1,
        NOT_KNOWN: 5,
    }


def test_rows_and_metrics_name_every_place() -> None:
    made = false_positive_places(FINDINGS, _matched(), TRACE, 0.0)
    rows = {row["lies_on"]: row for row in made.as_rows()}
    assert [row["is_false"] for row in made.as_rows()] == [False, False, True, True, True, True]
    assert rows[IN_LUNG]["findings"] == made.metrics()["on_lung"] == 2
    assert made.metrics()["on_a_missed_nodule"] == 1


def test_record_comes_back_from_json_as_it_was() -> None:
    for threshold in (0.25, math.inf):
        made = false_positive_places(FINDINGS, _matched(), TRACE, threshold)
        read = FalsePositivePlaces.from_json(json.loads(json.dumps(made.as_json())))
        assert read == made


def test_without_findings_nothing_lies_anywhere() -> None:
    none = FINDINGS.head(0)
    assert false_positive_places(none, _matched(none), TRACE, 0.0).num_false_positives == 0
