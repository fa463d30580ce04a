# SPDX-License-Identifier: Apache-2.0
"""Traces written by hand, and the stage at which each nodule was lost."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.lost_nodules.density import CALCIFIED, SOLID, UNKNOWN
from lung_pipeline.evaluation.lost_nodules.waterfall import (
    CALLED_BENIGN,
    ERODED,
    FOUND,
    LOSSES,
    MERGED,
    NOT_MARKED,
    OFF_CENTRE,
    REJECTED,
    STAGES,
    TOO_SMALL,
    Waterfall,
    stages_of,
    waterfall,
)

HIT = {
    "diameter_mm": 6.0,
    "slice_spacing_mm": 1.25,
    "num_marked": 20,
    "num_kept": 18,
    "component": 4,
    "num_nodules_of_component": 1,
    "is_hit": True,
    "nodule_probability": 0.75,
    "malignancy_probability": 0.25,
    "density": SOLID,
}
"""A nodule that was found, by the columns the waterfall reads."""

MISSED = {**HIT, "is_hit": False}
NOTHING = {
    **MISSED,
    "component": -1,
    "num_nodules_of_component": 0,
    "nodule_probability": math.nan,
    "malignancy_probability": math.nan,
}


def _tables(*rows: dict[str, object], malignant: bool | None = False) -> tuple[pd.DataFrame, ...]:
    trace = pd.DataFrame([{"candidate_id": f"s:{n}", **row} for n, row in enumerate(rows)])
    labels = pd.array([malignant] * len(rows), dtype="boolean")
    return trace, pd.DataFrame({"candidate_id": trace["candidate_id"], "is_malignant": labels})


def _made(*rows: dict[str, object], malignant: bool | None = False) -> Waterfall:
    trace, nodules = _tables(*rows, malignant=malignant)
    return waterfall(trace, nodules, nodule_threshold=0.5, malignancy_threshold=0.5)


def _stage(
    row: dict[str, object], *, malignant: bool | None = False, threshold: float = 0.5
) -> str:
    trace, nodules = _tables(row, malignant=malignant)
    (stage,) = stages_of(trace, nodules, nodule_threshold=threshold, malignancy_threshold=0.5)
    return str(stage)


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        ({**NOTHING, "num_marked": 0, "num_kept": 0}, NOT_MARKED),
        ({**NOTHING, "num_kept": 0}, ERODED),
        (NOTHING, TOO_SMALL),
        ({**MISSED, "num_nodules_of_component": 2}, MERGED),
        (MISSED, OFF_CENTRE),
        ({**HIT, "nodule_probability": 0.4999}, REJECTED),
        ({**HIT, "nodule_probability": 0.5}, FOUND),
        (HIT, FOUND),
        # A ring around the nodule: nothing is marked in it, yet the finding's centre hits it.
        ({**HIT, "num_marked": 0, "num_kept": 0}, FOUND),
        # Both nodules overlap, and one finding hits both.
        ({**HIT, "num_nodules_of_component": 2}, FOUND),
    ],
)
def test_each_nodule_ends_at_the_first_stage_that_loses_it(
    row: dict[str, object], stage: str
) -> None:
    assert _stage(row) == stage


@pytest.mark.parametrize(
    ("malignant", "probability", "stage"),
    [
        (True, 0.4999, CALLED_BENIGN),
        (True, 0.5, FOUND),
        (True, math.nan, FOUND),
        (False, 0.1, FOUND),
        (None, 0.1, FOUND),
    ],
)
def test_only_a_malignant_nodule_is_called_benign(
    probability: float, stage: str, *, malignant: bool | None
) -> None:
    assert _stage({**HIT, "malignancy_probability": probability}, malignant=malignant) == stage


def test_rejected_comes_before_called_benign() -> None:
    assert _stage({**HIT, "nodule_probability": 0.1}, malignant=True) == REJECTED


def test_where_no_finding_may_count_every_hit_is_rejected() -> None:
    assert _stage(HIT, threshold=math.inf) == REJECTED
    trace, nodules = _tables(HIT)
    made = waterfall(trace, nodules, nodule_threshold=math.inf, malignancy_threshold=0.5)
    assert made.nodule_threshold is None


@pytest.mark.parametrize(
    ("diameter_mm", "band"),
    [
        (3.0, "under 5 mm"),
        (4.999, "under 5 mm"),
        (5.0, "5 to 8 mm"),
        (8.0, "8 to 12 mm"),
        (12.0, "12 to 20 mm"),
        (19.9, "12 to 20 mm"),
        (20.0, "from 20 mm"),
        (32.0, "from 20 mm"),
    ],
)
def test_a_diameter_on_an_edge_is_of_the_larger_band(diameter_mm: float, band: str) -> None:
    by_band = _made({**HIT, "diameter_mm": diameter_mm}).by_diameter
    assert len(by_band) == 5
    assert [name for name, counts in by_band.items() if counts[FOUND]] == [band]


@pytest.mark.parametrize(
    ("slice_spacing_mm", "band"),
    [
        (0.5, "up to 1 mm"),
        (1.0, "up to 1 mm"),
        (1.0000001, "up to 1 mm"),
        (1.25, "1 to 1.5 mm"),
        (2.0, "1.5 to 2 mm"),
        (2.4999, "2 to 2.5 mm"),
        (2.5001, "2 to 2.5 mm"),
        (3.0, "over 2.5 mm"),
    ],
)
def test_a_spacing_on_an_edge_is_of_the_finer_band(slice_spacing_mm: float, band: str) -> None:
    by_band = _made({**HIT, "slice_spacing_mm": slice_spacing_mm}).by_slice_spacing
    assert [name for name, counts in by_band.items() if counts[FOUND]] == [band]


def _three() -> Waterfall:
    """A large solid one found, a small calcified one eroded, a small unknown one rejected."""
    return _made(
        {**HIT, "diameter_mm": 25.0},
        {**NOTHING, "num_kept": 0, "diameter_mm": 4.0, "density": CALCIFIED},
        {**HIT, "nodule_probability": 0.2, "diameter_mm": 4.5, "density": UNKNOWN},
    )


def test_rows_say_what_became_of_each_band_that_has_nodules() -> None:
    rows = {(str(row["by"]), str(row["band"])): row for row in _three().as_rows()}
    assert list(rows) == [
        ("all", "all"),
        ("diameter", "under 5 mm"),
        ("diameter", "from 20 mm"),
        ("density", "solid"),
        ("density", "calcified"),
        ("density", "unknown"),
        ("slice spacing", "1 to 1.5 mm"),
    ]
    small = rows["diameter", "under 5 mm"]
    assert (small["nodules"], small[ERODED], small[REJECTED], small[FOUND]) == (2, 1, 1, 0)
    assert set(small) == {"by", "band", "nodules", *STAGES}


def test_metrics_have_a_name_for_each_loss() -> None:
    figures = _three().metrics()
    assert (figures["num_nodules"], figures["found"]) == (3, 1)
    assert figures["lost_eroded_away"] == figures["lost_rejected_by_the_classifier"] == 1
    assert sum(name.startswith("lost_") for name in figures) == len(LOSSES)


def test_record_comes_back_from_json_as_it_was() -> None:
    made = _three()
    assert Waterfall.from_json(json.loads(json.dumps(made.as_json()))) == made
    with pytest.raises(TypeError):
        Waterfall.from_json({"stages": {}})


def test_without_nodules_there_is_nothing_to_lose() -> None:
    trace, nodules = _tables(HIT)
    made = waterfall(trace.head(0), nodules.head(0), nodule_threshold=0.5, malignancy_threshold=0.5)
    assert made.num_nodules == 0
    assert [row["by"] for row in made.as_rows()] == ["all"]


def test_labels_are_found_by_name_not_by_row() -> None:
    trace, nodules = _tables(HIT, HIT)
    nodules["is_malignant"] = pd.array([True, False], dtype="boolean")
    stages = stages_of(trace, nodules.iloc[::-1], nodule_threshold=0.5, malignancy_threshold=0.5)
    assert stages.tolist() == [CALLED_BENIGN, FOUND]


@pytest.mark.parametrize("rows", [[0], [0, 1, 1], []])
def test_trace_of_other_nodules_is_refused_in_words(rows: list[int]) -> None:
    trace, nodules = _tables(HIT, HIT)
    with pytest.raises(StoreError, match=r"the same nodules.*Materialize the findings again"):
        waterfall(trace, nodules.iloc[rows], nodule_threshold=0.5, malignancy_threshold=0.5)
