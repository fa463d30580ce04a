# SPDX-License-Identifier: Apache-2.0
"""LUNA16's and LIDC-IDRI's csv tables, checked and with the names of the house.

Each reader gives a pandas DataFrame in the order of the file. Points are the centres in patient
space (LPS, mm), as the columns ``x_mm``, ``y_mm``, ``z_mm``. All raise ``AnnotationError`` with
file, line, rule and cure.

Belongs here: what stands in a table of marks. Does not belong here: which marks become training
samples (``candidates.py``) and what a rating means (``malignancy.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.csv_table import read_columns, refuse_rows
from lung_pipeline.errors import AnnotationError

if TYPE_CHECKING:
    import pandas as pd

ANNOTATIONS_FILE = "annotations.csv"
"""The reference nodules: at least 3 mm, marked by at least three of four readers."""

EXCLUDED_FILE = "annotations_excluded.csv"
"""Findings that count neither as hit nor as false positive."""

RATINGS_FILE = "annotations_with_malignancy.csv"
"""The nodules with their readers' ratings, as published with "Deep Learning with PyTorch"."""

PATIENTS_FILE = "LIDC-IDRI_MetaData.csv"
"""Series to patient, as TCIA hands it out."""

CANDIDATES_FILES = ("candidates.csv", "candidates_V2.csv")
"""The candidates of LUNA16's two releases; the first that is there is taken."""

EXCLUDED_DIAMETER_MM = 10.0
"""The diameter of an excluded finding whose own is -1 (unknown), in LUNA16's evaluation script.

``read_excluded`` leaves the -1; the evaluation puts this in its place.
"""

FARTHEST_MM = 10_000.0
"""A coordinate beyond is no place in a patient: LUNA16's lie within 2,000 mm."""

LARGEST_MM = 1_000.0
"""A diameter beyond is no finding in a patient: LUNA16's largest is 38 mm."""

_SERIES = {"seriesuid": "series_uid"}
_POINT = {"coordX": "x_mm", "coordY": "y_mm", "coordZ": "z_mm"}
_DIAMETER = {"diameter_mm": "diameter_mm"}
_PLACE = [*_SERIES.values(), *_POINT.values()]
_LIMITS_MM = {**dict.fromkeys(_POINT.values(), FARTHEST_MM), "diameter_mm": LARGEST_MM}
_RATINGS = re.compile(r"\[\s*+([1-5](\s*+,\s*+[1-5])*+)?+\s*+\]")
"""Possessive (``*+``): without, a cell of 400,000 spaces is tried 80,000,000,000 times."""


def read_annotations(path: Path) -> pd.DataFrame:
    """The reference nodules: series_uid, x_mm, y_mm, z_mm, diameter_mm; one row each."""
    table = _read_marks(path, _SERIES, _DIAMETER)
    _refuse_empty(path, table)
    _refuse_flat(path, table)
    _refuse_twice(path, table)
    return table


def read_candidates(path: Path) -> pd.DataFrame:
    """The candidates: series_uid, x_mm, y_mm, z_mm, is_nodule (bool, class 1)."""
    table = _read_marks(path, _SERIES, {"class": "is_nodule"})
    _refuse_empty(path, table)
    classes = table["is_nodule"]
    unknown = ~classes.isin([0, 1]).to_numpy()
    refuse_rows(path, unknown, classes, "'class' must be 0 or 1", "Write 1 for a nodule, else 0.")
    return table.assign(is_nodule=classes == 1)


def read_excluded(path: Path) -> pd.DataFrame:
    """The excluded findings: series_uid, x_mm, y_mm, z_mm, diameter_mm; -1 where unknown.

    The same finding may stand in several rows, one a reader. A header without rows is fine here:
    it means that nothing is excluded.
    """
    return _read_marks(path, _SERIES, _DIAMETER)


def read_ratings(path: Path) -> pd.DataFrame:
    """The rated nodules: series_uid, x_mm, y_mm, z_mm, diameter_mm, ratings.

    ``ratings`` are the readers' malignancies, 1 to 5, as "4,2,4,2"; "" where the file has "[]".
    """
    texts = _SERIES | {"mal_details": "ratings"}
    table = _read_marks(path, texts, _DIAMETER)
    _refuse_empty(path, table)
    _refuse_flat(path, table)
    _refuse_twice(path, table)
    unread = [not _RATINGS.fullmatch(cell) for cell in table["ratings"]]
    refuse_rows(
        path,
        np.asarray(unread, dtype=np.bool_),
        table["ratings"],
        "'mal_details' must be a list of ratings from 1 to 5",
        'Write it as "[4, 2, 4, 2]", one number for each reader who rated.',
    )
    joined = [",".join(re.findall("[1-5]", cell)) for cell in table["ratings"]]
    return table.assign(ratings=joined)[[*_PLACE, "diameter_mm", "ratings"]]


def read_patients(path: Path) -> pd.DataFrame:
    """The patient of each CT series: series_uid, patient_id; other modalities are left out."""
    names = {"Series UID": "series_uid", "Patient Id": "patient_id", "Modality": "modality"}
    table = read_columns(path, texts=names, numbers={})
    is_ct = (table["modality"] == "CT").to_numpy(dtype=bool)
    first = table[is_ct].drop_duplicates("series_uid").set_index("series_uid")["patient_id"]
    other = is_ct & (table["series_uid"].map(first) != table["patient_id"]).to_numpy(dtype=bool)
    cure = "Correct the row that is wrong: a patient must not stand in two parts."
    refuse_rows(path, other, table["series_uid"], "a series must belong to one patient", cure)
    _refuse_empty(path, first.to_frame())
    return first.reset_index()


def candidates_file(raw: Path) -> Path:
    """The table of candidates in the folder of the raw data.

    Raises:
        AnnotationError: there is none of ``CANDIDATES_FILES``.
    """
    for name in CANDIDATES_FILES:
        if (raw / name).is_file():
            return raw / name
    raise AnnotationError(
        value="neither",
        place=raw,
        rule=f"there must be a {' or a '.join(CANDIDATES_FILES)}",
        cure="Fetch one of them from LUNA16 and put it beside the subsets.",
    )


def _read_marks(path: Path, texts: Mapping[str, str], others: Mapping[str, str]) -> pd.DataFrame:
    """The columns of a table of marks, after a look whether each can lie in a patient."""
    numbers = {**_POINT, **others}
    table = read_columns(path, texts=texts, numbers=numbers)
    for name, column in numbers.items():
        found, limit_mm = table[column], _LIMITS_MM.get(column, np.inf)
        far = (found.abs() > limit_mm).to_numpy(dtype=bool)
        rule = f"'{name}' must be at most {limit_mm:,.0f} mm from 0"
        refuse_rows(path, far, found, rule, "Look for a lost decimal point, or another unit.")
    return table


def _refuse_empty(path: Path, table: pd.DataFrame) -> None:
    if table.empty:
        raise AnnotationError(
            value="no row",
            place=path,
            rule="the table must have rows",
            cure="Fetch the file again: a header alone is what a broken copy leaves.",
        )


def _refuse_flat(path: Path, table: pd.DataFrame) -> None:
    diameter = table["diameter_mm"]
    cure = "Only annotations_excluded.csv may have -1; give the diameter or remove the row."
    flat = (diameter <= 0).to_numpy(dtype=bool)
    refuse_rows(path, flat, diameter, "'diameter_mm' must be positive", cure)


def _refuse_twice(path: Path, table: pd.DataFrame) -> None:
    twice = table.duplicated(_PLACE).to_numpy(dtype=bool)
    cure = "Remove the second row: a nodule counted twice spoils every score."
    refuse_rows(path, twice, table["series_uid"], "a nodule must stand in one row", cure)
