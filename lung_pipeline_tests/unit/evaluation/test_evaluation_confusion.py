# SPDX-License-Identifier: Apache-2.0
"""The confusion table of two scans, worked by hand, at the thresholds .5 and .5.

series   what it is             nodule   malignancy   what becomes of it
s1       malignant nodule a     .9       .8           predicted malignant
s1       a second hit on a      .6       .1           counts neither way
s1       benign nodule b        .3       .9           filtered out
s1       malignant nodule c                           missed
s2       nodule d, no rating    .8       .9           predicted malignant
s2       benign nodule e        .7       .2           predicted benign
s2       finding on nothing     .6       .7           predicted malignant
s2       finding on nothing     .2       .7           filtered out
s2       finding on nothing     .9                    not assessed
s2       on an excluded mark    .9       .9           counts neither way
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.evaluation.detection.matching import match
from lung_pipeline.evaluation.operating_point.confusion import (
    ConfusionRow,
    ConfusionTable,
    Things,
    confusion_table,
    things_seen,
)

PLACE = ["series_uid", "x_mm", "y_mm", "z_mm"]

NODULES = pd.DataFrame(
    [
        ("s1", 0, 0, 0, 10, True),
        ("s1", 50, 0, 0, 10, False),
        ("s1", 100, 0, 0, 10, True),
        ("s2", 0, 0, 0, 10, pd.NA),
        ("s2", 50, 0, 0, 10, False),
    ],
    columns=[*PLACE, "diameter_mm", "is_malignant"],
).astype({"is_malignant": "boolean"})

FINDINGS = pd.DataFrame(
    [
        ("s1", 0, 0, 0, 0.9, 0.8),
        ("s1", 1, 0, 0, 0.6, 0.1),
        ("s1", 50, 0, 0, 0.3, 0.9),
        ("s2", 0, 0, 0, 0.8, 0.9),
        ("s2", 50, 0, 0, 0.7, 0.2),
        ("s2", 0, 90, 0, 0.6, 0.7),
        ("s2", 0, -90, 0, 0.2, 0.7),
        ("s2", 0, 200, 0, 0.9, np.nan),
        ("s2", 300, 0, 0, 0.9, 0.9),
    ],
    columns=[*PLACE, "score", "malignancy_probability"],
)

EXCLUDED = pd.DataFrame([("s2", 300, 0, 0, 10)], columns=[*PLACE, "diameter_mm"])


def _things(findings: pd.DataFrame = FINDINGS, nodules: pd.DataFrame = NODULES) -> Things:
    return things_seen(nodules, findings, match(findings, nodules, EXCLUDED), num_series=2)


def _table(things: Things | None = None, at: tuple[float, float] = (0.5, 0.5)) -> ConfusionTable:
    things = _things() if things is None else things
    return confusion_table(things, nodule_threshold=at[0], malignancy_threshold=at[1])


def test_table_is_that_worked_by_hand() -> None:
    table = _table()
    assert table.malignant == ConfusionRow(1, 0, 0, 1, 0)
    assert table.benign == ConfusionRow(0, 1, 1, 0, 0)
    assert table.unrated == ConfusionRow(0, 0, 0, 1, 0)
    assert table.non_nodule == ConfusionRow(0, 1, 0, 1, 1)


def test_shares_are_those_worked_by_hand() -> None:
    table = _table()
    # Found: a, d and e of five; two non-nodules pass in two scans, one of them called malignant.
    assert table.nodule_sensitivity == 3 / 5
    assert table.malignant_sensitivity == 1 / 2
    assert table.fp_per_scan == 2 / 2
    assert table.false_alarms_per_scan == 1 / 2


def test_benign_nodule_called_malignant_is_a_false_alarm() -> None:
    # With .3 nodule b passes, and is called malignant.
    assert _table(at=(0.3, 0.5)).false_alarms_per_scan == 2 / 2


def test_what_is_exactly_at_a_threshold_passes() -> None:
    table = _table(at=(0.7, 0.2))
    assert table.benign == ConfusionRow(0, 1, 0, 1, 0)


def test_best_finding_on_a_nodule_decides_and_not_the_surest_of_malignancy() -> None:
    findings = FINDINGS.assign(malignancy_probability=[0.2, 0.9, *[0.0] * 7])
    assert _table(_things(findings)).malignant == ConfusionRow(1, 0, 1, 0, 0)


def test_finding_on_two_nodules_counts_for_both() -> None:
    nodules = pd.concat([NODULES.iloc[:1], NODULES.iloc[:1].assign(is_malignant=False)])
    table = _table(_things(FINDINGS.iloc[:1], nodules))
    assert (table.malignant.predicted_malignant, table.benign.predicted_malignant) == (1, 1)
    assert table.non_nodule.total == 0


def test_without_a_malignancy_model_nothing_that_passes_is_assessed() -> None:
    table = _table(_things(FINDINGS.assign(malignancy_probability=np.nan)))
    assert table.malignant == ConfusionRow(1, 0, 0, 0, 1)
    assert table.benign == ConfusionRow(0, 1, 0, 0, 1)
    assert table.non_nodule == ConfusionRow(0, 1, 0, 0, 2)
    assert table.nodule_sensitivity == 3 / 5


def test_without_findings_every_nodule_is_missed() -> None:
    table = _table(_things(FINDINGS.iloc[:0]))
    assert [row.missed for row in table.rows.values()] == [0, 2, 2, 1]
    assert (table.nodule_sensitivity, table.fp_per_scan) == (0, 0)


def test_without_nodules_there_are_no_shares() -> None:
    table = _table(_things(FINDINGS, NODULES.iloc[:0]))
    assert (table.nodule_sensitivity, table.malignant_sensitivity) == (None, None)
    # All but the one on an excluded mark, of which two are below .5.
    assert table.fp_per_scan == 6 / 2


def test_without_a_scan_there_are_no_rates() -> None:
    table = _table(
        things_seen(
            NODULES.iloc[:0],
            FINDINGS.iloc[:0],
            match(FINDINGS.iloc[:0], NODULES.iloc[:0]),
            num_series=0,
        )
    )
    assert (table.fp_per_scan, table.false_alarms_per_scan) == (None, None)


@pytest.mark.parametrize("at", [(0.0, 0.0), (0.5, 0.5), (0.75, 0.1), (1.0, 1.0)])
def test_rows_add_up_to_all_that_counts_at_any_threshold(at: tuple[float, float]) -> None:
    assert [row.total for row in _table(at=at).rows.values()] == [3, 2, 2, 1]


def test_printed_table_has_a_line_for_each_kind() -> None:
    headings = ["missed", "filtered out", "predicted benign", "predicted malignant", "not assessed"]
    assert _table().as_rows() == [
        ["", *headings],
        ["non-nodule", "", 1, 0, 1, 1],
        ["benign", 0, 1, 1, 0, 0],
        ["malignant", 1, 0, 0, 1, 0],
        ["unrated", 0, 0, 0, 1, 0],
    ]


def test_metrics_are_flat_and_leave_out_what_cannot_be() -> None:
    metrics = _table().metrics()
    assert metrics["non_nodule_predicted_malignant"] == 1
    assert metrics["malignant_missed"] == 1
    assert metrics["malignant_sensitivity"] == 1 / 2
    assert "non_nodule_missed" not in metrics
    assert len(metrics) == 4 * 5 - 1 + 4


def test_json_and_back_is_the_identity() -> None:
    table = _table()
    assert ConfusionTable.from_json(json.loads(json.dumps(table.as_json()))) == table
