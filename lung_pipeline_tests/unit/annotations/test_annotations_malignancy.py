# SPDX-License-Identifier: Apache-2.0
"""Readers' ratings to a label: cases that can be worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lung_pipeline.annotations.malignancy import (
    SAME_NODULE_MM,
    expected_suspicious,
    is_borderline,
    label_nodules,
)
from lung_pipeline.annotations.rules import MeanRating, TwoOfReaders

RULE = TwoOfReaders()


def _rows(*rows: tuple[str, float, str]) -> pd.DataFrame:
    series, x_mm, ratings = zip(*rows, strict=True)
    return pd.DataFrame(
        {"series_uid": series, "x_mm": x_mm, "y_mm": 0.0, "z_mm": 0.0, "ratings": ratings}
    )


def test_nodule_takes_the_nearest_ratings_of_its_own_series() -> None:
    nodules = _rows(("a", 10.0, ""), ("b", 10.0, "")).drop(columns="ratings")
    ratings = _rows(("a", 10.6, "1,1"), ("a", 9.7, "4,5,1"), ("b", 10.9, "2"))

    labelled = label_nodules(nodules, ratings, RULE)

    assert labelled["ratings"].tolist() == ["4,5,1", "2"]
    assert labelled["num_readers"].tolist() == [3, 1]
    assert labelled["is_malignant"].tolist() == [True, False]


def test_nodule_without_a_row_within_a_millimetre_stays_unknown() -> None:
    nodules = _rows(("a", 10.0, ""), ("b", 10.0, "")).drop(columns="ratings")
    ratings = _rows(("a", 10.0 + SAME_NODULE_MM + 0.01, "5,5"), ("c", 10.0, "5,5"))

    labelled = label_nodules(nodules, ratings, RULE)

    assert labelled["ratings"].tolist() == ["", ""]
    assert labelled["num_readers"].tolist() == [0, 0]
    assert labelled["is_malignant"].isna().all()


def test_empty_ratings_are_no_verdict_of_benign() -> None:
    nodules = _rows(("a", 10.0, ""))

    labelled = label_nodules(nodules.drop(columns="ratings"), nodules, RULE)

    assert labelled["is_malignant"].isna().all()


def test_label_keeps_its_type_when_there_is_no_nodule_or_no_rating() -> None:
    nodules = _rows(("a", 10.0, "")).drop(columns="ratings")

    assert label_nodules(nodules, None, RULE)["is_malignant"].dtype == "boolean"
    assert (
        label_nodules(nodules[:0], _rows(("a", 1.0, "5")), RULE)["is_malignant"].dtype == "boolean"
    )
    assert "ratings" not in nodules


def test_where_ratings_come_from_stands_beside_them() -> None:
    nodules = _rows(("a", 10.0, ""), ("b", 10.0, ""), ("c", 1.0, "")).drop(columns="ratings")
    from_csv, from_lidc = _rows(("a", 10.0, "4,4")), _rows(("b", 10.0, "1,2"))

    plain = label_nodules(nodules, from_csv, RULE)
    own = label_nodules(nodules, from_lidc.assign(ratings_from="lidc", lidc_nodule=7), RULE)

    assert plain["ratings_from"].tolist() == ["csv", "", ""]
    assert plain["lidc_nodule"].tolist() == [-1, -1, -1]
    assert own["ratings_from"].tolist() == ["", "lidc", ""]
    assert own["lidc_nodule"].tolist() == [-1, 7, -1]


def test_nodule_the_rule_leaves_out_is_known_all_the_same() -> None:
    nodules = _rows(("a", 10.0, "2,4"))

    labelled = label_nodules(nodules, nodules, MeanRating())

    assert labelled["is_malignant"].isna().tolist() == [True]
    assert labelled["num_readers"].tolist() == [2]


@pytest.mark.parametrize(
    ("ratings", "share"),
    [
        pytest.param([4, 5], 2.5 / 3, id="two of two are no certainty"),
        pytest.param([4, 5, 4, 5], 4.5 / 5, id="four of four are more"),
        pytest.param([1, 2, 3], 0.5 / 4, id="none of three"),
        pytest.param([5, 1], 0.5, id="one of two"),
    ],
)
def test_expected_share_of_readers_who_call_it_suspicious(ratings: list[int], share: float) -> None:
    assert expected_suspicious(ratings) == pytest.approx(share)


def test_nobody_rated_so_nothing_is_expected() -> None:
    assert expected_suspicious([]) != expected_suspicious([])


@pytest.mark.parametrize(
    ("ratings", "flips"),
    [
        pytest.param([4, 2, 2], True, id="one more 4 makes it malignant"),
        pytest.param([1, 2, 3], False, id="one more alone cannot"),
        pytest.param([4, 4, 1], False, id="malignant stays malignant"),
        pytest.param([], False, id="nobody rated"),
    ],
)
def test_borderline_is_what_one_more_reader_could_flip(ratings: list[int], flips: bool) -> None:
    assert is_borderline(ratings, RULE) is flips


def test_being_left_out_is_a_label_that_one_more_reader_can_end() -> None:
    assert is_borderline([3, 3], MeanRating())
    assert not is_borderline([1, 1, 1, 1], MeanRating())
