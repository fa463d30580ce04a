# SPDX-License-Identifier: Apache-2.0
"""Whether anything of one part of the patients can be met again in another, asked four ways.

By patient, by series, by scan (its source files, its voxels) and by the content of the crops. Each
is said for each of the three models: a model is touched by the series it learns from or chooses by,
and by every series of the test part, on which it is judged.

Belongs here: the checks. Does not belong here: where the tables come from (``certify.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lung_pipeline.annotations.splits import (
    TEST,
    Split,
    patients_in_two_parts,
    series_in_two_subsets,
    subsets_of_patients,
)

if TYPE_CHECKING:
    import pandas as pd

    from lung_pipeline.crops.duplicates import DuplicateSearch

MODELS = ("segmentation", "nodule", "malignancy")
"""The three models; the malignancy model also has what it keeps of the nodule model."""

MOST_FAULTS = 20
"""Faults that are named; their number is always told."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question, what was compared to answer it, and what was found."""

    name: str
    """What must hold: "no patient in two parts"."""

    model: str
    """The model it is said for; "all" where it does not depend on one."""

    compared: str
    """What was compared, in words."""

    num_compared: int
    """How many of them."""

    num_faults: int
    """How many do not hold."""

    faults: tuple[str, ...] = ()
    """The first of these, in words."""

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.num_faults == 0


def rule_checks(
    series: pd.DataFrame,
    rules: Mapping[str, object],
    split: Split,
    malignancy_rules: Mapping[str, Mapping[str, object]],
) -> list[Check]:
    """That all subsets were divided and labelled by one rule, and each patient as the rule has it.

    A series of two subsets is learned from twice and counts twice.

    Args:
        series: subset, series_uid, patient_id, part.
        rules: the rule of each table, by the table's name.
        split: the rule of the first.
        malignancy_rules: by which nodules were labelled, of each subset that has labels.
    """
    others = [name for name, rule in rules.items() if rule != split.as_json()]
    subsets = subsets_of_patients(series)
    rows = series[["patient_id", "part"]].drop_duplicates().sort_values(["patient_id", "part"])
    wrong = []
    for patient, part in rows.itertuples(index=False):
        belongs = split.part_of(str(patient), subsets[str(patient)])
        if part != belongs:
            wrong.append(f"patient {patient} stands in {part} and belongs to {belongs}")
    twice = [
        f"series {uid} lies in {' and '.join(found)}"
        for uid, found in series_in_two_subsets(series).items()
    ]
    first = next(iter(malignancy_rules.values()), None)
    labelled = [f"{s} by {rule}" for s, rule in malignancy_rules.items() if rule != first]
    return [
        _check("one rule for all subsets", "all", "tables", len(rules), others),
        _check("every part as the rule has it", "all", "patients", len(subsets), wrong),
        _check("no series in two subsets", "all", "series", series["series_uid"].nunique(), twice),
        _check(
            "one malignancy rule for all subsets",
            "all",
            "subsets with labels",
            len(malignancy_rules),
            labelled,
        ),
    ]


def leak_checks(
    series: pd.DataFrame, crops: pd.DataFrame, duplicates: DuplicateSearch
) -> list[Check]:
    """The four questions for each model.

    Args:
        series: subset, series_uid, patient_id, part, source_sha256 and voxels of every scan, the
            last as ``same_scans.with_voxels`` gives them.
        crops: series_uid, part, is_nodule and is_malignant of every crop.
        duplicates: what ``duplicates.find_duplicates`` found among them.
    """
    checks = []
    for model in MODELS:
        drawn = crops[_drawn(crops, model)]
        learned = set(drawn.loc[drawn["part"] != TEST, "series_uid"])
        touched = series[series["series_uid"].isin(learned) | (series["part"] == TEST)]
        checks += _of_names(touched, model)
        checks.append(_of_crops(drawn, set(touched["series_uid"]), duplicates, model))
    return checks


def _drawn(crops: pd.DataFrame, model: str) -> pd.Series[bool]:
    """The crops around whose centres a model draws: without a label there is nothing to learn."""
    if model == "malignancy":
        return ~crops["is_nodule"] | crops["is_malignant"].notna()
    return crops["series_uid"].notna()


def _of_names(series: pd.DataFrame, model: str) -> list[Check]:
    patients = patients_in_two_parts(series)
    twice = _in_two_parts(series, "series_uid")
    scans = {
        " and ".join(_uids(series, column, one)) + " are one scan"
        for column in ("source_sha256", "voxels")
        for one in _in_two_parts(series, column)
    }
    number = series.nunique()
    return [
        _check("no patient in two parts", model, "patients", int(number["patient_id"]), patients),
        _check("no series in two parts", model, "series", int(number["series_uid"]), twice),
        _check(
            "no scan in two parts",
            model,
            "scans by their source files and by their voxels",
            int(number["voxels"]),
            sorted(scans),
        ),
    ]


def _of_crops(
    drawn: pd.DataFrame, touched: Collection[str], duplicates: DuplicateSearch, model: str
) -> Check:
    faults = [
        f"{twin.first} and {twin.second} show the same: {twin.num_near} pairs of crops lie near, "
        f"detail correlates {twin.correlation:.2f}"
        for twin in duplicates.twins
        if {twin.first, twin.second} <= set(touched)
    ]
    compared = (
        f"crops; of all {duplicates.num_crops}, {duplicates.num_without_pattern} are plain air, "
        f"{duplicates.num_near} pairs had near signatures, "
        f"{duplicates.num_laid_over} were laid over each other"
    )
    return _check("no near-duplicate crop across parts", model, compared, len(drawn), faults)


def _in_two_parts(series: pd.DataFrame, column: str) -> list[str]:
    parts = series.groupby(column)["part"].nunique()
    return sorted(str(value) for value in parts[parts > 1].index)


def _uids(series: pd.DataFrame, column: str, value: str) -> list[str]:
    return sorted(set(series.loc[series[column] == value, "series_uid"]))


def _check(name: str, model: str, compared: str, num_compared: int, faults: Sequence[str]) -> Check:
    named = tuple(faults[:MOST_FAULTS])
    return Check(name, model, compared, num_compared, len(faults), named)
