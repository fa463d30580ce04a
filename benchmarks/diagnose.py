# SPDX-License-Identifier: Apache-2.0
"""One CT from DICOM to diagnosis.json: ours in bfloat16 and in float32 beside the plain way.

    .venv/bin/python benchmarks/diagnose.py SCAN WEIGHTS [--repeats 3]

SCAN is a DICOM folder, WEIGHTS the folder with the book's two checkpoints (seg_*.state and
cls_*.state). Each way runs in a process of its own, in turn; loading of Python, torch and weights
is not counted, all else is, from the first byte of DICOM to diagnosis.json. Of each way the median
is printed with its steps, its peak of resident memory, and what became of the nodules that the
plain way finds surest.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

WAYS = ("bfloat16", "float32", "plain")
SURE, SAME_MM = 0.5, 5.0
"""Findings from this probability on are compared, with the nearest within this distance."""


def import_weights(weights: Path, into: Path) -> None:
    """The book's checkpoints as model folders."""
    from lung_pipeline.classification.reference import read_reference_classifier
    from lung_pipeline.learning.model_folder import ModelCard, write_model
    from lung_pipeline.segmentation.reference import read_reference_unet

    readers = {"seg": read_reference_unet, "cls": read_reference_classifier}
    for name, read in readers.items():
        [file] = weights.glob(f"{name}_*.state")
        model = read(file)
        card = ModelCard(
            network=type(model).__name__,
            architecture=model.architecture,
            purpose="benchmark",
            settings={},
            source="the book",
        )
        write_model(into / name, model, card)


def ours(scan: Path, models: Path, out: Path, precision: str) -> dict[str, Any]:
    """The product's own way, by the functions that the command calls."""
    # Ours loads these where they are needed first, the plain way at its head: not counted for both.
    for library in ("scipy.ndimage", "scipy.spatial", "pandas", "SimpleITK"):
        importlib.import_module(library)
    from lung_pipeline.ct.lungs import find_lungs
    from lung_pipeline.ct.quality import pass_gate
    from lung_pipeline.ct.reading import read_ct
    from lung_pipeline.diagnosis.files import write_diagnosis
    from lung_pipeline.diagnosis.memory import peak_bytes
    from lung_pipeline.diagnosis.models import NamedModels, read_models
    from lung_pipeline.diagnosis.scan import diagnose_volume

    named = NamedModels(read_models(models / "seg", models / "cls", None, precision=precision), {})
    laps = [time.perf_counter()]
    volume = read_ct(scan)
    laps.append(time.perf_counter())
    lungs = find_lungs(volume.voxels_hu, volume.grid)
    cautions = pass_gate(volume, lungs)
    laps.append(time.perf_counter())
    diagnosis, examined = diagnose_volume(volume, lungs, cautions, named)
    write_diagnosis(diagnosis, out)
    total = time.perf_counter() - laps[0]
    findings = [
        {"xyz_mm": [f.x_mm, f.y_mm, f.z_mm], "nodule_probability": f.nodule_probability}
        for f in diagnosis.findings
    ]
    reading, looking = np.diff(laps).tolist()
    seconds = {"reading": reading, "lungs and gate": looking, **examined.seconds}
    return {"findings": findings, "seconds": seconds, "total": total, "peak": peak_bytes()}


def plain(scan: Path, models: Path, out: Path) -> dict[str, Any]:
    """The baseline."""
    sys.path.insert(0, str(Path(__file__).parent))
    import plain_inference  # a script's neighbour, not a package

    from lung_pipeline.diagnosis.memory import peak_bytes

    weights = plain_inference.read_weights(models / "seg", models / "cls")
    started = time.perf_counter()
    told = plain_inference.diagnose(scan, *weights, out)
    return {**told, "total": time.perf_counter() - started, "peak": peak_bytes()}


def run_apart(way: str, scan: Path, models: Path) -> dict[str, Any]:
    """One way in a process of its own."""
    command = [sys.executable, __file__, str(scan), str(models), "--way", way]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def beside(found: dict[str, Any], baseline: dict[str, Any]) -> str:
    """How the baseline's sure findings come out, in words."""
    places = np.array([one["xyz_mm"] for one in found["findings"]]).reshape(-1, 3)
    sure = np.array([one["nodule_probability"] for one in found["findings"]])
    wanted = [one for one in baseline["findings"] if one["nodule_probability"] >= SURE]
    lines = []
    for one in sorted(wanted, key=lambda one: -one["nodule_probability"]):
        distance_mm = np.linalg.norm(places - one["xyz_mm"], axis=1)
        near = distance_mm <= SAME_MM
        theirs = f"{one['nodule_probability']:.4f}"
        lines.append(f"{theirs}: {f'{sure[near].max():.4f}' if near.any() else 'none'}")
    more = int((sure >= SURE).sum())
    return f"{len(sure)} findings, {more} from {SURE} on; plain's and ours: " + ", ".join(lines)


def report(scan: Path, weights: Path, repeats: int) -> None:
    """Run all ways in turn and print."""
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch)
        import_weights(weights, models)
        runs = [{way: run_apart(way, scan, models) for way in WAYS} for _ in range(repeats)]
    total = {way: statistics.median(run[way]["total"] for run in runs) for way in WAYS}
    for way in WAYS:
        steps = runs[0][way]["seconds"]
        medians = {s: statistics.median(run[way]["seconds"][s] for run in runs) for s in steps}
        told = ", ".join(f"{step} {seconds:.2f}" for step, seconds in medians.items())
        ratio = total["plain"] / total[way]
        peak = max(run[way]["peak"] for run in runs) / 1e9
        print(f"{way}: {total[way]:.2f} s ({told}), {ratio:.1f} times as fast, peak {peak:.2f} GB")
        print("    " + beside(runs[0][way], runs[0]["plain"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scan", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=WAYS)
    asked = parser.parse_args()
    if asked.way is None:
        report(asked.scan, asked.weights, asked.repeats)
        return
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        if asked.way == "plain":
            told = plain(asked.scan, asked.weights, out)
        else:
            precision = "float32" if asked.way == "float32" else "auto"
            told = ours(asked.scan, asked.weights, out, precision)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
