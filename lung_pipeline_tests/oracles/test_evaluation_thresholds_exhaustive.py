# SPDX-License-Identifier: Apache-2.0
"""The operating point beside a search that tries every pair of thresholds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.evaluation.detection.froc import froc, operating_point
from lung_pipeline.evaluation.detection.matching import match
from lung_pipeline.evaluation.operating_point.confusion import Things, confusion_table, things_seen
from lung_pipeline.evaluation.operating_point.targets import (
    MaxFalsePositives,
    MinMalignantSensitivity,
)
from lung_pipeline.evaluation.operating_point.thresholds import solve

KINDS = ["malignant", "malignant", "benign", "non-nodule", "non-nodule", "unrated"]

# Of few values, so that ties are common; NaN for what was missed or not assessed.
PROBABILITIES = st.integers(0, 8).map(lambda number: number / 8)

ROWS = st.lists(
    st.tuples(st.sampled_from(KINDS), PROBABILITIES | st.just(math.nan), PROBABILITIES),
    min_size=1,
    max_size=18,
)

many = settings(max_examples=200, deadline=None)


def _things(rows: list[tuple[str, float, float]]) -> Things:
    kind, nodule, malignancy = (np.array([row[k] for row in rows]) for k in range(3))
    # A finding that is on no nodule is there, and what was missed has no probability at all.
    nodule = np.where((kind == "non-nodule") & np.isnan(nodule), 0.5, nodule)
    return Things(kind, nodule, np.where(np.isnan(nodule), np.nan, malignancy), num_series=3)


def _every_pair(things: Things) -> list[tuple[float, float, int, int, float]]:
    """Of each pair of thresholds the malignant predicted, false alarms, and non-nodules a scan."""
    pairs = []
    for nodule in sorted({p for p in things.nodule_probability.tolist() if p == p}):
        for malignancy in sorted({p for p in things.malignancy_probability.tolist() if p == p}):
            hits, alarms, passing = 0, 0, 0
            for kind, one, other in zip(
                things.kind, things.nodule_probability, things.malignancy_probability, strict=True
            ):
                passes = one >= nodule
                called = passes and other >= malignancy
                hits += called and kind == "malignant"
                alarms += called and kind in ("benign", "non-nodule")
                passing += passes and kind == "non-nodule"
            pairs.append((nodule, malignancy, hits, alarms, passing / things.num_series))
    return pairs


@many
@given(ROWS, st.sampled_from([0.3, 0.5, 0.75, 1.0]), st.sampled_from([0.0, 0.4, 1.0, 4.0]))
def test_pair_is_the_one_that_a_search_of_all_pairs_finds(  # type: ignore[no-untyped-def]
    rows, sensitivity, tolerated
) -> None:
    things = _things(rows)
    num_malignant = int((things.kind == "malignant").sum())
    pairs = _every_pair(things)
    most = max((hits for _, _, hits, _, _ in pairs), default=0)
    chosen = solve(things, MinMalignantSensitivity(sensitivity, tolerated))
    if not most:
        assert (chosen.nodule, chosen.malignancy) == (0.5, 0.5)
        return
    met = [pair for pair in pairs if pair[2] / num_malignant >= sensitivity]
    assert ("cannot be met" in chosen.how) == (not met)
    best = min(
        met or [pair for pair in pairs if pair[2] == most],
        key=lambda pair: (pair[3], -pair[2], max(pair[4] - tolerated, 0), pair[0], pair[1]),
    )
    assert (chosen.nodule, chosen.malignancy) == best[:2]
    assert chosen.on_validation.malignant.predicted_malignant == best[2]
    assert chosen.on_validation.false_alarms_per_scan == best[3] / 3


@many
@given(ROWS, st.sampled_from([0.0, 0.4, 1.0, 4.0]))
def test_threshold_within_a_budget_is_the_one_that_a_search_finds(rows, allowed) -> None:  # type: ignore[no-untyped-def]
    things = _things(rows)
    chosen = solve(things, MaxFalsePositives(allowed))
    scores = sorted({p for p in things.nodule_probability.tolist() if p == p})
    if not scores or set(things.kind) == {"non-nodule"}:
        assert chosen.nodule == 0.5
        return
    tables = {
        score: confusion_table(things, nodule_threshold=score, malignancy_threshold=0.5)
        for score in scores
    }
    within = [score for score in scores if tables[score].fp_per_scan <= allowed]
    assert chosen.nodule == (within[0] if within else scores[-1])
    found = [table.nodule_sensitivity for score, table in tables.items() if score in within]
    assert not within or chosen.on_validation.nodule_sensitivity == max(found)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-6, 6), PROBABILITIES), min_size=1, max_size=14),
    st.lists(st.integers(-6, 6), min_size=1, max_size=4),
    st.sampled_from([0.25, 0.5, 1.0, 4.0]),
)
def test_budget_of_false_positives_is_spent_as_froc_spends_it(findings, nodules, allowed) -> None:  # type: ignore[no-untyped-def]
    found = pd.DataFrame(findings, columns=["x_mm", "score"]).assign(malignancy_probability=0.5)
    marks = pd.DataFrame({"x_mm": nodules}).assign(diameter_mm=3.0, is_malignant=True)
    tables = [table.assign(series_uid="s", y_mm=0.0, z_mm=0.0) for table in (found, marks)]
    matches = match(*tables)
    point = operating_point(froc(matches, 2), allowed)
    chosen = solve(things_seen(tables[1], tables[0], matches, 2), MaxFalsePositives(allowed))
    if math.isinf(point.threshold):
        assert chosen.on_validation.fp_per_scan > allowed
        return
    assert chosen.nodule == point.threshold
    assert chosen.on_validation.nodule_sensitivity == pytest.approx(point.sensitivity)
    assert chosen.on_validation.fp_per_scan == pytest.approx(point.fp_per_scan)


def test_order_of_the_things_is_irrelevant() -> None:
    rng = np.random.default_rng(6)
    num = 500
    kind = rng.choice(KINDS, num)
    nodule, malignancy = rng.random(num).round(2), rng.random(num).round(2)
    order = rng.permutation(num)
    things = Things(kind, nodule, malignancy, 20)
    shuffled = Things(kind[order], nodule[order], malignancy[order], 20)
    for target in (MaxFalsePositives(2.0), MinMalignantSensitivity(0.8, 2.0)):
        assert solve(things, target) == solve(shuffled, target)
