# SPDX-License-Identifier: Apache-2.0
"""LUNA16's protocol gone through one scan, one mark and one finding at a time, beside ours.

Written from what its script does, in the script's order: findings are crossed off a list of the
scan, nodules before excluded marks; hits and false positives go to scikit-learn's ROC curve, whose
rates are scaled to false positives a scan and to all nodules. It shares no line with ours.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from lung_pipeline.annotations import luna
from lung_pipeline.evaluation.detection.detections import (
    read_detections,
    read_series_list,
    strongest_of_each_series,
)
from lung_pipeline.evaluation.detection.froc import FP_RATES, froc
from lung_pipeline.evaluation.detection.matching import match

Mark = tuple[float, float, float, float]
"""Three coordinates, then the score or the diameter."""


def _by_series(table: pd.DataFrame, last: str) -> dict[str, list[Mark]]:
    columns = [table[name] for name in ("series_uid", "x_mm", "y_mm", "z_mm", last)]
    scans: dict[str, list[Mark]] = {}
    for uid, x, y, z, value in zip(*columns, strict=True):
        scans.setdefault(str(uid), []).append((float(x), float(y), float(z), float(value)))
    return scans


def _capped(found: list[Mark], cap: int | None) -> list[Mark]:
    scores = sorted((mark[3] for mark in found), reverse=True)
    if cap is None or len(scores) <= cap:
        return found
    return [mark for mark in found if mark[3] > scores[cap]]


def _on(found: list[Mark], mark: Mark) -> list[int]:
    diameter = mark[3] if mark[3] >= 0 else 10.0
    squared = [sum((a - b) ** 2 for a, b in zip(f[:3], mark[:3], strict=True)) for f in found]
    return [place for place, far in enumerate(squared) if far < (diameter / 2) ** 2]


def step_by_step(
    findings: pd.DataFrame,
    nodules: pd.DataFrame,
    excluded: pd.DataFrame | None,
    series_uids: list[str],
    cap: int | None,
) -> tuple[list[float], Counter[str]]:
    """The seven sensitivities, and the script's own counts."""
    found_in, nodules_in = _by_series(findings, "score"), _by_series(nodules, "diameter_mm")
    marks_in = {} if excluded is None else _by_series(excluded, "diameter_mm")
    truth, scores, count = [], [], Counter[str]()
    for uid in series_uids:
        found = _capped(found_in.get(uid, []), cap)
        left = set(range(len(found)))
        for nodule in nodules_in.get(uid, []):
            on = _on(found, nodule)
            left -= set(on)
            count["nodules"] += 1
            if not on:
                continue
            count["hits"] += 1
            count["double_hits"] += len(on) - 1
            truth.append(1)
            scores.append(max(found[place][3] for place in on))
        for mark in marks_in.get(uid, []):
            on_mark = left & set(_on(found, mark))
            count["on_excluded"] += len(on_mark)
            left -= on_mark
        count["false_positives"] += len(left)
        truth += [0] * len(left)
        scores += [found[place][3] for place in left]
    return _at_the_seven(truth, scores, count, len(series_uids)), count


def _at_the_seven(
    truth: list[int], scores: list[float], count: Counter[str], num_series: int
) -> list[float]:
    if not count["hits"]:
        return [0.0] * len(FP_RATES)
    if not count["false_positives"]:
        return [count["hits"] / count["nodules"]] * len(FP_RATES)
    fpr, tpr, _ = roc_curve(truth, scores)
    fp_per_scan = fpr * count["false_positives"] / num_series
    sensitivity = tpr * count["hits"] / count["nodules"]
    return [float(np.interp(rate, fp_per_scan, sensitivity)) for rate in FP_RATES]


def _drawn(rng: np.random.Generator, num: int, values: np.ndarray, last: str) -> pd.DataFrame:  # type: ignore[type-arg]
    points = rng.integers(-6, 7, size=(num, 3)).astype(float)
    made = pd.DataFrame(points, columns=["x_mm", "y_mm", "z_mm"])
    made["series_uid"] = rng.choice([f"s{k}" for k in range(6)], num)
    made[last] = rng.choice(values, num)
    return made


@pytest.mark.parametrize(("seed", "cap"), [*itertools.product(range(25), [None, 3])])
def test_drawn_tables_are_scored_alike(seed: int, cap: int | None) -> None:
    """Whole places and few scores, so that borders, ties, overlaps and shared hits are common."""
    rng = np.random.default_rng(seed)
    findings = _drawn(rng, int(rng.integers(0, 80)), np.arange(6) / 5, "score")
    nodules = _drawn(rng, int(rng.integers(1, 12)), np.arange(3.0, 13.0), "diameter_mm")
    excluded = _drawn(rng, int(rng.integers(0, 12)), np.array([-1.0, 4.0, 8.0]), "diameter_mm")
    series_uids = [f"s{k}" for k in range(8)]
    expected, count = step_by_step(findings, nodules, excluded, series_uids, cap)
    counted = findings if cap is None else strongest_of_each_series(findings, cap)
    matches = match(counted, nodules, excluded, series_uids=series_uids)
    curve = froc(matches, len(series_uids))
    assert [curve.sensitivity_at(rate) for rate in FP_RATES] == pytest.approx(expected, abs=1e-12)
    for name in ("hits", "on_excluded", "false_positives"):
        assert matches.counts[name] == count[name]
    # The script counts further hits nodule by nodule; a finding on two nodules is one to us.
    assert np.maximum(matches.nodule_num_findings - 1, 0).sum() == count["double_hits"]


@pytest.mark.parametrize("cap", [None, 20])
@pytest.mark.parametrize("with_excluded", [True, False])
def test_published_detections_are_scored_alike(
    reference_data: Path, cap: int | None, with_excluded: bool
) -> None:
    """Every twelfth scan of LUNA16, with the published system's detections."""
    series_uids = list(read_series_list(reference_data / "luna16" / "seriesuids.csv"))[::12]
    found = read_detections(reference_data / "froc" / "dpn26_submission.csv")
    nodules = luna.read_annotations(reference_data / "luna16" / "annotations.csv")
    marks = luna.read_excluded(reference_data / "luna16" / "annotations_excluded.csv")
    found, nodules, marks = (t[t["series_uid"].isin(series_uids)] for t in (found, nodules, marks))
    excluded = marks if with_excluded else None
    expected, count = step_by_step(found, nodules, excluded, series_uids, cap)
    counted = found if cap is None else strongest_of_each_series(found, cap)
    matches = match(counted, nodules, excluded, series_uids=series_uids)
    curve = froc(matches, len(series_uids))
    assert [curve.sensitivity_at(rate) for rate in FP_RATES] == pytest.approx(expected, abs=1e-12)
    assert count["false_positives"] == matches.counts["false_positives"] > 1000
    assert count["double_hits"] == matches.counts["double_hits"]
