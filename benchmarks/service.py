# SPDX-License-Identifier: Apache-2.0
"""The service as a person runs it: one backfill makes everything, then a fourth subset arrives.

A fresh home with three subsets of phantoms, Dagster's own web server and daemon. One asset backfill
by `lung-pipeline backfill --all --assets all` makes volumes to scorecard. Then a fourth subset is
put below raw/, with both sensors on: it is ingested and diagnosed, and no command is given. The
trainings are as short as can be; what they learned is not the question. Prints how long each part
took, and fails where something is not made.

    python benchmarks/service.py [--scans 4]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_CHECKOUT / "lung_pipeline_tests"))

from dagster_servers import runs_of, serving, switch_sensor, until  # noqa: E402

from lung_pipeline.home import Home  # noqa: E402
from lung_pipeline.orchestration.backfill.webserver import Webserver  # noqa: E402
from lung_pipeline.phantom.folder import write_luna_folder  # noqa: E402
from lung_pipeline.tables import read_table  # noqa: E402

SENSORS, JOBS = ("new_luna_subset", "diagnose_new_subset"), ("ingest", "diagnose")
SEED = 4
"""Of this seed every part of the patients has nodules, also of a few."""

_SHORT = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "device": "cpu"}
CONFIG = {
    "ops": {
        # Long enough that it no longer marks half of the lung: that takes minutes.
        "segmentation_model": {
            "config": {
                "epochs": 1,
                "steps_per_epoch": 120,
                "batch_size": 16,
                "learning_rate": 6e-3,
                "device": "cpu",
            }
        },
        "nodule_model": {"config": _SHORT},
        "malignancy_model": {"config": _SHORT},
    }
}


def main() -> None:
    """Run it in a folder that is removed again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=4, help="Scans in each subset.")
    with tempfile.TemporaryDirectory() as root:
        serve(Home.at(root), parser.parse_args().scans)


def serve(home: Home, scans: int) -> None:
    """The whole of it over one home."""
    write_luna_folder(home.raw, num_subsets=4, scans_per_subset=scans, seed=SEED)
    (home.raw / "subset3").rename(home.root / "later")
    with serving(home) as webserver:
        for sensor in SENSORS:
            switch_sensor(webserver, sensor, on=False)
        timed("one backfill of three subsets", lambda: backfill(home, webserver))
        for subset in ("subset0", "subset1", "subset2"):
            check_diagnosed(home, subset, scans)
        if not any(home.scorecards.glob("test-*/scorecard.html")):
            raise SystemExit("there is no scorecard")
        # A slow start may have given a sensor its ticks before it was switched off.
        before = {job: runs_of(webserver, job) for job in JOBS}
        for sensor in SENSORS:
            switch_sensor(webserver, sensor, on=True)
        timed("a fourth subset, by sensors alone", lambda: arrive(home, webserver))
        check_diagnosed(home, "subset3", scans)
        for job in JOBS:
            runs = runs_of(webserver, job)
            if sorted(runs) != sorted([*before[job], ("subset3", "SUCCESS")]):
                raise SystemExit(f"other runs of {job} than one more: {runs}")
    print("all well: everything was made, and one ingest and one diagnose for the new subset")


def backfill(home: Home, webserver: Webserver) -> None:
    """The command, as a person gives it; its lines are shown."""
    subprocess.run(
        [
            Path(sys.executable).with_name("lung-pipeline"),
            *("backfill", "--all", "--assets", "all", "--url", webserver.url),
            *("--config-json", json.dumps(CONFIG)),
        ],
        env={**os.environ, "LUNG_PIPELINE_HOME": str(home.root)},
        check=True,
    )


def arrive(home: Home, webserver: Webserver) -> None:
    """Put the fourth subset below raw/, and wait for its diagnosis."""
    (home.root / "later").rename(home.raw / "subset3")

    def is_diagnosed() -> bool:
        runs = runs_of(webserver, "ingest") + runs_of(webserver, "diagnose")
        if any(state in ("FAILURE", "CANCELED") for _, state in runs):
            raise SystemExit(f"a run failed: {runs}")
        return ("subset3", "SUCCESS") in runs_of(webserver, "diagnose")

    until(is_diagnosed, "subset3 is diagnosed", deadline_s=1800)


def check_diagnosed(home: Home, subset: str, scans: int) -> None:
    """A verdict and a report for each patient of a subset."""
    table = read_table(home.diagnoses(subset))
    missing = [
        patient
        for patient in table["patient_id"]
        if not (home.report(subset, patient) / "report.html").is_file()
    ]
    if int(table["num_series"].sum()) != scans or missing:
        raise SystemExit(f"{subset}: {len(table)} verdicts, reports missing: {missing}")


def timed(what: str, work: Callable[[], None]) -> None:
    """Do it and say how long it took."""
    print(f"== {what}", flush=True)
    started = time.monotonic()
    work()
    print(f"== {what}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
