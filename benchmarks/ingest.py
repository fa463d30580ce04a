# SPDX-License-Identifier: Apache-2.0
"""How fast full-size scans are ingested, beside reading and packing them with nothing else.

    .venv/bin/python benchmarks/ingest.py [--scans 1 5 10 20] [--rounds 3] [--zraw] [--folder DIR]

A phantom of 300 slices of 512 x 512 is drawn once and written as LUNA16 writes scans (.mhd beside
.raw, or .zraw with --zraw): every scan is the same chest turned by some columns, so that no two
files are alike, and every second one has its axes flipped as LUNA16's have. Then, in turn, each in
a process of its own and on an empty folder:

- plain: SimpleITK reads the scan, blosc packs it as we do (zstd 3, bitshuffle, with as many threads
  as it takes by itself), and one file is written; no check, no hash, no HU, no chunks;
- ours: `raw_subset` and `hu_volumes`: every file is checked and hashed, its values are judged and
  clipped, axes turned, and a chunked Zarr array is written whole.

Seconds are without imports. Of each number of scans the fastest round counts. Printed are seconds
and processor seconds a scan, the peak of resident memory, and the line through the numbers of
scans. Ends with 1 where a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LEAST_SHARE = 0.60
"""Of the plain way's speed."""

MOST_BYTES = 1.2e9
"""Resident, at any moment."""

LEAST_R2 = 0.98
"""Of the line through seconds by scans."""

SUBSET = "subset0"


def make_scans(folder: Path, num_scans: int, *, is_packed: bool) -> None:
    """Write the scans of a subset."""
    import SimpleITK

    from lung_pipeline.phantom.folder import make_header
    from lung_pipeline.phantom.plan import plan_scan
    from lung_pipeline.phantom.render import render

    folder.mkdir(parents=True)
    # Seed 0's second scan has exactly 300 slices, and axes flipped as LUNA16's.
    plan = plan_scan(0, 0, 1, "full")
    voxels_hu = plan.axes.turn_voxels(render(plan)).astype("<i2")
    for number in range(num_scans):
        header = folder / f"scan{number:02d}.mhd"
        grid = plan.file_grid if number % 2 else plan.grid
        np.roll(voxels_hu, number, axis=2).tofile(header.with_suffix(".raw"))
        header.write_text(make_header(grid, header.with_suffix(".raw").name))
        if is_packed:
            image = SimpleITK.ReadImage(str(header))
            header.with_suffix(".raw").unlink()
            SimpleITK.WriteImage(image, str(header), useCompression=True)


def plain(raw: Path, out: Path) -> Callable[[], None]:
    """Reading, packing, writing."""
    import SimpleITK
    from numcodecs import Blosc

    codec = Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE)

    def work() -> None:
        for scan in sorted(raw.glob("*.mhd")):
            image = SimpleITK.ReadImage(str(scan))
            values = SimpleITK.GetArrayViewFromImage(image)
            (out / f"{scan.stem}.blosc").write_bytes(codec.encode(values))

    return work


def ours(raw: Path, out: Path) -> Callable[[], None]:
    """What the assets `raw_subset` and `hu_volumes` call."""
    # Imported beforehand, as the step of a run has them from its start.
    import pandas  # noqa: F401, ICN001
    import pyarrow.parquet  # noqa: F401
    import SimpleITK  # noqa: F401
    import zarr  # noqa: F401

    from lung_pipeline.ct.subset import convert_volumes, list_raw
    from lung_pipeline.home import Home

    home = Home.at(out)
    home.raw.mkdir()
    home.raw_subset(SUBSET).symlink_to(raw)

    def work() -> None:
        list_raw(home, SUBSET)
        manifest, _ = convert_volumes(home, SUBSET)
        if len(manifest) != len(list(raw.glob("*.mhd"))) or manifest["problem"].any():
            sys.exit(f"not every scan was converted: {manifest['problem'].tolist()}")

    return work


WAYS = {"plain": plain, "ours": ours}


def measure_here(way: str, raw: Path, out: Path) -> dict[str, float]:
    """Seconds, processor seconds and peak memory of one way in this process."""
    work = WAYS[way](raw, out)
    before, started = os.times(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - started, os.times()
    return {
        "seconds": seconds,
        "processor_s": after.user + after.system - before.user - before.system,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> float:
    """Of this process since it began; `getrusage` would count what its parent held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024.0 * int(line.split()[1])
    return float("nan")


def measure(way: str, raw: Path, scratch: Path) -> dict[str, float]:
    """The same in a process of its own; what it wrote is removed."""
    out = scratch / "out"
    out.mkdir()
    os.sync()
    command = [sys.executable, __file__, "--only", way, "--raw", str(raw), "--out", str(out)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    shutil.rmtree(out)
    return dict(json.loads(answer.stdout))


def measured(
    scratch: Path, num_scans: int, asked: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Both ways in turn on the first so many scans; the fastest round, the highest peak."""
    raw = scratch / f"first{num_scans}"
    raw.mkdir()
    for file in sorted((scratch / "scans").iterdir()):
        if int(file.stem.removeprefix("scan")) < num_scans:
            os.link(file, raw / file.name)
    rounds = [{way: measure(way, raw, scratch) for way in WAYS} for _ in range(asked.rounds)]
    best = {}
    for way in WAYS:
        of_way = [one[way] for one in rounds]
        best[way] = {key: min(one[key] for one in of_way) for key in of_way[0]}
        best[way]["peak_bytes"] = max(one["peak_bytes"] for one in of_way)
    return best


def line(nums: list[int], seconds: list[float]) -> tuple[float, float, float]:
    """Seconds a scan, seconds at none, and the share of the variance that the line explains."""
    slope, at_none = np.polyfit(nums, seconds, 1)
    rest = np.asarray(seconds) - (slope * np.asarray(nums) + at_none)
    return float(slope), float(at_none), float(1 - np.var(rest) / np.var(seconds))


def told(nums: list[int], found: list[dict[str, dict[str, float]]]) -> bool:
    """Print all figures; whether all bounds hold."""
    print(
        "| scans | plain, s a scan | ours | share of the speed | processor s, plain | ours | peak |"
    )
    print("|---|---|---|---|---|---|---|")
    shares = []
    for num, best in zip(nums, found, strict=True):
        one, other = best["plain"], best["ours"]
        shares.append(one["seconds"] / other["seconds"])
        print(
            f"| {num} | {one['seconds'] / num:.2f} | {other['seconds'] / num:.2f} "
            f"| {shares[-1]:.0%} | {one['processor_s'] / num:.2f} "
            f"| {other['processor_s'] / num:.2f} | {other['peak_bytes'] / 1e9:.2f} GB |"
        )
    peak = max(best["ours"]["peak_bytes"] for best in found)
    holds = shares[-1] >= LEAST_SHARE and peak <= MOST_BYTES
    print(f"share of the plain speed {shares[-1]:.0%} (wanted: {LEAST_SHARE:.0%})")
    print(f"peak of resident memory {peak / 1e9:.2f} GB (wanted: {MOST_BYTES / 1e9:g} GB)")
    if len(nums) > 2:
        slope, at_none, r2 = line(nums, [best["ours"]["seconds"] for best in found])
        print(f"{slope:.2f} s a scan + {at_none:.2f} s, R² {r2:.4f} (wanted: {LEAST_R2:g})")
        holds = holds and r2 >= LEAST_R2
    return holds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scans", type=int, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--zraw", action="store_true", help="packed with zlib, as .zraw")
    parser.add_argument("--folder", type=Path, help="where to write; 6 GB for 20 scans")
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--raw", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(measure_here(asked.only, asked.raw, asked.out)))
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        scratch, nums = Path(folder), sorted(asked.scans)
        make_scans(scratch / "scans", nums[-1], is_packed=asked.zraw)
        found = [measured(scratch, num, asked) for num in nums]
    sys.exit(0 if told(nums, found) else 1)


if __name__ == "__main__":
    main()
