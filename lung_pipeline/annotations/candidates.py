# SPDX-License-Identifier: Apache-2.0
"""The table of candidates: all that the classifiers learn from and are judged on.

Positives are the annotated nodules themselves, one row each. The rows of class 1 in LUNA16's
candidates are not used: they are a detector's guesses at the same nodules, several to one nodule,
none to another, and 323 of the 1,351 fit no annotation well enough to be given a diameter.

Negatives are the candidates of class 0, except those that lie in an annotated nodule: a crop of a
nodule must not be taught as "no nodule".

Belongs here: which marks become candidates. Does not belong here: files and voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lung_pipeline.annotations.malignancy import label_nodules
from lung_pipeline.annotations.neighbours import inside_any
from lung_pipeline.annotations.splits import PARTS, SplitRule

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "candidate_id": "str",
    "subset": "str",
    "series_uid": "str",
    "patient_id": "str",
    "part": "str",
    "is_nodule": "bool",
    "x_mm": "float64",
    "y_mm": "float64",
    "z_mm": "float64",
    "diameter_mm": "float64",
    "is_malignant": "boolean",
    "num_readers": "int64",
    "ratings": "str",
}
"""The columns of the table, in order, and their pandas types.

``candidate_id`` is the series and the row's number in it. ``diameter_mm`` is NaN for a negative.
``is_malignant`` is NA for a negative and where no reader rated. Points are in LPS.
"""


@dataclass(frozen=True, slots=True)
class CandidateTable:
    """The candidates of one subset, and where every row of the sources went."""

    table: pd.DataFrame
    """The columns of ``COLUMNS``; by series, nodules first, then from feet to head."""

    series: pd.DataFrame
    """Every scan on disk, with a candidate or without: series_uid, patient_id, part; sorted."""

    counts: dict[str, int]
    """What is in the table, for each part too, and what was left out and why."""


def build_candidates(
    *,
    subset: str,
    series_uids: Sequence[str],
    annotations: pd.DataFrame,
    candidates: pd.DataFrame,
    ratings: pd.DataFrame | None,
    patients: pd.DataFrame | None,
    split: SplitRule,
) -> CandidateTable:
    """Gather the candidates of the scans on disk; rows of other scans are counted, not used.

    The result does not depend on the order of any input.

    Args:
        subset: the subset's name.
        series_uids: the series of the subset that are on disk.
        annotations: ``luna.read_annotations``, of as many subsets as there are.
        candidates: ``luna.read_candidates``, likewise.
        ratings: ``luna.read_ratings``; None where there are none.
        patients: ``luna.read_patients``; a series that is not in it is its own patient.
        split: the rule that gives each patient a part.
    """
    scans = _scans(series_uids, patients, split)
    nodules = _of_scans(annotations, scans)
    present = _of_scans(candidates, scans)
    outside_class_1 = present[~present["is_nodule"]]
    inside = inside_any(outside_class_1, nodules, nodules["diameter_mm"].to_numpy() / 2)
    table = _arranged(label_nodules(nodules, ratings), outside_class_1[~inside], scans, subset)
    left_out = {
        "negatives_inside_nodules": int(inside.sum()),
        "candidates_of_class_1": len(present) - len(outside_class_1),
        "annotations_of_absent_series": len(annotations) - len(nodules),
        "candidates_of_absent_series": len(candidates) - len(present),
    }
    return CandidateTable(table, scans, {**_counts(table, scans), **left_out})


def _scans(
    series_uids: Sequence[str], patients: pd.DataFrame | None, split: SplitRule
) -> pd.DataFrame:
    """One row a series on disk: series_uid, patient_id, part; sorted."""
    import pandas as pd

    series = sorted(set(series_uids))
    known = {} if patients is None else dict(patients[["series_uid", "patient_id"]].to_numpy())
    patient_ids = [known.get(uid, uid) for uid in series]
    parts = [split.part_of(patient) for patient in patient_ids]
    columns = {"series_uid": series, "patient_id": patient_ids, "part": parts}
    return pd.DataFrame(columns, dtype="str")


def _of_scans(table: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    return table[table["series_uid"].isin(scans["series_uid"])]


def _arranged(
    nodules: pd.DataFrame, negatives: pd.DataFrame, scans: pd.DataFrame, subset: str
) -> pd.DataFrame:
    """Both kinds in one table, in ``COLUMNS``' order and types, sorted and numbered."""
    import pandas as pd

    unrated = label_nodules(negatives.assign(diameter_mm=float("nan")), None)
    both = pd.concat([nodules.assign(is_nodule=True), unrated.assign(is_nodule=False)])
    order = ["series_uid", "is_nodule", "z_mm", "y_mm", "x_mm", "diameter_mm"]
    rows = both.sort_values(order, ascending=[True, False, True, True, True, True])
    rows = rows.merge(scans, on="series_uid", how="left", validate="many_to_one")
    number = rows.groupby("series_uid").cumcount().astype("str")
    rows = rows.assign(subset=subset, candidate_id=rows["series_uid"] + ":" + number)
    return rows[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)


def _counts(table: pd.DataFrame, scans: pd.DataFrame) -> dict[str, int]:
    counts = _counts_of(table, scans)
    for part in PARTS:
        of_part = _counts_of(table[table["part"] == part], scans[scans["part"] == part])
        counts |= {f"{part}_{name}": number for name, number in of_part.items()}
    return counts


def _counts_of(table: pd.DataFrame, scans: pd.DataFrame) -> dict[str, int]:
    malignant = table.loc[table["is_nodule"], "is_malignant"]
    return {
        "series": len(scans),
        "patients": int(scans["patient_id"].nunique()),
        "nodules": len(malignant),
        "malignant": int(malignant.sum()),
        "benign": int((~malignant).sum()),
        "unrated": int(malignant.isna().sum()),
        "negatives": len(table) - len(malignant),
    }
