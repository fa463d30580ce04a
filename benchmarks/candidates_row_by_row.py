# SPDX-License-Identifier: Apache-2.0
"""The table of candidates as anybody would write it first: what ``candidates.py`` is timed beside.

Nothing but the standard library, one row after the other; no needless work either: marks are
looked up by their series, and the search for near-duplicates walks along z.
"""

from __future__ import annotations

import csv
import math
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

Place = tuple[float, float, float]


def place(row: dict[str, str]) -> Place:
    """The centre a row names, mm."""
    return float(row["coordX"]), float(row["coordY"]), float(row["coordZ"])


def rows_by_series(path: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of each series."""
    by_series = defaultdict(list)
    with path.open(newline="") as text:
        for row in csv.DictReader(text):
            by_series[row["seriesuid"]].append(row)
    return by_series


def balls(rows: list[dict[str, str]]) -> list[tuple[Place, float]]:
    """Centre and radius of each row; an unknown diameter is 10 mm."""
    diameters = [float(row["diameter_mm"]) for row in rows]
    return [
        (place(row), (10.0 if d < 0 else d) / 2) for row, d in zip(rows, diameters, strict=True)
    ]


def in_any(point: Place, among: list[tuple[Place, float]]) -> bool:
    """Whether a point lies in a ball."""
    return any(math.dist(point, centre) <= radius for centre, radius in among)


def merged(points: list[Place]) -> list[Place]:
    """One point of each cluster, by a walk along z and a chain of references."""
    points = sorted(points, key=lambda point: point[::-1])
    first = list(range(len(points)))

    def root(k: int) -> int:
        while first[k] != k:
            k = first[k]
        return k

    for k, point in enumerate(points):
        for other in range(k - 1, -1, -1):
            if point[2] - points[other][2] > 1:
                break
            if math.dist(point, points[other]) <= 1:
                low, high = sorted((root(k), root(other)))
                first[high] = low
    return [point for k, point in enumerate(points) if first[k] == k]


def labelled(nodule: Place, rated: list[dict[str, str]]) -> str:
    """What two of the readers say."""
    for row in rated:
        if math.dist(nodule, place(row)) <= 1:
            ratings = [int(one) for one in row["mal_details"].strip("[]").split(",")]
            return "malignant" if sum(one >= 4 for one in ratings) >= 2 else "benign"
    return "unrated"


def plain(folder: Path, names: tuple[str, ...], candidates_name: str) -> dict[str, Any]:
    """Nodules and negatives of every series that has candidates; times reading and building.

    Args:
        folder: where the csv files are.
        names: those of the nodules, the excluded findings and the ratings.
        candidates_name: that of the candidates.
    """
    started = time.perf_counter()
    nodules, excluded, rated = (rows_by_series(folder / name) for name in names)
    candidates = rows_by_series(folder / candidates_name)
    counts: Counter[str] = Counter()
    table = []
    for series in sorted(candidates):
        marked, doubtful = balls(nodules[series]), balls(excluded[series])
        for centre, radius in marked:
            label = labelled(centre, rated[series])
            counts[label] += 1
            table.append((series, True, *centre, 2 * radius, label))
        outside = []
        for row in candidates[series]:
            point = place(row)
            if row["class"] == "1":
                counts["candidates_of_class_1"] += 1
            elif in_any(point, marked):
                counts["negatives_inside_nodules"] += 1
            elif in_any(point, doubtful):
                counts["negatives_on_excluded"] += 1
            else:
                outside.append(point)
        negatives = merged(outside)
        counts["near_duplicates_merged"] += len(outside) - len(negatives)
        counts["negatives"] += len(negatives)
        table += [(series, False, *point, math.nan, "") for point in negatives]
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "rows": sum(map(len, candidates.values())), "counts": counts}
