# SPDX-License-Identifier: Apache-2.0
"""Step 1 over one LUNA subset: the table of its candidates, from the csv files below ``raw``.

Belongs here: which files are read and where the table goes. Does not belong here: what a candidate
is. The annotation files are the whole set's; the table, and so its fingerprint, is the subset's
alone: a new subset leaves the others' tables as they are.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.candidates import CandidateTable, build_candidates
from lung_pipeline.annotations.malignancy import TWO_OF_READERS
from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.ct.subset import series_with_volume
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table, write_table

CANDIDATES, SERIES = "candidates", "series"
"""The two tables of a subset: its candidates, and each of its series with patient and part."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def make_candidates(home: Home, subset: str, split: SplitRule) -> tuple[CandidateTable, str]:
    """Build and write the candidates of a subset; returns them with their fingerprint.

    Ratings and the table of patients are used where they are there.

    Raises:
        AnnotationError: annotations.csv or the candidates are absent or cannot be understood.
    """
    raw = home.raw
    ratings, patients = raw / luna.RATINGS_FILE, raw / luna.PATIENTS_FILE
    made = build_candidates(
        subset=subset,
        series_uids=series_with_volume(home, subset),
        annotations=luna.read_annotations(raw / luna.ANNOTATIONS_FILE),
        candidates=luna.read_candidates(luna.candidates_file(raw)),
        ratings=luna.read_ratings(ratings) if ratings.is_file() else None,
        patients=luna.read_patients(patients) if patients.is_file() else None,
        split=split,
    )
    origin = {"stage": CANDIDATES, "split": split.as_json(), "malignancy_rule": TWO_OF_READERS}
    write_table(made.series, home.manifest(SERIES, subset), origin)
    return made, write_table(made.table, home.manifest(CANDIDATES, subset), origin)


def read_candidates_of(home: Home, subsets: Sequence[str]) -> pd.DataFrame:
    """The candidates of some subsets in one table; ``StoreError`` where one is missing."""
    return _read_all(home, CANDIDATES, subsets)


def read_series_of(home: Home, subsets: Sequence[str]) -> pd.DataFrame:
    """Every series of some subsets: subset, series_uid, patient_id, part."""
    return _read_all(home, SERIES, subsets)


def candidates_fingerprint(home: Home, subsets: Sequence[str]) -> str:
    """Sixteen hex digits over the candidates of some subsets: what a model learned from."""
    digest = hashlib.sha256()
    for subset in sorted(subsets):
        path = home.manifest(CANDIDATES, subset)
        digest.update(f"{subset}:{fingerprint(read_table(path), read_origin(path))};".encode())
    return digest.hexdigest()[:16]


def _read_all(home: Home, stage: str, subsets: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    tables = [read_table(home.manifest(stage, subset)).assign(subset=subset) for subset in subsets]
    return pd.concat(tables, ignore_index=True)
