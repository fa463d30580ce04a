# SPDX-License-Identifier: Apache-2.0
"""Readers' ratings to a label: cases that can be worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lung_pipeline.annotations.malignancy import SAME_NODULE_MM, label_nodules, two_of_readers


@pytest.mark.parametrize(
    ("ratings", "malignant"),
    [
        pytest.param([4, 2, 4, 2], True, id="two of four gave 4"),
        pytest.param([5, 4], True, id="two of two"),
        pytest.param([1, 1, 4, 5], True, id="two suspicious are enough among benign ones"),
        pytest.param([5, 3, 3, 3], False, id="one alone is not enough"),
        pytest.param([5], False, id="a single reader cannot decide"),
        pytest.param([3, 3, 3, 3], False, id="undecided is not malignant"),
        pytest.param([], False, id="nobody rated"),
    ],
)
def test_nodule_is_malignant_when_two_readers_gave_4_or_5(
    ratings: list[int], malignant: bool
) -> None:
    assert two_of_readers(ratings) is malignant


def _rows(*rows: tuple[str, float, str]) -> pd.DataFrame:
    series, x_mm, ratings = zip(*rows, strict=True)
    return pd.DataFrame(
        {"series_uid": series, "x_mm": x_mm, "y_mm": 0.0, "z_mm": 0.0, "ratings": ratings}
    )


def test_nodule_takes_the_nearest_ratings_of_its_own_series() -> None:
    nodules = _rows(("a", 10.0, ""), ("b", 10.0, "")).drop(columns="ratings")
    ratings = _rows(("a", 10.6, "1,1"), ("a", 9.7, "4,5,1"), ("b", 10.9, "2"))

    labelled = label_nodules(nodules, ratings)

    assert labelled["ratings"].tolist() == ["4,5,1", "2"]
    assert labelled["num_readers"].tolist() == [3, 1]
    assert labelled["is_malignant"].tolist() == [True, False]


def test_nodule_without_a_row_within_a_millimetre_stays_unknown() -> None:
    nodules = _rows(("a", 10.0, ""), ("b", 10.0, "")).drop(columns="ratings")
    ratings = _rows(("a", 10.0 + SAME_NODULE_MM + 0.01, "5,5"), ("c", 10.0, "5,5"))

    labelled = label_nodules(nodules, ratings)

    assert labelled["ratings"].tolist() == ["", ""]
    assert labelled["num_readers"].tolist() == [0, 0]
    assert labelled["is_malignant"].isna().all()


def test_empty_ratings_are_no_verdict_of_benign() -> None:
    nodules = _rows(("a", 10.0, ""))

    labelled = label_nodules(nodules.drop(columns="ratings"), nodules)

    assert labelled["is_malignant"].isna().all()


def test_label_keeps_its_type_when_there_is_no_nodule_or_no_rating() -> None:
    nodules = _rows(("a", 10.0, "")).drop(columns="ratings")

    assert label_nodules(nodules, None)["is_malignant"].dtype == "boolean"
    assert label_nodules(nodules[:0], _rows(("a", 1.0, "5")))["is_malignant"].dtype == "boolean"
    assert "ratings" not in nodules
