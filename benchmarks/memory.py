# SPDX-License-Identifier: Apache-2.0
"""The peak of resident memory of `lung-pipeline diagnose`, on scans from small to very large.

    .venv/bin/python benchmarks/memory.py WEIGHTS [SCAN ...] [--slices 100 300 700]

WEIGHTS is the folder with the book's two checkpoints. A phantom's chest is stretched to 512 x 512
and so many slices, written as .mhd and diagnosed by the command in a process of its own; further
scans are diagnosed as they are. Printed beside each peak is what the command reckoned with.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.reading import read_ct, read_grid, scans_in
from lung_pipeline.diagnosis.memory import needed_bytes
from lung_pipeline.phantom.folder import make_header, write_luna_folder

PIXELS = 512


def stretched(phantom: Path, num_slices: int, folder: Path) -> Path:
    """A phantom's scan on a finer grid of the same size in mm, voxels repeated, with new noise."""
    volume = read_ct(phantom)
    shape = (num_slices, PIXELS, PIXELS)
    places = [
        np.arange(wanted) * given // wanted
        for wanted, given in zip(shape, volume.voxels_hu.shape, strict=True)
    ]
    spacing = [
        step_mm * given / wanted
        for step_mm, given, wanted in zip(
            volume.grid.spacing_irc_mm, volume.voxels_hu.shape, shape, strict=True
        )
    ]
    grid = VoxelGrid(shape, (spacing[0], spacing[1], spacing[2]), volume.grid.origin_xyz_mm)
    name = f"stretched{num_slices}"
    with (folder / f"{name}.raw").open("wb") as file:
        for number, index in enumerate(places[0].tolist()):
            # The gate refuses the same picture twice.
            noise_hu = np.random.default_rng(number).integers(-9, 10, shape[1:])
            plane_hu = volume.voxels_hu[index][np.ix_(*places[1:])] + noise_hu
            file.write(plane_hu.astype("<i2").tobytes())
    header = folder / f"{name}.mhd"
    header.write_text(make_header(grid, f"{name}.raw"))
    return header


def diagnosed(scan: Path, folder: Path) -> tuple[float, float]:
    """The command on one scan: its peak in bytes, and its seconds."""
    command = [
        *(str(Path(sys.executable).parent / "lung-pipeline"), "diagnose", str(scan)),
        *("--out", str(folder / f"out-{scan.stem}")),
        *("--segmentation", str(folder / "seg"), "--nodule", str(folder / "cls")),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, "LUNG_PIPELINE_HOME": str(folder / "home")}
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"diagnose ended with {status}")
    return 1024.0 * usage.ru_maxrss, time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    sys.path.insert(0, str(Path(__file__).parent))
    from diagnose import import_weights  # a script's neighbour, not a package

    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("scans", type=Path, nargs="*")
    parser.add_argument("--slices", type=int, nargs="*", default=[100, 300, 700])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        import_weights(asked.weights, folder)
        write_luna_folder(folder / "raw", seed=4, num_subsets=1, scans_per_subset=1)
        [phantom] = scans_in(folder / "raw" / "subset0")
        made = [stretched(phantom, num_slices, folder) for num_slices in asked.slices]
        for scan in [*asked.scans, *made]:
            shape = read_grid(scan)[1].shape_irc
            peak, seconds = diagnosed(scan, folder)
            print(
                f"{' x '.join(map(str, shape))}: peak {peak / 1e9:.2f} GB,"
                f" reckoned with {needed_bytes(shape) / 1e9:.2f} GB, {seconds:.0f} s"
            )


if __name__ == "__main__":
    main()
