# SPDX-License-Identifier: Apache-2.0
"""Matching, case by case; distances are small whole numbers, so each case can be checked by eye."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.errors import AnnotationError
from lung_pipeline.evaluation.detection.matching import match

Row = tuple[str, float, float]


def findings(*rows: Row) -> pd.DataFrame:
    """Findings on the x axis: (series, x, score)."""
    table = pd.DataFrame(list(rows), columns=["series_uid", "x_mm", "score"])
    return table.assign(y_mm=0.0, z_mm=0.0).astype({"series_uid": "str", "x_mm": float})


def marks(*rows: Row) -> pd.DataFrame:
    """Marks on the x axis: (series, x, diameter)."""
    table = pd.DataFrame(list(rows), columns=["series_uid", "x_mm", "diameter_mm"])
    return table.assign(y_mm=0.0, z_mm=0.0).astype({"series_uid": "str", "diameter_mm": float})


def test_a_finding_within_the_radius_hits() -> None:
    matches = match(findings(("a", 2.9, 0.7)), marks(("a", 0, 6)))
    assert matches.finding_fate.tolist() == ["hit"]
    assert matches.nodule_score.tolist() == [0.7]
    assert matches.nodule_finding.tolist() == [0]


def test_a_finding_at_exactly_the_radius_misses() -> None:
    matches = match(findings(("a", 3.0, 0.7)), marks(("a", 0, 6)))
    assert matches.finding_fate.tolist() == ["false positive"]
    assert np.isnan(matches.nodule_score).tolist() == [True]
    assert matches.nodule_finding.tolist() == [-1]


def test_the_same_place_in_another_series_misses() -> None:
    matches = match(findings(("b", 0, 0.7)), marks(("a", 0, 6)))
    assert matches.finding_fate.tolist() == ["false positive"]


def test_several_hits_on_one_nodule_count_once_with_the_best_score() -> None:
    matches = match(findings(("a", 0, 0.2), ("a", 1, 0.9), ("a", -1, 0.5)), marks(("a", 0, 6)))
    assert matches.finding_fate.tolist() == ["double hit", "hit", "double hit"]
    assert matches.nodule_score.tolist() == [0.9]


def test_of_two_equal_scores_the_nearer_is_the_hit() -> None:
    matches = match(findings(("a", 2, 0.5), ("a", -1, 0.5)), marks(("a", 0, 6)))
    assert matches.finding_fate.tolist() == ["double hit", "hit"]


def test_two_nodules_may_share_one_finding() -> None:
    matches = match(findings(("a", 2, 0.5)), marks(("a", 0, 6), ("a", 4, 6)))
    assert matches.nodule_score.tolist() == [0.5, 0.5]
    assert matches.counts["hits"] == 2


def test_best_hit_of_one_nodule_and_weaker_hit_of_another_is_a_hit() -> None:
    matches = match(findings(("a", 2, 0.5), ("a", 5, 0.9)), marks(("a", 0, 6), ("a", 4, 6)))
    assert matches.finding_fate.tolist() == ["hit", "hit"]
    assert matches.nodule_score.tolist() == [0.5, 0.9]


def test_a_finding_on_an_excluded_mark_counts_neither_way() -> None:
    matches = match(findings(("a", 21, 0.5)), marks(("a", 0, 6)), marks(("a", 20, 6)))
    assert matches.finding_fate.tolist() == ["excluded"]


@pytest.mark.parametrize(("x_mm", "fate"), [(4.9, "excluded"), (5.0, "false positive")])
def test_an_unmeasured_excluded_mark_is_taken_as_ten_millimetres(x_mm: float, fate: str) -> None:
    matches = match(findings(("a", x_mm, 0.5)), marks(), marks(("a", 0, -1)))
    assert matches.finding_fate.tolist() == [fate]


def test_a_nodule_wins_over_an_excluded_mark_at_the_same_place() -> None:
    matches = match(findings(("a", 0, 0.5), ("a", 1, 0.4)), marks(("a", 0, 6)), marks(("a", 0, 20)))
    assert matches.finding_fate.tolist() == ["hit", "double hit"]


def test_without_findings_every_nodule_is_missed() -> None:
    matches = match(findings(), marks(("a", 0, 6), ("b", 0, 6)))
    assert matches.counts["missed"] == 2
    assert matches.silent_series_uids == ("a", "b")


def test_without_nodules_every_finding_is_a_false_positive() -> None:
    matches = match(findings(("a", 0, 0.5)), marks())
    assert matches.counts["false_positives"] == 1
    assert matches.num_nodules == 0


def test_series_without_a_row_are_named() -> None:
    matches = match(findings(("a", 0, 0.5)), marks(), series_uids=["c", "a", "b"])
    assert matches.silent_series_uids == ("b", "c")
    assert matches.counts["silent_series"] == 2


def test_excluded_marks_of_other_series_do_not_matter() -> None:
    matches = match(findings(("a", 0, 0.5)), marks(), marks(("z", 0, 6)), series_uids=["a"])
    assert matches.finding_fate.tolist() == ["false positive"]


@pytest.mark.parametrize("outside", ["findings", "nodules"])
def test_a_row_of_a_series_outside_the_list_is_refused(outside: str) -> None:
    tables = {"findings": findings(("a", 0, 0.5)), "nodules": marks(("a", 0, 6))}
    tables[outside] = tables[outside].assign(series_uid="z")
    with pytest.raises(AnnotationError, match=f"{outside}, column series_uid.*got z"):
        match(tables["findings"], tables["nodules"], series_uids=["a"])


def test_a_score_that_is_no_number_is_refused_with_its_row() -> None:
    with pytest.raises(AnnotationError, match="findings, row 1, score"):
        match(findings(("a", 0, 0.5), ("a", 0, np.nan)), marks())
