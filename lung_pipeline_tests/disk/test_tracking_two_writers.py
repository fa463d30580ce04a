# SPDX-License-Identifier: Apache-2.0
"""Two processes that write to one MLflow on SQLite at the same time lose no metric and no version.

Their first touch together is in ``test_tracking_runs.py``; on PostgreSQL, in
``test_tracking_postgresql.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lung_pipeline.home import Home
from lung_pipeline.tracking.names import CHALLENGER, NODULE, REGISTERED
from lung_pipeline.tracking.registry import find, versions
from lung_pipeline.tracking.server import connect

WRITERS, VERSIONS, STEPS = 2, 3, 6

_WRITE = """
import multiprocessing, sys
from pathlib import Path

import mlflow
from lung_pipeline.home import Home
from lung_pipeline.tracking.names import CHALLENGER, NODULE, REGISTERED
from lung_pipeline.tracking.registry import register
from lung_pipeline.tracking.runs import run

root, model, writers, versions, steps = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])

def write(barrier):
    barrier.wait()
    for number in range(versions):
        with run(Home.at(root), REGISTERED[NODULE], "one of many") as opened:
            for step in range(steps):
                opened.log_metrics({"loss": step, "auc": step}, step=step)
            register(opened, NODULE, Path(model), "0" * 64, CHALLENGER)

# MLflow is imported once, then the process is doubled: both begin at the same time.
forking = multiprocessing.get_context("fork")
barrier = forking.Barrier(writers)
started = [forking.Process(target=write, args=(barrier,)) for _ in range(writers)]
for one in started:
    one.start()
for one in started:
    one.join()
sys.exit(any(one.exitcode for one in started))
"""


@pytest.mark.slow
def test_two_writers_lose_no_metric_and_no_version(mlflow_home: Home, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights.safetensors").write_bytes(b"weights")
    numbers = [str(number) for number in (WRITERS, VERSIONS, STEPS)]
    done = subprocess.run(
        [sys.executable, "-c", _WRITE, str(mlflow_home.root), str(model), *numbers],
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = versions(mlflow_home)
    assert [one.version for one in made] == list(range(1, WRITERS * VERSIONS + 1))
    assert len({one.run_id for one in made}) == WRITERS * VERSIONS
    newest = find(mlflow_home, NODULE, CHALLENGER)
    assert newest is not None
    assert newest.version in {one.version for one in made}
    client = connect(mlflow_home)
    experiment = client.get_experiment_by_name(REGISTERED[NODULE])
    runs = client.search_runs([experiment.experiment_id])
    assert [one.info.status for one in runs] == ["FINISHED"] * WRITERS * VERSIONS
    for one in runs:
        for metric in ("loss", "auc"):
            history = client.get_metric_history(one.info.run_id, metric)
            assert sorted(entry.step for entry in history) == list(range(STEPS))
