# SPDX-License-Identifier: Apache-2.0
"""Which marks are one nodule: overlaps that can be counted by hand."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from lidc_messages import message, nodule, roi

from lung_pipeline.annotations.contours import PixelSet
from lung_pipeline.annotations.lidc import LidcMarks
from lung_pipeline.annotations.lidc_message import read_message
from lung_pipeline.annotations.reads import (
    READ_COLUMNS,
    group_reads,
    marked_twice,
    reads_table,
)


def _row_of(first: int, last: int, row: int = 5, z_mm: float = 0.0) -> PixelSet:
    """The pixels of a row from a column to another, both included."""
    columns = np.arange(first, last + 1)
    return PixelSet(np.full(len(columns), z_mm), np.full(len(columns), row), columns)


NOTHING = PixelSet(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))


def _table(*sessions: str) -> tuple[pd.DataFrame, list[str]]:
    found = read_message(message(*sessions).encode(), "a.xml")
    marks = LidcMarks({found.series_uid: found}, (), {}, {})
    table, losses = reads_table(marks)
    return table, [f"{loss.place}: {loss.reason}" for loss in losses]


def test_marks_that_share_pixels_are_one_nodule() -> None:
    assert group_reads([0, 1, 2], [_row_of(0, 4), _row_of(20, 24), _row_of(4, 8)]) == [0, 1, 0]
    assert group_reads([0, 1], [_row_of(4, 8), _row_of(0, 4)]) == [0, 0]


def test_marks_that_only_touch_stay_apart() -> None:
    assert group_reads([0, 1], [_row_of(0, 4), _row_of(5, 9)]) == [0, 1]
    assert group_reads([0, 1], [_row_of(0, 4), _row_of(0, 4, row=6)]) == [0, 1]
    assert group_reads([0, 1], [_row_of(0, 4), _row_of(0, 4, z_mm=1.0)]) == [0, 1]


def test_chain_of_three_readers_is_one_nodule() -> None:
    # Readers 0 and 2 share nothing but their neighbour.
    assert group_reads([0, 1, 2], [_row_of(0, 5), _row_of(4, 11), _row_of(10, 15)]) == [0, 0, 0]


def test_reader_who_marks_twice_is_split() -> None:
    # 8 of 10 pixels against 2 of 10: the greater share wins, the other stays a nodule.
    whole, large, small = _row_of(0, 9), _row_of(0, 7), _row_of(8, 9)
    assert group_reads([0, 1, 1], [whole, small, large]) == [0, 1, 0]


def test_it_is_the_share_that_counts_not_the_pixels() -> None:
    # 8 of 31 pixels against 5 of 10.
    assert group_reads([0, 1, 1], [_row_of(0, 9), _row_of(2, 30), _row_of(0, 4)]) == [0, 1, 0]


def test_chain_breaks_where_it_would_hold_a_reader_twice() -> None:
    # A-B shares 2 of 10, B-C 3 of 10; A and C are one reader's.
    marks = [_row_of(0, 5), _row_of(4, 9), _row_of(7, 10)]
    assert group_reads([0, 1, 0], marks) == [0, 1, 1]


def test_two_pairs_of_two_readers_stay_two_nodules() -> None:
    # Each pair shares 4 of 6; between the pairs there is 1 pixel that two readers share.
    marks = [_row_of(0, 4), _row_of(1, 5), _row_of(9, 5 + 8), _row_of(5, 12)]
    assert group_reads([0, 1, 0, 1], marks) == [0, 0, 1, 1]


def test_one_reader_s_overlapping_marks_stay_apart() -> None:
    assert group_reads([2, 2], [_row_of(0, 9), _row_of(0, 9)]) == [0, 1]


def test_mark_without_pixels_is_a_nodule_of_its_own() -> None:
    assert group_reads([0, 1, 2], [NOTHING, _row_of(0, 3), NOTHING]) == [0, 1, 2]
    assert group_reads([], []) == []


def test_table_has_a_row_for_each_mark_by_hand() -> None:
    first = nodule(roi(z=1), roi(z=2.5), name="A", ratings={"malignancy": 5, "texture": 2})
    second = nodule(roi([(5, 4), (9, 4), (9, 8), (5, 8)], z=1), name="B", ratings={})
    apart = nodule(roi([(40, 4), (44, 4), (44, 8), (40, 8)], z=1), name="C")
    table, losses = _table(first, apart + second)
    assert losses == []
    assert list(table) == list(READ_COLUMNS)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == READ_COLUMNS
    assert table["lidc_nodule"].tolist() == [0, 1, 0]
    assert table[["read", "reader", "name"]].to_numpy().tolist() == [
        [0, 0, "A"],
        [1, 1, "C"],
        [2, 1, "B"],
    ]
    assert table["malignancy"].tolist() == [5, 3, 0]
    assert table["texture"].tolist() == [2, 0, 0]
    assert table["num_pixels"].tolist() == [18, 9, 9]
    assert table[["column", "row", "z_mm"]].to_numpy().tolist() == [
        [6.0, 6.0, 1.75],
        [42.0, 6.0, 1.0],
        [7.0, 6.0, 1.0],
    ]
    assert table[["z_low_mm", "z_high_mm"]].to_numpy().tolist() == [[1, 2.5], [1, 1], [1, 1]]


def test_outlines_that_enclose_nothing_are_listed_and_keep_their_number() -> None:
    line, hole = nodule(roi([(1, 1), (9, 1)]), name="L"), nodule(roi(inclusion="FALSE"), name="H")
    table, losses = _table(line + nodule(roi()), hole + nodule(roi()))
    assert table["read"].tolist() == [1, 3]
    assert table["lidc_nodule"].tolist() == [0, 0]
    assert losses == [
        "series 1.2.3.4, reader 0, nodule L: its outlines enclose no pixel: left out",
        "series 1.2.3.4, reader 1, nodule H: its outlines enclose no pixel: left out",
    ]


def test_table_of_nothing_has_its_columns() -> None:
    table, losses = reads_table(LidcMarks({}, (), {}, {}))
    assert (len(table), list(table), losses) == (0, list(READ_COLUMNS), [])


def test_reader_in_a_nodule_twice_is_told() -> None:
    table, _ = _table(nodule(roi()), nodule(roi()))
    assert marked_twice(table) == []
    table["reader"] = 0
    assert marked_twice(table) == ["1.2.3.4: nodule 0 has two marks of reader 0"]


@pytest.mark.slow
def test_as_many_marks_as_a_message_may_have_are_grouped_in_seconds() -> None:
    """All upon each other: the worst that a file can ask for."""
    sessions = [nodule(roi(), roi(z=1)) * 125] * 4
    started = time.perf_counter()
    table, _ = _table(*sessions)
    assert time.perf_counter() - started < 15
    assert table["lidc_nodule"].nunique() == 125
    assert marked_twice(table) == []
