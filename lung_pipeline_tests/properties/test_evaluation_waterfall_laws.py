# SPDX-License-Identifier: Apache-2.0
"""Laws of the waterfall that hold for every trace, and for every scene that is really traced."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.diagnosis.findings import Finding, findings_table
from lung_pipeline.diagnosis.traces.trace import AnnotatedNodule, trace_table
from lung_pipeline.diagnosis.traces.tracing import Tissue, traced
from lung_pipeline.evaluation.detection.froc import at_threshold
from lung_pipeline.evaluation.detection.matching import match
from lung_pipeline.evaluation.lost_nodules.density import DENSITIES
from lung_pipeline.evaluation.lost_nodules.false_positives import false_positive_places
from lung_pipeline.evaluation.lost_nodules.waterfall import CALLED_BENIGN, FOUND, STAGES, waterfall

few = settings(max_examples=40, deadline=None)

COORDINATES = st.integers(-6, 6).map(float)
PLACES = st.tuples(COORDINATES, COORDINATES, COORDINATES)
SHARES = st.integers(0, 4).map(lambda quarter: quarter / 4)
"""Whole numbers and quarters, so that radii, thresholds and ties are met."""

FINDINGS = st.lists(st.tuples(PLACES, SHARES, st.none() | SHARES), max_size=8)
NODULES = st.lists(st.tuples(PLACES, st.integers(1, 30), st.none() | st.booleans()), max_size=6)
THRESHOLDS = SHARES | st.just(float("inf"))


@st.composite
def scenes(draw):  # type: ignore[no-untyped-def]
    """Findings, nodules, and what was seen of each nodule: any tissue that could be."""
    found = draw(FINDINGS)
    marked = draw(NODULES)
    tissues = []
    for _ in marked:
        component = draw(st.integers(-1, len(found) - 1))
        num_kept = draw(st.integers(0 if component < 0 else 1, 3))
        num_marked = num_kept + draw(st.integers(0, 3))
        tissues.append(Tissue(draw(SHARES), num_marked, num_kept, component))
    return found, marked, tissues


def _tables(scene):  # type: ignore[no-untyped-def]
    found, marked, tissues = scene
    findings = [Finding("a", *place, 0.0, 0.0, 0.0, 5.0, p, m) for place, p, m in found]
    nodules = [AnnotatedNodule(f"a:{n}", m[0], float(m[1])) for n, m in enumerate(marked)]
    ways = traced("a", 1.25, nodules, tissues, findings)
    density = [DENSITIES[n % len(DENSITIES)] for n in range(len(ways))]
    truth = pd.DataFrame(
        [("a", f"a:{n}", *m[0], float(m[1]), m[2]) for n, m in enumerate(marked)],
        columns=[
            *("series_uid", "candidate_id", "x_mm", "y_mm", "z_mm"),
            *("diameter_mm", "is_malignant"),
        ],
    ).astype({"is_malignant": "boolean", "diameter_mm": "float64"})
    table = findings_table(findings).rename(columns={"nodule_probability": "score"})
    return trace_table(ways).assign(density=density), truth, table


def _made(trace, truth, nodule: float, malignancy: float):  # type: ignore[no-untyped-def]
    return waterfall(trace, truth, nodule_threshold=nodule, malignancy_threshold=malignancy)


@few
@given(scenes(), THRESHOLDS, SHARES)
def test_every_nodule_ends_at_one_stage_in_every_grouping(scene, nodule, malignancy) -> None:  # type: ignore[no-untyped-def]
    trace, truth, _ = _tables(scene)
    made = _made(trace, truth, nodule, malignancy)
    assert made.num_nodules == len(truth)
    for bands in (made.by_diameter, made.by_density, made.by_slice_spacing):
        summed = {stage: sum(counts[stage] for counts in bands.values()) for stage in STAGES}
        assert summed == made.stages


@few
@given(scenes(), THRESHOLDS, SHARES)
def test_found_are_those_that_the_matching_finds(scene, nodule, malignancy) -> None:  # type: ignore[no-untyped-def]
    trace, truth, findings = _tables(scene)
    matches = match(findings, truth, series_uids=["a"])
    made = _made(trace, truth, nodule, malignancy)
    hits = int(np.count_nonzero(matches.nodule_score >= nodule))
    assert made.stages[FOUND] + made.stages[CALLED_BENIGN] == hits
    of_hit = trace.set_index("candidate_id")["nodule_probability"].where(
        trace.set_index("candidate_id")["is_hit"]
    )
    np.testing.assert_array_equal(of_hit.reindex(truth["candidate_id"]), matches.nodule_score)


@few
@given(scenes(), THRESHOLDS)
def test_false_positives_are_as_many_as_the_matching_counts(scene, nodule) -> None:  # type: ignore[no-untyped-def]
    trace, truth, findings = _tables(scene)
    matches = match(findings, truth, series_uids=["a"])
    made = false_positive_places(findings, matches, trace, nodule)
    assert made.num_false_positives == at_threshold(matches, 1, nodule).fp_per_scan


@few
@given(scenes(), SHARES, SHARES, SHARES)
def test_a_stricter_threshold_never_finds_more(scene, lower, step, malignancy) -> None:  # type: ignore[no-untyped-def]
    trace, truth, _ = _tables(scene)
    loose = _made(trace, truth, lower, malignancy).stages
    strict = _made(trace, truth, lower + step, malignancy).stages
    assert strict[FOUND] <= loose[FOUND]
    assert strict[CALLED_BENIGN] <= loose[CALLED_BENIGN]
    # Before the classifiers, thresholds have nothing to say.
    assert [strict[stage] for stage in STAGES[:5]] == [loose[stage] for stage in STAGES[:5]]


@few
@given(scenes(), THRESHOLDS, SHARES, st.integers(0, 99))
def test_order_of_rows_is_irrelevant(scene, nodule, malignancy, seed) -> None:  # type: ignore[no-untyped-def]
    trace, truth, _ = _tables(scene)
    shuffled = [table.sample(frac=1, random_state=seed) for table in (trace, truth)]
    assert _made(*shuffled, nodule, malignancy) == _made(trace, truth, nodule, malignancy)
