# SPDX-License-Identifier: Apache-2.0
"""Findings as a table."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from lung_pipeline.diagnosis.findings import COLUMNS, Finding, findings_table

FINDING = Finding(
    series_uid="1.2",
    x_mm=1.0,
    y_mm=2.0,
    z_mm=3.0,
    index=4.0,
    row=5.0,
    column=6.0,
    diameter_mm=7.0,
    nodule_probability=0.5,
    malignancy_probability=0.25,
    volume_mm3=180.0,
    longest_axial_mm=8.0,
    mean_hu=-20.0,
    density="solid",
    lung_border_mm=9.0,
)


def test_columns_are_named_with_their_units_in_the_order_of_a_reader() -> None:
    place = ("series_uid", "x_mm", "y_mm", "z_mm", "index", "row", "column", "diameter_mm")
    sureness = ("nodule_probability", "malignancy_probability")
    of_mask = ("volume_mm3", "longest_axial_mm", "mean_hu", "density", "lung_border_mm")
    assert (*place, *sureness, *of_mask) == COLUMNS


def test_the_most_probable_nodule_stands_first_and_ties_keep_their_order() -> None:
    probabilities = [0.2, 0.9, 0.5, 0.9]
    findings = [
        replace(FINDING, x_mm=float(number), nodule_probability=probability)
        for number, probability in enumerate(probabilities)
    ]
    table = findings_table(findings)
    assert tuple(table.columns) == COLUMNS
    assert table["x_mm"].tolist() == [1.0, 3.0, 2.0, 0.0]
    assert list(table.index) == [0, 1, 2, 3]
    assert table.iloc[0].to_dict() == {
        "series_uid": "1.2",
        "x_mm": 1.0,
        "y_mm": 2.0,
        "z_mm": 3.0,
        "index": 4.0,
        "row": 5.0,
        "column": 6.0,
        "diameter_mm": 7.0,
        "nodule_probability": 0.9,
        "malignancy_probability": 0.25,
        "volume_mm3": 180.0,
        "longest_axial_mm": 8.0,
        "mean_hu": -20.0,
        "density": "solid",
        "lung_border_mm": 9.0,
    }


def test_no_malignancy_is_not_a_number() -> None:
    table = findings_table([replace(FINDING, malignancy_probability=None)])
    assert table["malignancy_probability"].dtype == "float64"
    assert table["malignancy_probability"].isna().all()


def test_a_table_without_findings_has_the_same_columns_and_types() -> None:
    empty = findings_table([])
    assert len(empty) == 0
    pd.testing.assert_series_equal(empty.dtypes, findings_table([FINDING]).dtypes)
