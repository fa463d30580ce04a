# SPDX-License-Identifier: Apache-2.0
"""Cells that a spreadsheet would run."""

from __future__ import annotations

import pandas as pd
import pytest

from lung_pipeline.annotations.csv_formulas import without_formulas


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_begins_as_a_formula_is_text(text: str) -> None:
    made = without_formulas(pd.DataFrame({"series_uid": [text, "1.2.3"], "x_mm": [-1.5, 2.0]}))
    assert made["series_uid"].tolist() == [f"'{text}", "1.2.3"]
    assert made["x_mm"].tolist() == [-1.5, 2.0]


def test_table_is_the_same_where_no_cell_begins_so() -> None:
    table = pd.DataFrame({"a": ["1-1", None, "a=b"], "b": [1, -2, 3], "c": [None, -1.0, 2]})
    pd.testing.assert_frame_equal(without_formulas(table), table)
