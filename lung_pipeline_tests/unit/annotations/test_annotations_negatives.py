# SPDX-License-Identifier: Apache-2.0
"""Which candidates are negatives, on a line of candidates that can be measured by eye."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations.negatives import choose_negatives

NOWHERE = pd.DataFrame(
    {"series_uid": ["a"], "x_mm": [900.0], "y_mm": [0.0], "z_mm": [0.0], "diameter_mm": [4.0]}
)


def _candidates(*points: tuple[float, float, float], series: str = "a") -> pd.DataFrame:
    table = pd.DataFrame(list(points), columns=["x_mm", "y_mm", "z_mm"], dtype="float64")
    return table.assign(series_uid=series, is_nodule=False)


def _along_x(*x_mm: float, series: str = "a") -> pd.DataFrame:
    return _candidates(*((x, 0.0, 0.0) for x in x_mm), series=series)


def _finding(x_mm: float, diameter_mm: float, series: str = "a") -> pd.DataFrame:
    return NOWHERE.assign(x_mm=x_mm, diameter_mm=diameter_mm, series_uid=series)


def test_excluded_finding_takes_what_lies_in_it_border_included() -> None:
    at = _along_x(0, 3, 3.01, -3.01)

    kept, counts = choose_negatives(at, NOWHERE, _finding(0, diameter_mm=6))

    assert kept["x_mm"].tolist() == [-3.01, 3.01]
    assert counts["negatives_on_excluded"] == 2


def test_excluded_finding_of_unknown_diameter_is_ten_millimetres_wide() -> None:
    at = _along_x(5, 5.01)

    kept, counts = choose_negatives(at, NOWHERE, _finding(0, diameter_mm=-1))

    assert kept["x_mm"].tolist() == [5.01]
    assert counts["negatives_on_excluded"] == 1


def test_excluded_finding_of_another_series_takes_nothing() -> None:
    _, counts = choose_negatives(_along_x(0), NOWHERE, _finding(0, 6, series="b"))

    assert counts["negatives_on_excluded"] == 0


def test_candidate_in_a_nodule_and_on_an_excluded_finding_counts_once_for_the_nodule() -> None:
    kept, counts = choose_negatives(_along_x(0), _finding(0, 6), _finding(1, 6))

    assert kept.empty
    assert (counts["negatives_inside_nodules"], counts["negatives_on_excluded"]) == (1, 0)


@pytest.mark.parametrize(
    ("x_mm", "kept_x_mm"),
    [
        pytest.param([0, 1], [0], id="exactly a millimetre"),
        pytest.param([0, 1.001], [0, 1.001], id="a little more"),
        pytest.param([0, 0.8, 1.6, 2.4], [0], id="a chain longer than its steps"),
        pytest.param([0, 0.8, 1.6, 3, 3.5], [0, 3], id="two clusters"),
        pytest.param([2, 2, 2], [2], id="one place thrice"),
        pytest.param([-0.0, 0.0], [0], id="zero from either side"),
    ],
)
def test_near_duplicates_are_merged(x_mm: list[float], kept_x_mm: list[float]) -> None:
    for order in (x_mm, x_mm[::-1]):
        kept, counts = choose_negatives(_along_x(*order), NOWHERE, None)

        assert kept["x_mm"].tolist() == kept_x_mm
        assert counts["near_duplicates_merged"] == len(x_mm) - len(kept_x_mm)


def test_first_by_z_then_y_then_x_stays() -> None:
    near = _candidates((0.0, 0.0, 0.5), (0.0, 0.5, 0.0), (0.5, 0.1, 0.0), (0.4, 0.1, 0.0))

    kept, _ = choose_negatives(near, NOWHERE, None)

    assert kept[["x_mm", "y_mm", "z_mm"]].to_numpy().tolist() == [[0.4, 0.1, 0.0]]


def test_same_place_in_two_series_is_two_negatives() -> None:
    both = pd.concat([_along_x(0), _along_x(0, series="b")])

    kept, counts = choose_negatives(both, NOWHERE, None)

    assert sorted(kept["series_uid"]) == ["a", "b"]
    assert counts["near_duplicates_merged"] == 0


def test_candidate_left_out_does_not_join_its_neighbours() -> None:
    # 0 and 1.6 are joined by 0.8 alone, and that one lies on an excluded finding.
    kept, counts = choose_negatives(_along_x(0, 0.8, 1.6), NOWHERE, _finding(0.8, 1.0))

    assert kept["x_mm"].tolist() == [0, 1.6]
    assert (counts["negatives_on_excluded"], counts["near_duplicates_merged"]) == (1, 0)


def test_thousands_of_marks_in_one_place_cost_no_pairs() -> None:
    at, started = _along_x(*np.zeros(15_000)), time.process_time()

    kept, counts = choose_negatives(at, NOWHERE, None)

    assert (len(kept), counts["near_duplicates_merged"]) == (1, 14_999)
    # 112 million pairs would take several seconds.
    assert time.process_time() - started < 1


def test_without_candidates_nothing_is_chosen() -> None:
    kept, counts = choose_negatives(_along_x(), NOWHERE, _finding(0, 6))

    assert kept.empty
    assert set(counts.values()) == {0}
