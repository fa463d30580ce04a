# SPDX-License-Identifier: Apache-2.0
"""LUNA16's own division of patients: who stands in two subsets, and how alike the parts are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.annotations.balance import Share, shares_of_parts
from lung_pipeline.annotations.splits import (
    TEST,
    FoldRule,
    Split,
    SplitRule,
    patients_in_two_parts,
    patients_in_two_subsets,
    subsets_of_patients,
)


@pytest.fixture(scope="module")
def series(reference_data: Path) -> pd.DataFrame:
    """The 888 series: series_uid, patient_id, subset."""
    path = reference_data / "luna16" / "series_patient_subset.csv"
    table = pd.read_csv(path, dtype="str").rename(columns={"seriesuid": "series_uid"})
    return table.assign(subset="subset" + table["subset"])


@pytest.fixture(scope="module")
def nodules(reference_data: Path, series: pd.DataFrame) -> pd.DataFrame:
    """The 1,182 rated nodules with their patients."""
    table = pd.read_csv(reference_data / "luna16" / "annotations_with_malignancy.csv")
    rows = table.rename(columns={"seriesuid": "series_uid", "mal_bool": "is_malignant"})
    return rows.merge(series, on="series_uid", validate="many_to_one")


def _parts(table: pd.DataFrame, series: pd.DataFrame, split: Split) -> pd.DataFrame:
    subsets = subsets_of_patients(series)
    return table.assign(part=[split.part_of(one, subsets[one]) for one in table["patient_id"]])


def _balance(nodules: pd.DataFrame, series: pd.DataFrame, split: Split) -> tuple[Share, ...]:
    return shares_of_parts(_parts(nodules, series, split), permutations=4_000)


def test_one_patient_of_luna16_stands_in_two_subsets(series: pd.DataFrame) -> None:
    assert patients_in_two_subsets(series) == {"LIDC-IDRI-0332": ["subset2", "subset6"]}
    assert len(subsets_of_patients(series)) == 887


@pytest.mark.parametrize("fold", range(10))
def test_each_fold_keeps_every_patient_on_one_side(series: pd.DataFrame, fold: int) -> None:
    divided = _parts(series, series, FoldRule(fold))
    assert patients_in_two_parts(divided) == []
    tested = divided[divided["part"] == TEST]
    assert set(divided.loc[divided["subset"] == f"subset{fold}", "part"]) == {TEST}
    elsewhere = tested.loc[tested["subset"] != f"subset{fold}", "patient_id"].tolist()
    assert elsewhere == (["LIDC-IDRI-0332"] if fold in (2, 6) else [])


def test_folds_by_subset_alone_would_have_parted_that_patient(series: pd.DataFrame) -> None:
    by_subset = series.assign(
        part=(series["subset"] == "subset2").map({True: TEST, False: "train"})
    )
    assert patients_in_two_parts(by_subset) == ["LIDC-IDRI-0332"]


def test_default_split_of_luna16_is_not_warned_of(
    nodules: pd.DataFrame, series: pd.DataFrame
) -> None:
    shares = _balance(nodules, series, SplitRule())
    assert [share.in_words() for share in shares if share.is_off] == []
    malignant = [share for share in shares if share.trait == "malignant"]
    assert sum(share.num_with for share in malignant) == 378
    assert sum(share.num_nodules for share in malignant) == 1_182


def test_test_part_of_the_worst_patients_is_warned_of(
    nodules: pd.DataFrame, series: pd.DataFrame
) -> None:
    worst = set(nodules.loc[nodules["is_malignant"], "patient_id"].unique()[:90])
    part = nodules["patient_id"].map(lambda one: TEST if one in worst else "train")
    off = {(s.part, s.trait) for s in shares_of_parts(nodules.assign(part=part)) if s.is_off}
    assert {("test", "malignant"), ("test", "large"), ("train", "malignant")} <= off
