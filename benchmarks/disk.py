# SPDX-License-Identifier: Apache-2.0
"""How much disk a scan takes at each stage, and LUNA16's 888 of them.

    .venv/bin/python benchmarks/disk.py [SCAN ...] [--home HOME]

A full-size phantom (512 x 512 x 300) and each SCAN (a DICOM folder, an .mhd) are written as
volumes; what a voxel takes is measured there, what a crop takes is its shape. Of a HOME that has
findings and reports, what a scan takes of these is measured too (`lung-pipeline home usage`).

LUNA16's sizes: 888 scans; 551,065 candidates and 1,186 nodules, all of which are cut (a few less,
since doubles are merged). Its slice counts stand in no table here: TCIA tells 244,527 images in
LIDC-IDRI's 1,018 CTs, which is 240 a scan, X-rays among them. Beside it stand 300 for every scan.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

from lung_pipeline.crops.signatures import SIGNATURE_LENGTH
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.store import write_volume
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.home import Home
from lung_pipeline.housekeeping.usage import usage_of
from lung_pipeline.phantom.folder import write_scan
from lung_pipeline.phantom.plan import plan_scan

NUM_SCANS, NUM_CROPS = 888, 551_065 + 1_186
SLICE_VOXELS = 512 * 512
SLICES = {"240 slices a scan": 240, "300 slices a scan": 300}
WANTED_GB = 220.0


def bytes_a_voxel(volume: CtVolume, folder: Path) -> float:
    """Of a stored volume, all its files counted."""
    place = folder / f"{volume.series_uid}.zarr"
    write_volume(volume, place)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    print(
        f"{volume.series_uid[-20:]}: {volume.grid.shape_irc}, volume {size / 1e6:.1f} MB, "
        f"{size / volume.voxels_hu.size:.3f} bytes a voxel"
    )
    return size / volume.voxels_hu.size


def measured_of(home: Home) -> dict[str, float]:
    """Bytes a scan of the stages that hang on what is found, where the home has any."""
    return {
        stage.stage: stage.bytes_per_scan
        for stage in usage_of(home).stages
        if stage.stage in ("findings", "reports") and stage.bytes_per_scan
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scans", type=Path, nargs="*")
    parser.add_argument("--home", type=Path, help="a home with findings and reports")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plan = plan_scan(0, 0, 1, "full")
        write_scan(plan, folder)
        scans = [folder / f"{plan.series_uid}.mhd", *asked.scans]
        packed = max(bytes_a_voxel(read_ct(scan), folder) for scan in scans)
    crop_bytes = 2 * math.prod(CROP_SHAPE_IRC) + 2 * SIGNATURE_LENGTH
    print(f"the largest of these counts for each volume; a crop takes {crop_bytes} bytes\n")
    found = measured_of(Home.at(asked.home)) if asked.home else {}
    print("| stage, in GB | " + " | ".join(SLICES) + " |\n|---|" + "---|" * len(SLICES))
    rows = {
        "raw scans": [2.0 * SLICE_VOXELS * n * NUM_SCANS for n in SLICES.values()],
        "volumes": [packed * SLICE_VOXELS * n * NUM_SCANS for n in SLICES.values()],
        "crops": [float(crop_bytes * NUM_CROPS)] * len(SLICES),
        **{stage: [size * NUM_SCANS] * len(SLICES) for stage, size in found.items()},
    }
    for stage, sizes in rows.items():
        print(f"| {stage} | " + " | ".join(f"{size / 1e9:.1f}" for size in sizes) + " |")
    with_raw = [sum(sizes) / 1e9 for sizes in zip(*rows.values(), strict=True)]
    without = [gb - raw / 1e9 for gb, raw in zip(with_raw, rows["raw scans"], strict=True)]
    print("| together | " + " | ".join(f"{gb:.1f}" for gb in with_raw) + " |")
    print("| without the raw scans | " + " | ".join(f"{gb:.1f}" for gb in without) + " |")
    print(f"(wanted: well under {WANTED_GB:g} GB)")


if __name__ == "__main__":
    main()
