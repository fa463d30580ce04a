# SPDX-License-Identifier: Apache-2.0
"""LUNA16's FROC of a published system, beside a plain Python loop over scans and findings.

    .venv/bin/python benchmarks/froc.py [DETECTIONS] [--luna16 FOLDER] [--resamples N]

55,677 detections on 888 scans with 1,186 nodules and 35,192 excluded marks, read from csv, matched,
scored and drawn anew N times. The loop matches as LUNA16's script does, a scan, a mark and a
finding at a time, without a bootstrap; both must come to the same counts. Each runs in a process
of its own, so that the peak of memory is its own, imports included; times are after imports.
LUNG_PIPELINE_REFERENCE_DATA names the folder of the data where no path is given.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from pathlib import Path

from candidates import in_own_process, peak_mb

MOST_SCORING_SECONDS, MOST_DRAWING_SECONDS, MOST_MB = 2.0, 15.0, 1000.0
"""Limits: reading and scoring, then 1,000 draws, and memory."""

Counts = dict[str, int]


def ours(paths: dict[str, Path], num_resamples: int) -> tuple[Counts, dict[str, float], float]:
    """Read, match, score, and draw."""
    import numpy as np  # noqa: F401
    import pandas as pd  # noqa: F401
    import pyarrow.csv  # noqa: F401
    from scipy.spatial import cKDTree  # noqa: F401

    from lung_pipeline.evaluation.detection.detections import read_scored_tables
    from lung_pipeline.evaluation.detection.froc import froc
    from lung_pipeline.evaluation.detection.froc_bootstrap import froc_figures

    start = time.perf_counter()
    tables = read_scored_tables(**paths, cap=None)
    read = time.perf_counter()
    matches = tables.matched()
    cpm = froc(matches, len(tables.series_uids)).cpm
    scored = time.perf_counter()
    figures = froc_figures(matches, num_resamples=num_resamples)
    drawn = time.perf_counter()
    print(f"CPM {cpm:.3f}, with its interval {figures.cpm}")
    seconds = {"reading": read - start, "scoring": scored - read, "drawing": drawn - scored}
    return matches.counts, seconds, peak_mb()


def plain_loop(paths: dict[str, Path], _: int) -> tuple[Counts, dict[str, float], float]:
    """Cross findings off a scan's list, mark by mark."""
    import csv

    start = time.perf_counter()
    rows: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for name, last in (
        ("detections", "probability"),
        ("annotations", "diameter_mm"),
        ("excluded", "diameter_mm"),
    ):
        rows[name] = defaultdict(list)
        with paths[name].open(newline="") as file:
            for row in csv.DictReader(file):
                numbers = (row["coordX"], row["coordY"], row["coordZ"], row[last])
                rows[name][row["seriesuid"]].append(tuple(map(float, numbers)))
    read = time.perf_counter()
    count: Counts = defaultdict(int)
    for series_uid in paths["series"].read_text().split():
        _match_scan(
            *(rows[n][series_uid] for n in ("detections", "annotations", "excluded")), count
        )
    scored = time.perf_counter()
    return count, {"reading": read - start, "matching": scored - read}, peak_mb()


def _match_scan(
    found: list[tuple[float, ...]],
    nodules: list[tuple[float, ...]],
    excluded: list[tuple[float, ...]],
    count: Counts,
) -> None:
    left = set(range(len(found)))
    for nodule in nodules:
        on = _within(found, nodule)
        count["hits" if on else "missed"] += 1
        count["double_hits"] += max(len(on) - 1, 0)
        left -= on
    for mark in excluded:
        on = _within(found, mark) & left
        count["on_excluded"] += len(on)
        left -= on
    count["false_positives"] += len(left)


def _within(found: list[tuple[float, ...]], mark: tuple[float, ...]) -> set[int]:
    x, y, z, diameter = mark
    squared = ((diameter if diameter >= 0 else 10.0) / 2) ** 2
    return {
        place
        for place, f in enumerate(found)
        if (f[0] - x) ** 2 + (f[1] - y) ** 2 + (f[2] - z) ** 2 < squared
    }


def told_paths() -> tuple[dict[str, Path], int]:
    """The files that are read, and the number of draws."""
    at_hand = Path(os.environ.get("LUNG_PIPELINE_REFERENCE_DATA", "reference_data"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    default = at_hand / "froc" / "dpn26_submission.csv"
    parser.add_argument("detections", type=Path, nargs="?", default=default)
    parser.add_argument("--luna16", type=Path, default=at_hand / "luna16")
    parser.add_argument("--resamples", type=int, default=1000)
    told = parser.parse_args()
    names = {
        "annotations": "annotations",
        "excluded": "annotations_excluded",
        "series": "seriesuids",
    }
    paths = {kind: told.luna16 / f"{name}.csv" for kind, name in names.items()}
    return {**paths, "detections": told.detections}, told.resamples


def main() -> int:
    """Print a markdown table; 1 where a limit is passed or the counts differ."""
    paths, num_resamples = told_paths()
    absent = [str(path) for path in paths.values() if not path.is_file()]
    if absent:
        print(f"skipped: no {', '.join(absent)} (LUNG_PIPELINE_REFERENCE_DATA names the folder)")
        return 0
    counts, seconds, mb = in_own_process(ours, paths, num_resamples)
    plain_counts, plain_seconds, plain_mb = in_own_process(plain_loop, paths, num_resamples)
    print("| | seconds | peak memory |\n|---|---|---|")
    for name, spent in seconds.items():
        print(f"| {name} | {spent:.2f} | {mb:.0f} MB |")
    for name, spent in plain_seconds.items():
        print(f"| plain loop, {name} | {spent:.2f} | {plain_mb:.0f} MB |")
    same = all(counts[name] == plain_counts[name] for name in plain_counts)
    scoring = seconds["reading"] + seconds["scoring"]
    drawing = scoring + seconds["drawing"]
    kept = scoring <= MOST_SCORING_SECONDS and drawing <= MOST_DRAWING_SECONDS and mb <= MOST_MB
    print(f"counts {'agree' if same else 'DIFFER'}; limits {'kept' if kept else 'PASSED'}")
    return 0 if same and kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
