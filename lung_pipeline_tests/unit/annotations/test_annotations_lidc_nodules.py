# SPDX-License-Identifier: Apache-2.0
"""Readers' nodules beside LUNA16's annotations: small tables worked out by hand.

One pixel is one millimetre, column 0 and row 0 lie at 0, so a centroid is its own place.
"""

from __future__ import annotations

import pandas as pd
import pytest

from lung_pipeline.annotations.lidc_nodules import (
    BY_SLICE,
    NOT_MATCHED,
    match_nodules,
    nodules_table,
)
from lung_pipeline.annotations.pixel_frame import FROM_EXCLUDED, FittedFrame
from lung_pipeline.annotations.ratings import gather_ratings

FRAMES = {"a": FittedFrame(0.0, 0.0, 1.0), "b": FittedFrame(0.0, 0.0, 1.0)}

Read = tuple[str, int, int, int, float, float, float]


def _reads(*rows: Read) -> pd.DataFrame:
    """series, nodule, reader, malignancy, column, row, z; outlines reach 2 mm up and down."""
    columns = ["series_uid", "lidc_nodule", "reader", "malignancy", "column", "row", "z_mm"]
    table = pd.DataFrame(rows, columns=columns)
    reach = {"z_low_mm": table["z_mm"] - 2.0, "z_high_mm": table["z_mm"] + 2.0}
    return table.assign(read=range(len(table)), **reach)


def _three(series: str, nodule: int, x: float, y: float, z: float, given: str) -> list[Read]:
    return [(series, nodule, k, int(rating), x, y, z) for k, rating in enumerate(given)]


def _annotations(*rows: tuple[str, float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"])


def test_nodule_lies_at_the_mean_of_its_readers_centroids() -> None:
    reads = _reads(("a", 0, 1, 5, 10.0, 20.0, 30.0), ("a", 0, 0, 0, 12.0, 20.0, 33.0))
    (nodule,) = nodules_table(reads, FRAMES).itertuples()
    assert (nodule.x_mm, nodule.y_mm, nodule.z_mm) == (11.0, 20.0, 31.5)
    assert (nodule.z_low_mm, nodule.z_high_mm) == (28.0, 35.0)
    assert (nodule.num_reads, nodule.ratings) == (2, "5")


def test_ratings_stand_in_the_order_of_the_readers() -> None:
    rows = _three("a", 0, 1.0, 1.0, 1.0, "1234")
    assert nodules_table(_reads(*rows[::-1]), FRAMES)["ratings"].tolist() == ["1,2,3,4"]


def _matched(annotations: pd.DataFrame, reads: pd.DataFrame, frames: dict = FRAMES) -> pd.DataFrame:
    return match_nodules(annotations, nodules_table(reads, frames), frames)


def test_annotation_takes_the_nearest_nodule_within_its_radius() -> None:
    reads = _reads(*_three("a", 0, 10, 10, 10, "111"), *_three("a", 1, 13, 10, 10, "555"))
    found = _matched(_annotations(("a", 12.0, 10.0, 10.0, 8.0)), reads)
    assert found["lidc_nodule"].tolist() == [1]
    assert found["ratings"].tolist() == ["5,5,5"]
    assert found["distance_mm"].tolist() == [1.0]
    assert found["matched_by"].tolist() == [FROM_EXCLUDED]


@pytest.mark.parametrize(("diameter_mm", "nodule"), [(4.0, 0), (3.9, -1)])
def test_radius_is_the_border_and_belongs_to_it(diameter_mm: float, nodule: int) -> None:
    reads = _reads(*_three("a", 0, 10, 10, 10, "345"))
    found = _matched(_annotations(("a", 12.0, 10.0, 10.0, diameter_mm)), reads)
    assert found["lidc_nodule"].tolist() == [nodule]
    assert (found["matched_by"] == NOT_MATCHED).tolist() == [nodule < 0]


def test_large_neighbour_does_not_lend_its_radius_to_a_small_annotation() -> None:
    reads = _reads(*_three("a", 0, 10, 10, 10, "345"))
    rows = _annotations(("a", 15.0, 10.0, 10.0, 4.0), ("a", 12.0, 10.0, 10.0, 30.0))
    assert _matched(rows, reads)["lidc_nodule"].tolist() == [-1, 0]


def test_second_mark_of_one_reader_does_not_win_by_being_nearer() -> None:
    alone: Read = ("a", 1, 0, 5, 12.0, 10.0, 10.0)
    reads = _reads(*_three("a", 0, 10, 10, 10, "233"), alone)
    found = _matched(_annotations(("a", 12.0, 10.0, 10.0, 8.0)), reads)
    assert found["ratings"].tolist() == ["2,3,3"]


def test_nodule_of_few_readers_is_taken_where_there_is_no_other() -> None:
    found = _matched(
        _annotations(("a", 12.0, 10.0, 10.0, 8.0)), _reads(("a", 0, 0, 5, 12.0, 10.0, 10.0))
    )
    assert found["ratings"].tolist() == ["5"]


def test_nodules_of_other_series_are_never_taken() -> None:
    reads = _reads(*_three("b", 0, 10, 10, 10, "345"))
    found = _matched(_annotations(("a", 10.0, 10.0, 10.0, 8.0)), reads)
    assert found["lidc_nodule"].tolist() == [-1]


def test_without_a_frame_the_only_nodule_at_that_height_is_taken() -> None:
    reads = _reads(*_three("c", 0, 10, 10, 10, "345"), *_three("c", 1, 10, 10, 40, "111"))
    found = _matched(_annotations(("c", -99.0, 7.0, 12.5, 5.0)), reads)
    assert found["ratings"].tolist() == ["3,4,5"]
    assert found["matched_by"].tolist() == [BY_SLICE]
    assert found["distance_mm"].isna().all()


@pytest.mark.parametrize(
    ("z_mm", "nodule"),
    [
        pytest.param(13.5, 0, id="a slice's half above the outermost outline"),
        pytest.param(13.6, -1, id="higher than that"),
    ],
)
def test_height_has_a_margin(z_mm: float, nodule: int) -> None:
    reads = _reads(*_three("c", 0, 10, 10, 10, "345"))
    found = _matched(_annotations(("c", 0.0, 0.0, z_mm, 5.0)), reads)
    assert found["lidc_nodule"].tolist() == [nodule]


def test_without_a_frame_two_nodules_at_one_height_are_not_guessed_between() -> None:
    reads = _reads(*_three("c", 0, 10, 10, 10, "345"), *_three("c", 1, 90, 10, 11, "111"))
    found = _matched(_annotations(("c", 10.0, 10.0, 10.0, 5.0)), reads)
    assert found["lidc_nodule"].tolist() == [-1]


def test_without_a_frame_nodules_of_two_readers_are_not_in_question() -> None:
    two = _three("c", 1, 90, 10, 11, "11")
    reads = _reads(*_three("c", 0, 10, 10, 10, "345"), *two)
    found = _matched(_annotations(("c", 10.0, 10.0, 10.0, 5.0)), reads)
    assert found["lidc_nodule"].tolist() == [0]


def test_where_nobody_marked_anything_nothing_is_matched() -> None:
    found = _matched(_annotations(("a", 1.0, 1.0, 1.0, 5.0)), _reads())
    assert found[["lidc_nodule", "ratings", "matched_by"]].to_numpy().tolist() == [[-1, "", ""]]


def test_table_of_ratings_serves_where_the_readers_marks_do_not() -> None:
    rows = _annotations(("a", 10.0, 10.0, 10.0, 8.0), ("b", 1.0, 1.0, 1.0, 8.0))
    csv = rows.assign(ratings=["1,1,1", "5,5"])
    reads = _reads(*_three("a", 0, 10, 10, 10, "345"))
    rated = gather_ratings(rows, reads, FRAMES, csv)
    assert rated["ratings"].tolist() == ["3,4,5", "5,5"]
    assert rated["ratings_from"].tolist() == ["lidc", "csv"]
    assert gather_ratings(rows, reads, FRAMES, None)["ratings"].tolist() == ["3,4,5", ""]
