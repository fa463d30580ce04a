# SPDX-License-Identifier: Apache-2.0
"""The table of candidates on a few scans whose every row can be followed by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lung_pipeline.annotations.candidates import COLUMNS, CandidateTable, build_candidates
from lung_pipeline.annotations.rules import MeanRating, TwoOfReaders
from lung_pipeline.annotations.splits import PARTS, TEST, FoldRule, SplitRule


def _table(columns: str, *rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=columns.split())


ANNOTATIONS = _table(
    "series_uid x_mm y_mm z_mm diameter_mm",
    ("b", 0.0, 0.0, 50.0, 8.0),
    ("a", 1.0, 2.0, 30.0, 10.0),
    ("a", 1.0, 2.0, 10.0, 4.0),
    ("elsewhere", 0.0, 0.0, 0.0, 5.0),
)

CANDIDATES = _table(
    "series_uid x_mm y_mm z_mm is_nodule",
    ("a", 1.0, 2.0, 30.5, True),  # a detector's second opinion on a nodule: not used
    ("a", 1.0, 2.0, 34.9, False),  # 4.9 mm from the centre of a ball of 5 mm: in the nodule
    ("a", 1.0, 2.0, 13.0, False),  # 3 mm from the centre of a ball of 2 mm: beside the nodule
    ("a", 0.0, 0.0, 50.0, False),  # where series b has its nodule, a has none
    ("c", 7.0, 8.0, 9.0, False),
    ("elsewhere", 0.0, 0.0, 0.0, False),
    ("elsewhere", 0.0, 0.0, 9.0, True),
)

RATINGS = _table(
    "series_uid x_mm y_mm z_mm diameter_mm ratings",
    ("a", 1.0, 2.0, 10.0, 4.0, "1,2"),
    ("b", 0.0, 0.0, 50.0, 8.0, "5,4,1"),
)

PATIENTS = _table("series_uid patient_id", ("a", "Ann"), ("b", "Ann"), ("unseen", "Zoe"))


def _built(**changed: Any) -> CandidateTable:
    inputs: dict[str, Any] = {
        "subset": "subset0",
        "series_uids": ["c", "b", "a", "empty"],
        "annotations": ANNOTATIONS,
        "candidates": CANDIDATES,
        "excluded": None,
        "ratings": RATINGS,
        "patients": PATIENTS,
        "split": SplitRule(),
        "rule": TwoOfReaders(),
    }
    return build_candidates(**(inputs | changed))


def test_rows_are_nodules_first_then_negatives_from_feet_to_head() -> None:
    table = _built().table

    assert table["candidate_id"].tolist() == ["a:0", "a:1", "a:2", "a:3", "b:0", "c:0"]
    assert table["z_mm"].tolist() == [10.0, 30.0, 13.0, 50.0, 50.0, 9.0]
    assert table["is_nodule"].tolist() == [True, True, False, False, True, False]


def test_columns_have_their_order_and_types_even_without_a_row() -> None:
    for built in (_built(), _built(series_uids=["empty"]), _built(series_uids=[])):
        assert list(built.table.columns) == list(COLUMNS)
        expected = pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS).dtypes
        assert built.table.dtypes.equals(expected)


def test_each_nodule_has_its_label_and_a_negative_has_none() -> None:
    table = _built().table.set_index("candidate_id")

    assert table["ratings"].tolist() == ["1,2", "", "", "", "5,4,1", ""]
    assert table["num_readers"].tolist() == [2, 0, 0, 0, 3, 0]
    assert table["is_malignant"].fillna(value=False).tolist() == [False] * 4 + [True, False]
    assert table["is_malignant"].isna().tolist() == [False, True, True, True, False, True]
    assert table["diameter_mm"].isna().tolist() == [False, False, True, True, False, True]


def test_negative_has_no_readers_word_at_all() -> None:
    table = _built().table
    negatives = table[~table["is_nodule"]]

    assert negatives["expected_suspicious"].isna().all()
    assert not negatives["is_borderline"].any()
    assert set(negatives["ratings_from"]) == {""}
    assert set(negatives["lidc_nodule"]) == {-1}


def test_ratings_from_xml_bring_the_number_of_the_readers_nodule() -> None:
    from_xml = RATINGS.assign(ratings_from="lidc", lidc_nodule=[7, 0])

    built = _built(ratings=from_xml)

    table = built.table.set_index("candidate_id")
    assert table["lidc_nodule"].tolist() == [7, -1, -1, -1, 0, -1]
    assert table["ratings_from"].tolist() == ["lidc", "", "", "", "lidc", ""]
    assert built.counts["nodules_with_contours"] == 2
    # "1,2": (0 + 1/2) / 3; "5,4,1": (2 + 1/2) / 4.
    assert table["expected_suspicious"].dropna().round(4).tolist() == [0.1667, 0.625]


def test_nodule_the_rule_leaves_out_is_not_called_unrated() -> None:
    undecided = RATINGS.assign(ratings=["2,4", "5,4,1"])  # the mean of 2 and 4 is on the threshold

    counts = _built(ratings=undecided, rule=MeanRating()).counts

    names = ("malignant", "benign", "left_out", "unrated")
    assert [counts[name] for name in names] == [1, 0, 1, 1]
    assert counts["borderline"] == 2  # a further 1 makes the second nodule's mean 2.75


def test_patient_with_a_series_in_the_test_fold_is_a_test_patient_in_every_subset() -> None:
    both = {"Ann": {"subset0", "subset3"}}

    table = _built(split=FoldRule(test_fold=3), subsets_of_patient=both).table

    assert set(table.loc[table["patient_id"] == "Ann", "part"]) == {TEST}
    assert TEST not in set(table.loc[table["patient_id"] != "Ann", "part"])


def test_patient_nobody_lists_has_his_series_in_this_subset() -> None:
    assert set(_built(split=FoldRule(test_fold=0)).table["part"]) == {TEST}
    assert TEST not in set(_built(split=FoldRule(test_fold=1)).table["part"])


def test_patient_is_the_series_where_nobody_knows_better() -> None:
    by_series = _built().table.groupby("series_uid")["patient_id"].first().to_dict()

    assert by_series == {"a": "Ann", "b": "Ann", "c": "c"}
    assert set(_built(patients=None).table["patient_id"]) == {"a", "b", "c"}


def test_part_is_the_patients_by_the_rule() -> None:
    rule = SplitRule(seed=4)

    table = _built(split=rule).table

    assert table["part"].tolist() == [rule.part_of(p) for p in table["patient_id"]]


def test_every_row_of_the_sources_is_counted() -> None:
    counts = _built().counts

    assert {name: n for name, n in counts.items() if not name.startswith(PARTS)} == {
        "series": 4,
        "patients": 3,
        "nodules": 3,
        "malignant": 1,
        "benign": 1,
        "left_out": 0,
        "unrated": 1,
        "borderline": 0,
        "nodules_with_contours": 0,
        "negatives": 3,
        "negatives_inside_nodules": 1,
        "negatives_on_excluded": 0,
        "near_duplicates_merged": 0,
        "candidates_of_class_1": 1,
        "annotations_of_absent_series": 1,
        "candidates_of_absent_series": 2,
    }


def test_parts_add_up_to_the_whole() -> None:
    counts = _built().counts

    labels = ("malignant", "benign", "left_out", "unrated", "borderline", "nodules_with_contours")
    for name in ("series", "patients", "nodules", *labels, "negatives"):
        assert counts[name] == sum(counts[f"{part}_{name}"] for part in PARTS)


def test_scans_without_ratings_give_unrated_nodules() -> None:
    counts = _built(ratings=None).counts

    assert (counts["malignant"], counts["benign"], counts["unrated"]) == (0, 0, 3)


def test_negative_on_the_border_of_a_nodule_is_left_out() -> None:
    on_border = _table("series_uid x_mm y_mm z_mm is_nodule", ("b", 0.0, 4.0, 50.0, False))

    assert _built(candidates=on_border).counts["negatives_inside_nodules"] == 1


def test_zero_has_one_sign_whichever_row_comes_first() -> None:
    both = _table(
        "series_uid x_mm y_mm z_mm is_nodule",
        ("c", -0.0, 0.0, 9.0, False),
        ("c", 0.0, -0.0, 9.0, False),
    )

    for rows in (both, both[::-1]):
        (point,) = _built(candidates=rows).table.query("not is_nodule")[["x_mm", "y_mm"]].to_numpy()
        assert not np.signbit(point).any()


def test_negative_in_a_large_nodule_is_left_out_although_a_small_one_is_nearer() -> None:
    nodules = _table(
        "series_uid x_mm y_mm z_mm diameter_mm",
        ("a", 0.0, 0.0, 0.0, 30.0),
        ("a", 14.0, 0.0, 0.0, 4.0),
    )
    between = _table("series_uid x_mm y_mm z_mm is_nodule", ("a", 11.0, 0.0, 0.0, False))

    built = _built(annotations=nodules, candidates=between)

    assert built.counts["negatives_inside_nodules"] == 1
    assert built.counts["negatives"] == 0
