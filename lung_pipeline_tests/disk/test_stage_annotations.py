# SPDX-License-Identifier: Apache-2.0
"""The csv files of the whole set become one subset's candidates, and nothing but that subset's."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from lung_pipeline.annotations.lidc_subset import make_lidc_reads
from lung_pipeline.annotations.rules import MeanRating
from lung_pipeline.annotations.splits import SplitRule, patients_in_two_parts
from lung_pipeline.annotations.subset import (
    CANDIDATES,
    SERIES,
    candidates_fingerprint,
    make_candidates,
    nodules_without_marks,
    read_candidates_of,
    read_series_of,
)
from lung_pipeline.ct.subset import VOLUMES, series_with_volume
from lung_pipeline.errors import AnnotationError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table, write_table

TABLES = (
    "annotations.csv",
    "candidates.csv",
    "annotations_excluded.csv",
    "annotations_with_malignancy.csv",
)
RULE = SplitRule()


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as text:
        return list(csv.DictReader(text))


def _keep_series(home: Home, keep: set[str]) -> None:
    """Leave only the rows of some series in the tables."""
    for name in TABLES:
        path = home.raw / name
        header, *lines = path.read_text().splitlines()
        path.unlink()
        kept = [line for line in lines if line.split(",")[0] in keep]
        path.write_text("\n".join([header, *kept]) + "\n")


def _forget_marks(home: Home) -> None:
    """Take the readers' XML away, as if it had never been there."""
    shutil.rmtree(home.raw / "LIDC-XML-only")
    make_lidc_reads(home, "subset0")


def test_nodules_are_the_annotations_of_the_subset(phantom_home: Home) -> None:
    series = set(series_with_volume(phantom_home, "subset0"))
    expected = {
        (row["seriesuid"], float(row["coordX"]), float(row["diameter_mm"]))
        for row in _rows(phantom_home.raw / "annotations.csv")
        if row["seriesuid"] in series
    }
    table = read_candidates_of(phantom_home, ["subset0"])
    nodules = table[table["is_nodule"]]
    found = set(zip(nodules["series_uid"], nodules["x_mm"], nodules["diameter_mm"], strict=True))
    assert found == expected
    assert len(expected) == 4
    assert set(table["series_uid"]) == series
    assert nodules["is_malignant"].notna().all()


def test_rows_of_other_subsets_are_counted_as_absent(own_home: Home) -> None:
    made, _ = make_candidates(own_home, "subset0", RULE)
    elsewhere = set(series_with_volume(own_home, "subset1"))
    annotated = _rows(own_home.raw / "annotations.csv")
    absent = [row for row in annotated if row["seriesuid"] in elsewhere]
    assert made.counts["annotations_of_absent_series"] == len(absent) == 7


def test_series_table_gives_each_scan_its_patient_and_part(phantom_home: Home) -> None:
    series = read_series_of(phantom_home, ["subset0", "subset1"])
    patients = {
        row["Series UID"]: row["Patient Id"]
        for row in _rows(phantom_home.raw / "LIDC-IDRI_MetaData.csv")
    }
    assert len(series) == 6
    assert series["subset"].tolist() == ["subset0"] * 3 + ["subset1"] * 3
    assert series["patient_id"].tolist() == [patients[uid] for uid in series["series_uid"]]
    assert series["part"].tolist() == [RULE.part_of(p) for p in series["patient_id"]]
    assert patients_in_two_parts(series) == []


def test_scan_without_any_candidate_stays_in_the_series_table(own_home: Home) -> None:
    uids = series_with_volume(own_home, "subset0")
    _keep_series(own_home, set(uids[:2]))
    made, _ = make_candidates(own_home, "subset0", RULE)
    assert uids[2] not in set(made.table["series_uid"])
    assert read_series_of(own_home, ["subset0"])["series_uid"].tolist() == uids


def test_added_subset_leaves_the_fingerprint_of_the_former(own_home: Home) -> None:
    _, with_both = make_candidates(own_home, "subset0", RULE)
    series_of_both = own_home.manifest(SERIES, "subset0").read_bytes()
    _keep_series(own_home, set(series_with_volume(own_home, "subset0")))
    made, alone = make_candidates(own_home, "subset0", RULE)
    assert made.counts["annotations_of_absent_series"] == 0
    assert alone == with_both
    assert own_home.manifest(SERIES, "subset0").read_bytes() == series_of_both


def test_fingerprint_is_that_of_the_table_as_it_is_read_back(own_home: Home) -> None:
    _, told = make_candidates(own_home, "subset0", RULE)
    path = own_home.manifest(CANDIDATES, "subset0")
    assert fingerprint(read_table(path), read_origin(path)) == told


def test_without_ratings_no_nodule_is_called_malignant_or_benign(own_home: Home) -> None:
    (own_home.raw / "annotations_with_malignancy.csv").unlink()
    _forget_marks(own_home)
    made, _ = make_candidates(own_home, "subset0", RULE)
    table = read_candidates_of(own_home, ["subset0"])
    assert made.counts["unrated"] == made.counts["nodules"] == 4
    assert table["is_malignant"].isna().all()


def test_ratings_come_from_the_readers_own_marks(phantom_home: Home) -> None:
    table = read_candidates_of(phantom_home, ["subset0"])
    nodules = table[table["is_nodule"]]
    assert set(nodules["ratings_from"]) == {"lidc"}
    assert (nodules["lidc_nodule"] >= 0).all()
    assert nodules_without_marks(phantom_home, "subset0") == []


def test_readers_marks_and_the_table_of_ratings_say_the_same(own_home: Home) -> None:
    from_marks, _ = make_candidates(own_home, "subset0", RULE)
    _forget_marks(own_home)
    from_table, _ = make_candidates(own_home, "subset0", RULE)
    ours, theirs = (
        made.table[made.table["is_nodule"]].set_index("candidate_id")
        for made in (from_marks, from_table)
    )
    assert set(theirs["ratings_from"]) == {"csv"}
    assert ours["ratings"].tolist() == theirs["ratings"].tolist()
    assert ours["is_malignant"].tolist() == theirs["is_malignant"].tolist()


def test_nodule_that_no_reader_marked_is_told(own_home: Home) -> None:
    path = own_home.raw / "annotations.csv"
    (uid, *_) = series_with_volume(own_home, "subset0")
    text = path.read_text()
    path.unlink()
    path.write_text(f"{text}{uid},500.0,500.0,500.0,6.0\n")
    made, _ = make_candidates(own_home, "subset0", RULE)
    (told,) = nodules_without_marks(own_home, "subset0")
    lost = made.table[made.table["x_mm"] == 500.0].iloc[0]
    assert told.startswith(f"{lost['candidate_id']}: ")
    assert (lost["ratings"], lost["lidc_nodule"]) == ("", -1)


def test_another_rule_makes_other_labels_and_another_fingerprint(own_home: Home) -> None:
    _, by_two = make_candidates(own_home, "subset0", RULE)
    made, by_mean = make_candidates(own_home, "subset0", RULE, MeanRating(threshold=1.0))
    nodules = made.table[made.table["is_nodule"]]
    expected = [{"1"} != set(ratings.split(",")) for ratings in nodules["ratings"]]
    assert [label is True or label == True for label in nodules["is_malignant"]] == expected  # noqa: E712
    assert by_mean != by_two


def test_candidates_ask_for_the_readers_marks_first(own_home: Home) -> None:
    own_home.manifest("lidc_reads", "subset0").unlink()
    with pytest.raises(StoreError, match="lidc_reads"):
        make_candidates(own_home, "subset0", RULE)


def test_without_a_table_of_patients_each_series_is_its_own(own_home: Home) -> None:
    (own_home.raw / "LIDC-IDRI_MetaData.csv").unlink()
    make_candidates(own_home, "subset0", RULE)
    series = read_series_of(own_home, ["subset0"])
    assert series["patient_id"].tolist() == series["series_uid"].tolist()


def test_candidates_of_the_second_release_serve_as_well(own_home: Home) -> None:
    _, first = make_candidates(own_home, "subset0", RULE)
    (own_home.raw / "candidates.csv").rename(own_home.raw / "candidates_V2.csv")
    assert make_candidates(own_home, "subset0", RULE)[1] == first


@pytest.mark.parametrize("name", ["annotations.csv", "candidates.csv"])
def test_missing_table_is_named(own_home: Home, name: str) -> None:
    (own_home.raw / name).unlink()
    before = own_home.manifest(CANDIDATES, "subset0").read_bytes()
    with pytest.raises(AnnotationError, match=name):
        make_candidates(own_home, "subset0", RULE)
    assert own_home.manifest(CANDIDATES, "subset0").read_bytes() == before


def test_tables_remember_the_split_and_the_malignancy_rule(phantom_home: Home) -> None:
    for stage in (CANDIDATES, SERIES):
        origin = read_origin(phantom_home.manifest(stage, "subset1"))
        assert origin["split"] == RULE.as_json()
        assert origin["malignancy_rule"] == {"name": "two-of-readers", "version": 1}


def test_what_a_model_learned_from_changes_with_split_and_subsets_not_with_order(
    own_home: Home,
) -> None:
    both = candidates_fingerprint(own_home, ["subset0", "subset1"])
    assert candidates_fingerprint(own_home, ["subset1", "subset0"]) == both
    assert candidates_fingerprint(own_home, ["subset0"]) != both
    make_candidates(own_home, "subset1", SplitRule(seed=21))
    assert candidates_fingerprint(own_home, ["subset0", "subset1"]) != both


def test_subset_without_candidates_yet_is_an_error_in_words(phantom_home: Home) -> None:
    with pytest.raises(StoreError, match="Materialize the asset before"):
        read_candidates_of(phantom_home, ["subset0", "subset9"])


def test_subset_whose_scans_were_all_refused_has_empty_tables(own_home: Home) -> None:
    path = own_home.manifest(VOLUMES, "subset0")
    refused = read_table(path).assign(problem="cut short", series_uid="")
    write_table(refused, path, read_origin(path))
    made, _ = make_candidates(own_home, "subset0", RULE)
    assert (made.counts["series"], made.counts["nodules"]) == (0, 0)
    both = read_candidates_of(own_home, ["subset0", "subset1"])
    alone = read_candidates_of(own_home, ["subset1"])
    assert both.dtypes.to_dict() == alone.dtypes.to_dict()
    assert len(both) == len(alone)
