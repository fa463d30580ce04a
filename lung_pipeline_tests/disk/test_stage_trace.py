# SPDX-License-Identifier: Apache-2.0
"""The trace is written beside the findings, and an evaluation reads it again.

Series a1 of the balls has two annotated nodules, of 40 and of -50 HU; the other series have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from ball_scans import MARKS_FROM_HU
from dense_networks import dense_models

from lung_pipeline.annotations.reads import READ_COLUMNS
from lung_pipeline.annotations.subset import CANDIDATES, READS
from lung_pipeline.diagnosis.subset import annotated_nodules, find_in_subset
from lung_pipeline.diagnosis.traces.trace import COLUMNS
from lung_pipeline.evaluation.detection.froc import at_threshold
from lung_pipeline.evaluation.gather import gather
from lung_pipeline.evaluation.lost_nodules.density import SOLID, UNKNOWN
from lung_pipeline.evaluation.lost_nodules.false_positives import (
    IN_LUNG,
    IN_TISSUE,
    NOT_KNOWN,
    false_positive_places,
)
from lung_pipeline.evaluation.lost_nodules.waterfall import (
    CALLED_BENIGN,
    FOUND,
    LOSSES,
    STAGES,
    waterfall,
)
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table

NAMED = {"segmentation": "lung-segmentation v1 (aa)", "nodule": "lung-nodule v1 (bb)"}


def _find(home: Home, subset: str = "subset0") -> pd.DataFrame:
    return find_in_subset(home, subset, dense_models(marks_from_hu=MARKS_FROM_HU), NAMED)[0]


def test_trace_and_surroundings_stand_beside_the_findings_with_their_origin(
    own_ball_home: Home,
) -> None:
    found = _find(own_ball_home)
    trace = read_table(own_ball_home.trace("subset0"))
    assert tuple(trace.columns) == COLUMNS
    assert trace["series_uid"].tolist() == ["a1", "a1"]
    assert trace["is_hit"].all()
    assert sorted(trace["nodule_probability"].round(3)) == [0.731, 0.943]
    around = read_table(own_ball_home.surroundings("subset0"))
    place = ["series_uid", "x_mm", "y_mm", "z_mm"]
    assert set(around[place].itertuples(index=False, name=None)) == set(
        found[place].itertuples(index=False, name=None)
    )
    # Balls of tissue in air: nothing dense lies around them but what grouping left out.
    assert (around["tissue_share"] < 0.05).all()
    origin = read_origin(own_ball_home.findings("subset0"))
    assert read_origin(own_ball_home.trace("subset0")) == origin
    assert read_origin(own_ball_home.surroundings("subset0")) == origin


def test_tracing_changes_nothing_in_the_findings(own_ball_home: Home) -> None:
    table, traced = find_in_subset(
        own_ball_home, "subset0", dense_models(marks_from_hu=MARKS_FROM_HU), NAMED
    )
    own_ball_home.manifest(CANDIDATES, "subset0").unlink()
    again, bare = find_in_subset(
        own_ball_home, "subset0", dense_models(marks_from_hu=MARKS_FROM_HU), NAMED
    )
    pd.testing.assert_frame_equal(again, table)
    assert bare == traced


def test_findings_without_candidates_have_no_trace_not_a_former_one(own_ball_home: Home) -> None:
    _find(own_ball_home)
    own_ball_home.manifest(CANDIDATES, "subset0").unlink()
    assert annotated_nodules(own_ball_home, "subset0") is None
    _find(own_ball_home)
    assert not own_ball_home.trace("subset0").exists()
    assert not own_ball_home.surroundings("subset0").exists()


def test_former_trace_is_gone_before_new_findings_are_written(
    own_ball_home: Home,
) -> None:
    _find(own_ball_home)
    no_json: Any = {"segmentation": object()}
    with pytest.raises(TypeError, match="JSON"):
        find_in_subset(own_ball_home, "subset0", dense_models(marks_from_hu=MARKS_FROM_HU), no_json)
    assert not own_ball_home.trace("subset0").exists()
    assert not own_ball_home.surroundings("subset0").exists()


def test_evaluation_has_the_trace_with_densities_and_what_lies_around(own_ball_home: Home) -> None:
    path = own_ball_home.manifest(CANDIDATES, "subset0")
    table = read_table(path)
    table.loc[table["candidate_id"] == "a1:0", "lidc_nodule"] = 2
    write_table(table, path, read_origin(path))
    read = {name: "r" if kind == "str" else 1 for name, kind in READ_COLUMNS.items()}
    solid = {**read, "series_uid": "a1", "lidc_nodule": 2, "texture": 5, "calcification": 6}
    write_table(
        pd.DataFrame([solid]).astype(READ_COLUMNS), own_ball_home.manifest(READS, "subset0"), {}
    )
    _find(own_ball_home)
    evaluation = gather(own_ball_home, ["subset0"])
    assert evaluation.trace is not None
    densities = dict(
        zip(evaluation.trace["candidate_id"], evaluation.trace["density"], strict=True)
    )
    assert densities == {"a1:0": SOLID, "a1:1": UNKNOWN}
    assert evaluation.findings["tissue_share"].notna().all()
    (part,) = evaluation.series.loc[evaluation.series["series_uid"] == "a1", "part"]
    for name, num_nodules in ((part, 2), ("another part", 0)):
        scored = evaluation.of_part(name)
        assert scored.trace is not None
        assert len(scored.trace) == len(scored.nodules) == num_nodules


def test_a_subset_without_a_trace_leaves_the_evaluation_without_one(own_ball_home: Home) -> None:
    for subset in ("subset0", "subset1"):
        _find(own_ball_home, subset)
    both = gather(own_ball_home, ["subset0", "subset1"])
    assert both.trace is not None
    own_ball_home.trace("subset1").unlink()
    own_ball_home.surroundings("subset1").unlink()
    old = gather(own_ball_home, ["subset0", "subset1"])
    assert old.trace is None
    assert "tissue_share" not in old.findings
    assert len(old.findings) == len(both.findings)
    assert old.of_part("train").trace is None


@pytest.mark.slow
def test_phantoms_sum_up_and_are_traced_alike_in_any_order(own_home: Home) -> None:
    """Real scans with a network that marks all tissue: the wall is one large component."""
    _find(own_home)
    evaluation = gather(own_home, ["subset0"])
    assert evaluation.trace is not None
    assert len(evaluation.nodules) > 0
    made = waterfall(
        evaluation.trace, evaluation.nodules, nodule_threshold=0.5, malignancy_threshold=0.5
    )
    assert sum(made.stages.values()) == len(evaluation.nodules)
    matches = evaluation.matched()
    hits = int(np.count_nonzero(matches.nodule_score >= 0.5))
    assert made.stages[FOUND] + made.stages[CALLED_BENIGN] == hits
    assert (
        sum(made.stages[stage] for stage in LOSSES) == len(evaluation.nodules) - made.stages[FOUND]
    )
    assert set(made.stages) == set(STAGES)
    places = false_positive_places(evaluation.findings, matches, evaluation.trace, 0.5)
    point = at_threshold(matches, len(evaluation.series), 0.5)
    assert places.num_false_positives == point.fp_per_scan * len(evaluation.series)
    assert places.places[IN_LUNG] + places.places[IN_TISSUE] > 0
    assert places.places[NOT_KNOWN] == 0

    once = read_table(own_home.trace("subset0"))
    path = own_home.manifest(CANDIDATES, "subset0")
    table, origin = read_table(path), read_origin(path)
    path.unlink()
    write_table(table.iloc[::-1].reset_index(drop=True), path, origin)
    _find(own_home)
    pd.testing.assert_frame_equal(read_table(own_home.trace("subset0")), once)
