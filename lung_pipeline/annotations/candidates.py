# SPDX-License-Identifier: Apache-2.0
"""The table of candidates: all that the classifiers learn from and are judged on.

Positives are the annotated nodules themselves, one row each. The rows of class 1 in LUNA16's
candidates are not used: they are a detector's guesses at the same nodules, several to one nodule,
none to another, and 323 of the 1,351 fit no annotation well enough to be given a diameter.

Negatives are candidates of class 0; ``negatives.py`` says which.

Series are categories while the table is made (LUNA16 has 551,065 candidates, or 754,975 in its
second release, in 888 series): to sort and to move numbers is ten times as fast as to move names.

Belongs here: which marks become candidates, and the table. Does not belong here: files and voxels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.malignancy import NO_CONTOURS, label_nodules
from lung_pipeline.annotations.negatives import choose_negatives
from lung_pipeline.annotations.rules import MalignancyRule
from lung_pipeline.annotations.splits import PARTS, Split

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
    "expected_suspicious": "float64",
    "is_borderline": "bool",
    "ratings_from": "str",
    "lidc_nodule": "int64",
}
"""The columns of the table, in order, and their pandas types.

``candidate_id`` is the series and the row's number in it. ``diameter_mm`` is NaN for a negative.
``is_malignant`` is NA for a negative, where no reader rated and where the rule leaves the nodule
out. ``malignancy.label_nodules`` says what the columns from there on mean. Points are in LPS.
"""

_NEGATIVE = {
    "is_nodule": False,
    "diameter_mm": float("nan"),
    "is_malignant": None,
    "num_readers": 0,
    "ratings": "",
    "expected_suspicious": float("nan"),
    "is_borderline": False,
    "ratings_from": "",
    "lidc_nodule": NO_CONTOURS,
}
"""What stands in a negative's row where a nodule's has the readers' word."""

_PLACE = ["series_uid", "z_mm", "y_mm", "x_mm"]


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
    excluded: pd.DataFrame | None,
    ratings: pd.DataFrame | None,
    patients: pd.DataFrame | None,
    split: Split,
    rule: MalignancyRule,
    subsets_of_patient: Mapping[str, Collection[str]] | None = None,
) -> CandidateTable:
    """Gather the candidates of the scans on disk; rows of other scans are counted, not used.

    The result does not depend on the order of any input.

    Args:
        subset: the subset's name.
        series_uids: the series of the subset that are on disk.
        annotations: ``luna.read_annotations``, of as many subsets as there are.
        candidates: ``luna.read_candidates``, likewise.
        excluded: ``luna.read_excluded``, likewise; None where there are none.
        ratings: what ``malignancy.label_nodules`` takes; None where there are none.
        patients: ``luna.read_patients``; a series that is not in it is its own patient.
        split: the rule that gives each patient a part.
        rule: the rule that makes labels of ratings.
        subsets_of_patient: every subset in which a patient has series; a patient who is not in it
            has them in this subset alone.
    """
    scans = _scans(series_uids, patients, split, {subset}, subsets_of_patient or {})
    nodules, present = _of_scans(annotations, scans), _of_scans(candidates, scans)
    negatives, not_used = choose_negatives(
        present, nodules, None if excluded is None else _of_scans(excluded, scans)
    )
    table = _arranged(label_nodules(nodules, ratings, rule), negatives, scans, subset)
    absent = {
        "annotations_of_absent_series": len(annotations) - len(nodules),
        "candidates_of_absent_series": len(candidates) - len(present),
    }
    return CandidateTable(table, scans, {**_counts(table, scans), **not_used, **absent})


def _scans(
    series_uids: Sequence[str],
    patients: pd.DataFrame | None,
    split: Split,
    here: Collection[str],
    subsets_of_patient: Mapping[str, Collection[str]],
) -> pd.DataFrame:
    """One row a series on disk: series_uid, patient_id, part; sorted."""
    import pandas as pd

    series = sorted(set(series_uids))
    known = {} if patients is None else dict(patients[["series_uid", "patient_id"]].to_numpy())
    patient_ids = [known.get(uid, uid) for uid in series]
    parts = [split.part_of(one, subsets_of_patient.get(one, here)) for one in patient_ids]
    columns = {"series_uid": series, "patient_id": patient_ids, "part": parts}
    return pd.DataFrame(columns, dtype="str")


def _of_scans(table: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """The rows of the scans, series_uid as a category whose code is the scan's row."""
    import pandas as pd

    series = pd.Index(scans["series_uid"])
    code = series.get_indexer(pd.Index(table["series_uid"]))
    rows = table.drop(columns="series_uid")[code >= 0]
    # + 0.0 makes 0 of -0: two names of one place, whose order would be the file's.
    point = {axis: rows[axis] + 0.0 for axis in ("x_mm", "y_mm", "z_mm")}
    names = pd.Categorical.from_codes(code[code >= 0], categories=series)
    return rows.assign(series_uid=names, **point)


def _arranged(
    nodules: pd.DataFrame, negatives: pd.DataFrame, scans: pd.DataFrame, subset: str
) -> pd.DataFrame:
    """Both kinds in one table, in ``COLUMNS``' order and types, sorted and numbered."""
    import pandas as pd

    first = nodules.sort_values([*_PLACE, "diameter_mm"]).assign(is_nodule=True)
    both = pd.concat([first, negatives.assign(**_NEGATIVE)], ignore_index=True)
    # Negatives come in the order of their places: to bring the series together is all there is.
    code = both["series_uid"].cat.codes.to_numpy()
    order = np.argsort(code, kind="stable")
    rows = both.drop(columns="series_uid").iloc[order].reset_index(drop=True)
    scan = scans.iloc[code[order]].reset_index(drop=True)
    number = rows.groupby(code[order]).cumcount().astype("str")
    named = scan.assign(subset=subset, candidate_id=scan["series_uid"] + ":" + number)
    return pd.concat([named, rows], axis=1)[list(COLUMNS)].astype(COLUMNS)


def _counts(table: pd.DataFrame, scans: pd.DataFrame) -> dict[str, int]:
    # Only the nodules are cut out: negatives are half a million rows, of which the number is asked.
    is_nodule = table["is_nodule"].to_numpy()
    nodules, negatives = table[is_nodule], table["part"][~is_nodule].value_counts()
    counts = {**_counts_of(nodules, scans), "negatives": len(table) - len(nodules)}
    for part in PARTS:
        of_part = _counts_of(nodules[nodules["part"] == part], scans[scans["part"] == part])
        of_part["negatives"] = int(negatives.get(part, 0))
        counts |= {f"{part}_{name}": number for name, number in of_part.items()}
    return counts


def _counts_of(nodules: pd.DataFrame, scans: pd.DataFrame) -> dict[str, int]:
    malignant, is_rated = nodules["is_malignant"], nodules["num_readers"] > 0
    return {
        "series": len(scans),
        "patients": int(scans["patient_id"].nunique()),
        "nodules": len(nodules),
        "malignant": int(malignant.sum()),
        "benign": int((~malignant).sum()),
        "left_out": int((malignant.isna() & is_rated).sum()),
        "unrated": int((~is_rated).sum()),
        "borderline": int(nodules["is_borderline"].sum()),
        "nodules_with_contours": int((nodules["lidc_nodule"] != NO_CONTOURS).sum()),
    }
