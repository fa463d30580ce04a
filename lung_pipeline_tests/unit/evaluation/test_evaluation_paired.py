# SPDX-License-Identifier: Apache-2.0
"""Two systems on the same nodules; worked by hand.

Four scans of four patients, a nodule each. A counts from 0.5, B from 0.4.

    nodule   malignant   A: score, malignancy   B: score, malignancy   what it is
    a1       yes         0.9    0.8             0.8    0.9             found by both
    b1       no          0.6    0.2             0.3    0.1             lost: B does not count it
    c1       yes         -                      0.7    0.6             won
    d1       no          0.2    0.9             0.4    0.7             won at exactly the threshold

False positives: A 0.5 in a1's scan and 0.1 in b1's; B 0.9 and 0.6 in d1's.

Over all nodules, missed ones lowest (-1), malignant a1 c1, benign b1 d1:
A 0.8 -1 against 0.2 -1: wins 1 + 1, then 0 + 1/2, of 4 pairs: .625
B 0.9 0.6 against -1 0.7: wins 2, then 1, of 4 pairs: .75
"""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from phantom_systems import NUM_SCANS, phantom_system

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.comparison.comparison import (
    CPM,
    FP_PER_SCAN,
    MALIGNANCY_AUC,
    MALIGNANCY_AUC_OF_FOUND,
    SENSITIVITY,
    Comparison,
    sensitivity_at,
)
from lung_pipeline.evaluation.comparison.paired import compare
from lung_pipeline.evaluation.comparison.systems import System, truth_fingerprint
from lung_pipeline.evaluation.detection.froc import FP_RATES, at_threshold, froc
from lung_pipeline.evaluation.gather import Evaluation

UIDS = ["a", "b", "c", "d"]
PLACE = {"x_mm": 0.0, "y_mm": 0.0, "z_mm": 0.0}


def _nodules() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "candidate_id": [f"{uid}1" for uid in UIDS],
            "subset": "subset0",
            "series_uid": UIDS,
            "patient_id": [uid.upper() for uid in UIDS],
            "diameter_mm": [6.0, 8.0, 10.0, 12.0],
            "is_malignant": pd.array([True, False, True, False], dtype="boolean"),
            "ratings": ["5,5", "1", "4,4,4", ""],
            **PLACE,
        }
    )


def _system(name: str, threshold: float, rows: list[tuple[str, float, float, float]]) -> System:
    series = pd.DataFrame(
        {
            "subset": "subset0",
            "series_uid": UIDS,
            "patient_id": [uid.upper() for uid in UIDS],
            "part": "test",
        }
    )
    columns = ["series_uid", "x_mm", "score", "malignancy_probability"]
    findings = pd.DataFrame(rows, columns=columns).assign(y_mm=0.0, z_mm=0.0)
    models = dict.fromkeys(("segmentation", "nodule", "malignancy"), name)
    evaluation = Evaluation(("subset0",), series, _nodules(), findings, None, models)
    return System(name, "test", threshold, evaluation)


def _a() -> System:
    rows = [
        ("a", 0.0, 0.9, 0.8),
        ("b", 0.0, 0.6, 0.2),
        ("d", 0.0, 0.2, 0.9),
        ("a", 50.0, 0.5, 0.5),
        ("b", 50.0, 0.1, 0.5),
    ]
    return _system("A", 0.5, rows)


def _b() -> System:
    rows = [
        ("d", 50.0, 0.9, 0.5),
        ("d", 60.0, 0.6, 0.5),
        ("a", 0.0, 0.8, 0.9),
        ("b", 0.0, 0.3, 0.1),
        ("c", 0.0, 0.7, 0.6),
        ("d", 0.0, 0.4, 0.7),
    ]
    return _system("B", 0.4, rows)


def test_nodules_won_and_lost_one_by_one_largest_first() -> None:
    made = compare(_a(), _b(), "now")
    assert [one.candidate_id for one in made.won] == ["d1", "c1"]
    assert [one.candidate_id for one in made.lost] == ["b1"]
    (lost,) = made.lost
    assert (lost.score_a, lost.score_b) == (0.6, 0.3)
    assert (lost.is_malignant, lost.ratings, lost.diameter_mm) == (False, "1", 8.0)
    assert (lost.series_uid, lost.patient_id, lost.subset) == ("b", "B", "subset0")
    assert (made.won[1].score_a, made.won[1].score_b) == (None, 0.7)
    assert (made.a.num_found, made.b.num_found) == (2, 3)


def test_a_nodule_nobody_rated_is_neither_malignant_nor_benign() -> None:
    nodules = _nodules()
    nodules.loc[2, "is_malignant"] = pd.NA
    a, b = (replace(s, evaluation=replace(s.evaluation, nodules=nodules)) for s in (_a(), _b()))
    assert compare(a, b, "now").won[1].is_malignant is None


def test_sensitivity_and_false_positives_at_each_systems_own_threshold() -> None:
    figures = compare(_a(), _b(), "now").figures
    found, false = figures[SENSITIVITY], figures[FP_PER_SCAN]
    assert (found.a, found.b, found.difference.value) == (2 / 4, 3 / 4, 1 / 4)
    assert (false.a, false.b, false.difference.value) == (1 / 4, 2 / 4, 1 / 4)
    # Any draw of patients: from b alone (-1) to c and d alone (+1).
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert -1 <= found.difference.low < 0.25 < found.difference.high <= 1


def test_malignancy_over_all_rated_nodules_ranks_missed_ones_lowest() -> None:
    pair = compare(_a(), _b(), "now").figures[MALIGNANCY_AUC]
    assert (pair.a, pair.b) == (0.625, 0.75)
    assert pair.difference.value == pytest.approx(0.125)


def test_malignancy_of_those_both_found_needs_both_kinds() -> None:
    # Only a1 is found by both: nothing to rank.
    pair = compare(_a(), _b(), "now").figures[MALIGNANCY_AUC_OF_FOUND]
    assert (pair.a, pair.b, pair.difference.value) == (None, None, None)
    both = compare(replace(_a(), threshold=0.2), replace(_b(), threshold=0.3), "now")
    pair = both.figures[MALIGNANCY_AUC_OF_FOUND]
    # a1 against b1 and d1: A 0.8 against 0.2, 0.9; B 0.9 against 0.1, 0.7.
    assert (pair.a, pair.b) == (0.5, 1.0)


def test_curves_are_those_of_the_froc() -> None:
    made = compare(_a(), _b(), "now")
    curves = [froc(system.evaluation.matched(), 4) for system in (_a(), _b())]
    for rate in FP_RATES:
        pair = made.figures[sensitivity_at(rate)]
        assert (pair.a, pair.b) == tuple(curve.sensitivity_at(rate) for curve in curves)
    assert (made.figures[CPM].a, made.figures[CPM].b) == tuple(curve.cpm for curve in curves)


def test_differences_are_b_less_a_and_each_threshold_is_its_systems_own() -> None:
    systems = phantom_system("a"), phantom_system("b", skill=1.5, seed=2, threshold=0.6)
    made = compare(*systems, "now")
    for pair in made.figures.values():
        assert pair.a is not None
        assert pair.b is not None
        assert pair.difference.value == pytest.approx(pair.b - pair.a, abs=1e-9)
    points = [
        at_threshold(system.evaluation.matched(), NUM_SCANS, system.threshold) for system in systems
    ]
    false, found = made.figures[FP_PER_SCAN], made.figures[SENSITIVITY]
    assert (false.a, false.b) == tuple(point.fp_per_scan for point in points)
    assert (found.a, found.b) == tuple(point.sensitivity for point in points)


def test_systems_that_change_places_turn_every_figure_round() -> None:
    one = compare(phantom_system("a"), phantom_system("b", skill=1.5, seed=2), "now")
    other = compare(phantom_system("b", skill=1.5, seed=2), phantom_system("a"), "now")
    assert (other.won, other.lost) != (one.won, one.lost)
    assert [n.candidate_id for n in other.won] == [n.candidate_id for n in one.lost]
    for name, pair in one.figures.items():
        turned = other.figures[name]
        assert (turned.a, turned.b) == (pair.b, pair.a)
        ends = (turned.difference.value, turned.difference.low, turned.difference.high)
        wanted = (pair.difference.value, pair.difference.high, pair.difference.low)
        for found, expected in zip(ends, wanted, strict=True):
            assert found == (None if expected is None else pytest.approx(-expected, abs=1e-9))


def test_order_of_rows_changes_nothing() -> None:
    shuffled = [
        replace(
            system,
            evaluation=replace(
                system.evaluation,
                findings=system.evaluation.findings.iloc[::-1].reset_index(drop=True),
                nodules=system.evaluation.nodules.iloc[::-1].reset_index(drop=True),
                series=system.evaluation.series.iloc[::-1].reset_index(drop=True),
            ),
        )
        for system in (_a(), _b())
    ]
    assert compare(*shuffled, "now") == compare(_a(), _b(), "now")


def test_one_table_in_another_order_is_still_compared_nodule_by_nodule() -> None:
    b = _b()
    turned = b.evaluation.nodules.iloc[::-1].reset_index(drop=True)
    other = replace(b, evaluation=replace(b.evaluation, nodules=turned))
    assert compare(_a(), other, "now") == compare(_a(), b, "now")


def test_the_record_survives_json_and_names_figures_flat() -> None:
    made = compare(_a(), _b(), "2026-01-02")
    assert Comparison.from_json(json.loads(json.dumps(made.as_json()))) == made
    metrics = made.metrics()
    assert metrics["comparison/num_won"] == 2
    assert metrics["comparison/detection/cpm_a"] == made.figures[CPM].a
    assert metrics["comparison/detection/cpm_difference"] == made.figures[CPM].difference.value
    assert f"comparison/{MALIGNANCY_AUC_OF_FOUND}_a" not in metrics
    assert made.name == "compare-A-with-B"


def test_a_record_of_other_fields_is_refused_in_words() -> None:
    record = compare(_a(), _b(), "now").as_json()
    del record["won"]
    with pytest.raises(StoreError, match=r"exactly the fields.*'won'"):
        Comparison.from_json(record)


def _with(system: System, **changed: object) -> System:
    return replace(system, evaluation=replace(system.evaluation, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["nodule moved", "nodule gone", "scan gone", "mark", "label"])
def test_systems_of_another_truth_are_not_compared(what: str) -> None:
    evaluation = _b().evaluation
    nodules = evaluation.nodules.copy()
    changed: dict[str, object] = {}
    if what == "nodule moved":
        nodules.loc[0, "x_mm"] = 0.5
        changed = {"nodules": nodules}
    elif what == "nodule gone":
        changed = {"nodules": nodules.iloc[1:]}
    elif what == "label":
        nodules.loc[0, "is_malignant"] = False
        changed = {"nodules": nodules}
    elif what == "scan gone":
        changed = {"series": evaluation.series.iloc[:3]}
    else:
        mark = {"series_uid": "a", **PLACE, "diameter_mm": -1.0}
        changed = {"excluded": pd.DataFrame([mark])}
    with pytest.raises(StoreError, match="same part of the same series, nodules and marks"):
        compare(_a(), _with(_b(), **changed), "now")


def test_marks_in_other_scans_are_no_part_of_the_truth() -> None:
    far = pd.DataFrame([{"series_uid": "elsewhere", **PLACE, "diameter_mm": -1.0}])
    none = far.iloc[:0]
    assert truth_fingerprint(_with(_a(), excluded=far).evaluation) == truth_fingerprint(
        _with(_a(), excluded=none).evaluation
    )


def _of_one_patient(system: System) -> System:
    old = system.evaluation
    tables = {"series": old.series, "nodules": old.nodules}
    joined = {name: table.assign(patient_id="P") for name, table in tables.items()}
    return replace(system, evaluation=replace(old, **joined))


@pytest.mark.parametrize("figure", [CPM, FP_PER_SCAN, MALIGNANCY_AUC])
def test_what_is_drawn_again_are_patients_and_not_their_scans(figure: str) -> None:
    apart = compare(_a(), _b(), "now").figures[figure]
    as_one = compare(_of_one_patient(_a()), _of_one_patient(_b()), "now").figures[figure]
    assert (as_one.a, as_one.b) == (apart.a, apart.b)
    # Every draw of a single patient is the same, which proves nothing.
    assert as_one.difference.low is None
    assert apart.difference.low is not None
