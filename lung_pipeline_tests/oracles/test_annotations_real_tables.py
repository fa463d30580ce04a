# SPDX-License-Identifier: Apache-2.0
"""The real LUNA16 and LIDC-IDRI tables, whose counts others have published."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.candidates import CandidateTable, build_candidates
from lung_pipeline.annotations.malignancy import label_nodules
from lung_pipeline.annotations.rules import TwoOfReaders
from lung_pipeline.annotations.splits import PARTS, SplitRule, patients_in_two_parts


@pytest.fixture(scope="module")
def luna16(reference_data: Path) -> Path:
    return reference_data / "luna16"


@pytest.fixture(scope="module")
def listed(luna16: Path) -> pd.DataFrame:
    """The 888 series with their patient, listed by others from the DICOM headers."""
    return pd.read_csv(luna16 / "series_patient_subset.csv")


@pytest.fixture(scope="module")
def whole(luna16: Path, reference_data: Path, listed: pd.DataFrame) -> CandidateTable:
    return build_candidates(
        subset="all",
        series_uids=listed["seriesuid"].tolist(),
        annotations=luna.read_annotations(luna16 / "annotations.csv"),
        candidates=luna.read_candidates(luna16 / "candidates_standin.csv"),
        excluded=None,
        ratings=luna.read_ratings(luna16 / "annotations_with_malignancy.csv"),
        patients=luna.read_patients(reference_data / "lidc" / "LIDC-IDRI_MetaData.csv"),
        split=SplitRule(),
        rule=TwoOfReaders(),
    )


def test_reference_nodules_are_all_read(luna16: Path) -> None:
    nodules = luna.read_annotations(luna16 / "annotations.csv")

    assert (len(nodules), nodules["series_uid"].nunique()) == (1186, 601)
    assert nodules["diameter_mm"].min().round(2) == 3.25
    assert nodules["diameter_mm"].max().round(2) == 32.27


def test_candidates_are_all_read(luna16: Path) -> None:
    candidates = luna.read_candidates(luna16 / "candidates_standin.csv")

    assert (len(candidates), int(candidates["is_nodule"].sum())) == (55_677, 1_326)


def test_excluded_findings_keep_their_unknown_diameters(luna16: Path) -> None:
    excluded = luna.read_excluded(luna16 / "annotations_excluded.csv")

    assert (len(excluded), int((excluded["diameter_mm"] == -1).sum())) == (35_192, 30_513)


def test_patients_are_those_of_the_collection(reference_data: Path, listed: pd.DataFrame) -> None:
    patients = luna.read_patients(reference_data / "lidc" / "LIDC-IDRI_MetaData.csv")

    assert (len(patients), patients["patient_id"].nunique()) == (1_018, 1_010)
    known = patients.set_index("series_uid")["patient_id"]
    assert listed["seriesuid"].map(known).tolist() == listed["patient_id"].tolist()


def test_numbers_are_pythons_own_to_the_last_bit(luna16: Path) -> None:
    path = luna16 / "annotations.csv"
    with path.open(newline="") as file:
        _, *rows = csv.reader(file)

    nodules = luna.read_annotations(path)

    expected = [[series, *map(float, numbers)] for series, *numbers in rows]
    assert nodules.to_numpy().tolist() == expected


def test_labels_equal_the_published_ones(luna16: Path) -> None:
    path = luna16 / "annotations_with_malignancy.csv"
    published = pd.read_csv(path)
    ratings = luna.read_ratings(path)

    labelled = label_nodules(ratings.drop(columns="ratings"), ratings, TwoOfReaders())

    assert labelled["is_malignant"].tolist() == published["mal_bool"].tolist()
    assert labelled["num_readers"].tolist() == published["len_mal_details"].tolist()


def test_all_but_four_nodules_are_rated(whole: CandidateTable) -> None:
    names = ("nodules", "malignant", "benign", "unrated")

    assert [whole.counts[name] for name in names] == [1186, 378, 804, 4]


def test_table_holds_every_nodule_and_every_negative_once(whole: CandidateTable) -> None:
    # The stand-in's class 0 is by definition outside of all nodules, so none may be dropped.
    # 51 lie within a millimetre of another.
    assert whole.counts["negatives"] == 55_677 - 1_326 - 51
    assert whole.counts["negatives_inside_nodules"] == 0
    assert whole.counts["near_duplicates_merged"] == 51
    assert len(whole.table) == 1_186 + 54_300
    assert whole.table["candidate_id"].is_unique


def test_patients_of_two_series_stay_together(whole: CandidateTable) -> None:
    table = whole.table

    assert (whole.counts["series"], whole.counts["patients"]) == (888, 887)
    assert table.loc[table["patient_id"] == "LIDC-IDRI-0332", "series_uid"].nunique() == 2
    assert patients_in_two_parts(table) == []


def test_every_part_has_malignant_and_benign_nodules(whole: CandidateTable) -> None:
    for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        assert whole.counts[f"{part}_patients"] / 887 == pytest.approx(share, abs=0.03)
        assert whole.counts[f"{part}_malignant"] >= 30
        assert whole.counts[f"{part}_benign"] >= 30


def test_class_1_of_candidates_as_negatives_would_lie_in_nodules(
    luna16: Path, listed: pd.DataFrame
) -> None:
    candidates = luna.read_candidates(luna16 / "candidates_standin.csv")

    built = build_candidates(
        subset="all",
        series_uids=listed["seriesuid"].tolist(),
        annotations=luna.read_annotations(luna16 / "annotations.csv"),
        candidates=candidates.assign(is_nodule=~candidates["is_nodule"]),
        excluded=None,
        ratings=None,
        patients=None,
        split=SplitRule(),
        rule=TwoOfReaders(),
    )

    # Its authors called a candidate class 1 when it lies within a nodule's radius.
    assert built.counts["negatives_inside_nodules"] == 1_326


def test_as_many_candidates_lie_on_excluded_findings_as_the_evaluation_counts(
    luna16: Path, listed: pd.DataFrame
) -> None:
    candidates = luna.read_candidates(luna16 / "candidates_standin.csv")

    counts = build_candidates(
        subset="all",
        series_uids=listed["seriesuid"].tolist(),
        annotations=luna.read_annotations(luna16 / "annotations.csv"),
        candidates=candidates,
        excluded=luna.read_excluded(luna16 / "annotations_excluded.csv"),
        ratings=None,
        patients=None,
        split=SplitRule(),
        rule=TwoOfReaders(),
    ).counts

    # LUNA16's own script, run on these detections, counts 5,444 on excluded findings.
    assert counts["negatives_on_excluded"] == 5_444
    assert counts["near_duplicates_merged"] == 31
    assert counts["negatives"] == 55_677 - 1_326 - 5_444 - 31
