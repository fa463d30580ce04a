# SPDX-License-Identifier: Apache-2.0
"""What readers said of a nodule becomes five numbers; what nobody said stays unknown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lung_pipeline.annotations.characteristics import LEARNED, described
from lung_pipeline.annotations.malignancy import NO_CONTOURS

_SAID = ["spiculation", "lobulation", "texture", "calcification"]


def _reads(*rows: tuple[str, int, int, int, int, int]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["series_uid", "lidc_nodule", *_SAID])


def _index(*rows: tuple[str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["series_uid", "lidc_nodule", "diameter_mm"])


def test_the_mean_of_the_readers_and_the_share_who_saw_calcification() -> None:
    reads = _reads(("1.2", 0, 5, 1, 5, 6), ("1.2", 0, 4, 2, 4, 3), ("1.2", 1, 1, 1, 1, 6))
    table = described(_index(("1.2", 0, 8.0)), reads)
    assert list(table) == list(LEARNED)
    # 8 mm is 2 to the third; one of two saw calcification of any kind.
    assert table.iloc[0].tolist() == [3.0, 4.5, 1.5, 4.5, 0.5]


def test_a_characteristic_a_reader_left_out_does_not_count() -> None:
    reads = _reads(("1.2", 0, 0, 3, 5, 0), ("1.2", 0, 4, 3, 0, 6))
    assert described(_index(("1.2", 0, 4.0)), reads).iloc[0].tolist() == [2.0, 4.0, 3.0, 5.0, 0.0]
    nobody = described(_index(("1.2", 0, 4.0)), _reads(("1.2", 0, 0, 0, 0, 0)))
    np.testing.assert_array_equal(nobody.iloc[0], [2.0, np.nan, np.nan, np.nan, np.nan])


def test_rows_stay_in_place_and_what_has_no_marks_is_unknown() -> None:
    reads = _reads(("1.3", 0, 2, 2, 2, 2), ("1.2", 0, 1, 1, 1, 6))
    index = _index(
        ("1.2", NO_CONTOURS, float("nan")),  # no nodule
        ("1.3", 0, 16.0),
        ("1.2", NO_CONTOURS, 4.0),  # a nodule without marks: its size is known all the same
        ("1.2", 0, 32.0),
        ("1.4", 0, 2.0),  # another series' nodule of that number
    )
    table = described(index, reads)
    assert table["spiculation"].fillna(-1).tolist() == [-1, 2, -1, 1, -1]
    assert table["log2_diameter"].fillna(-1).tolist() == [-1, 4, 2, 5, 1]


def test_without_any_reads_only_sizes_are_known() -> None:
    empty = _reads().astype(dict.fromkeys([*_SAID, "lidc_nodule"], "int64"))
    table = described(_index(("1.2", NO_CONTOURS, 8.0)), empty.astype({"series_uid": "str"}))
    assert table["log2_diameter"].tolist() == [3.0]
    assert table.drop(columns="log2_diameter").isna().all(axis=None)
