# SPDX-License-Identifier: Apache-2.0
"""The table of candidates at LUNA16's real size, beside a plain row-by-row Python loop.

    .venv/bin/python benchmarks/candidates.py

551,065 candidates are LUNA16's first release, 754,975 its second. They are made of the 55,677 of
a published system: each place again and again, moved by some millimetres, since the real files are
not at hand (all random where there is no reference data; LUNG_PIPELINE_REFERENCE_DATA names it).
Ours reads the csv files and builds the whole table; the loop does the same for every tenth series,
and its seconds are scaled by the rows. Each runs in a process of its own, so that the peak of
memory is its own, imports included. Both must come to the same counts.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from candidates_row_by_row import plain

ROWS = (551_065, 754_975)
MOST_SECONDS, MOST_MB = 4.0, 1000.0
EVERY = 10
"""The loop takes every tenth series."""

MOVED_MM = 3.0
"""Standard deviation, along each axis, of a repeated candidate's place."""

SERIES, POINT = "seriesuid", ["coordX", "coordY", "coordZ"]
NAMES = ("annotations.csv", "annotations_excluded.csv", "annotations_with_malignancy.csv")
PATIENTS, CANDIDATES, TENTH = "LIDC-IDRI_MetaData.csv", "candidates.csv", "tenth.csv"


def in_own_process(work: Callable[..., Any], *arguments: object) -> Any:
    """Run in a fresh interpreter."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(work, *arguments).result()


def peak_mb() -> float:
    """The most memory this process ever held."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def write_tables(folder: Path, rows: int) -> str:
    """Write the csv files and say what they are made of."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    data = Path(
        os.environ.get("LUNG_PIPELINE_REFERENCE_DATA")
        or Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    is_real = (data / "luna16" / NAMES[0]).is_file()
    (copy_real if is_real else write_random)(data, folder, rng)
    few = pd.read_csv(folder / "few.csv")
    times = -(-rows // len(few))
    many = pd.concat([few] * times, ignore_index=True)[:rows]
    moved = slice(len(few), rows)
    many.loc[moved, POINT] += rng.normal(0, MOVED_MM, size=many.loc[moved, POINT].shape)
    many.loc[many.index[moved], "class"] = 0
    many.to_csv(folder / CANDIDATES, index=False, float_format="%.9g")
    tenth = sorted(set(many[SERIES]))[::EVERY]
    many[many[SERIES].isin(tenth)].to_csv(folder / TENTH, index=False, float_format="%.9g")
    return "real tables" if is_real else "random tables"


def copy_real(data: Path, folder: Path, _: Any) -> None:
    """The reference tables."""
    for name in NAMES:
        (folder / name).write_bytes((data / "luna16" / name).read_bytes())
    (folder / PATIENTS).write_bytes((data / "lidc" / PATIENTS).read_bytes())
    (folder / "few.csv").write_bytes((data / "luna16" / "candidates_standin.csv").read_bytes())


def write_random(_: Path, folder: Path, rng: Any) -> None:
    """Tables of the same size as the reference tables."""
    import pandas as pd

    series = [f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{rng.integers(10**17)}" for _ in range(888)]

    def marks(number: int) -> pd.DataFrame:
        points = pd.DataFrame(rng.uniform(-150, 150, size=(number, 3)), columns=POINT)
        return points.assign(**{SERIES: rng.choice(series, size=number)})

    nodules = marks(1_186).assign(diameter_mm=rng.uniform(3, 33, size=1_186))
    ratings = [str(rng.integers(1, 6, size=rng.integers(3, 5)).tolist()) for _ in nodules.index]
    excluded = marks(35_192).assign(diameter_mm=rng.choice([-1.0, 4.0, 9.0], size=35_192))
    rated = nodules.assign(mal_details=ratings)
    for name, table in zip(NAMES, (nodules, excluded, rated), strict=True):
        table.to_csv(folder / name, index=False)
    marks(55_677).assign(**{"class": 0}).to_csv(folder / "few.csv", index=False)
    patients = {"Patient Id": range(888), "Modality": "CT", "Series UID": series}
    pd.DataFrame(patients).to_csv(folder / PATIENTS, index=False)


def ours(folder: Path) -> dict[str, Any]:
    """Read and build all; then the tenth, for its counts."""
    import pandas as pd
    import pyarrow.csv  # noqa: F401 (imports are not what is measured)
    import scipy.sparse.csgraph
    import scipy.spatial  # noqa: F401

    from lung_pipeline.annotations import luna
    from lung_pipeline.annotations.candidates import build_candidates
    from lung_pipeline.annotations.rules import TwoOfReaders
    from lung_pipeline.annotations.splits import SplitRule

    before_mb, started, cpu = peak_mb(), time.perf_counter(), time.process_time()
    candidates = luna.read_candidates(folder / CANDIDATES)
    read_candidates = time.perf_counter()
    tables: dict[str, Any] = {
        "annotations": luna.read_annotations(folder / NAMES[0]),
        "excluded": luna.read_excluded(folder / NAMES[1]),
        "ratings": luna.read_ratings(folder / NAMES[2]),
        "patients": luna.read_patients(folder / PATIENTS),
    }
    series = sorted(pd.unique(candidates["series_uid"]))
    read = time.perf_counter()
    rules: dict[str, Any] = {"subset": "all", "split": SplitRule(), "rule": TwoOfReaders()}
    whole = build_candidates(series_uids=series, candidates=candidates, **tables, **rules)
    built, cpu = time.perf_counter(), time.process_time() - cpu
    measured = {
        "seconds": built - started,
        "of processors": cpu,
        "of the candidates' csv": read_candidates - started,
        "of the other csv": read - read_candidates,
        "of building": built - read,
        "MB": peak_mb(),
        "MB before": before_mb,
        "rows": len(whole.table),
        "counts": whole.counts,
    }
    few = {"series_uids": series[::EVERY], "candidates": luna.read_candidates(folder / TENTH)}
    return measured | {"tenth": build_candidates(**few, **tables, **rules).counts}


def told(rows: int, made_of: str, mine: dict[str, Any], loop: dict[str, Any]) -> None:
    """Both times, where ours goes, and whether the counts agree."""
    scaled = loop["seconds"] * rows / loop["rows"]
    print(f"\n{rows:,} candidates ({made_of}), {mine['rows']:,} rows in the table")
    print(
        f"  ours {mine['seconds']:6.2f} s (bar {MOST_SECONDS:g} s), "
        f"{mine['of processors']:.2f} s of processors   peak {mine['MB']:,.0f} MB, "
        f"{mine['MB before']:,.0f} MB of it imports (bar {MOST_MB:,.0f} MB)"
    )
    for what in ("of the candidates' csv", "of the other csv", "of building"):
        print(f"    {what:<24}{mine[what]:6.2f} s   {mine[what] / mine['seconds']:4.0%}")
    print(
        f"  plain loop {loop['seconds']:.2f} s for {loop['rows']:,}, scaled {scaled:.1f} s: "
        f"ours is {scaled / mine['seconds']:.0f} times as fast"
    )
    for name in sorted(name for name in loop["counts"]):
        same = loop["counts"][name] == mine["tenth"][name]
        print(
            f"    {name:<28}{mine['counts'][name]:>9,}   of the tenth {mine['tenth'][name]:>7,}"
            f"   loop {loop['counts'][name]:>7,}{'' if same else '   NOT THE SAME'}"
        )


def main() -> None:
    """Measure and print."""
    for rows in ROWS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            made_of = in_own_process(write_tables, folder, rows)
            mine = in_own_process(ours, folder)
            told(rows, made_of, mine, in_own_process(plain, folder, NAMES, TENTH))


if __name__ == "__main__":
    main()
