# SPDX-License-Identifier: Apache-2.0
"""Two trainings launched together run one after the other, by the repository's own dagster.yaml.

The assets, their pool and the executor are the real ones; only the home answers when the test lets
it, so that the first training holds the card until the second has said that it waits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TRAININGS = ["segmentation_model", "nodule_model"]
DEADLINE_S = 300

CODE = """
import os, pathlib, time
import dagster as dg
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.resources import HomeResource

class HeldHome(HomeResource):
    def open(self):
        last = time.monotonic() + 300
        while not pathlib.Path(os.environ["GO"]).exists() and time.monotonic() < last:
            time.sleep(0.05)
        return super().open()

@dg.definitions
def defs():
    return build_defs(home=HeldHome())
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[dg.DagsterInstance, Path]]:
    """Both trainings under way, each a process of its own; the file that lets the first go on."""
    (tmp_path / "held_definitions.py").write_text(CODE)
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", home)
    go = tmp_path / "go"
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "LUNG_PIPELINE_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        "GO": str(go),
    }
    # Its tables are made once, by one: two that make them at once get in each other's way.
    with dg.DagsterInstance.from_config(str(home)) as instance:
        processes = [_launch(asset, environment, tmp_path / asset) for asset in TRAININGS]
        try:
            yield instance, go
        finally:
            go.touch()
            for process in processes:
                process.kill() if _is_late(process) else None
                process.wait()


def _launch(asset: str, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    command = ["dagster", "asset", "materialize", "-m", "held_definitions", "--select", asset]
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, stdout=said, stderr=said
        )


def _is_late(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _events(instance: dg.DagsterInstance, kind: dg.DagsterEventType) -> list[tuple[float, str]]:
    """When and in which run something happened."""
    logs = [entry for run in instance.get_runs() for entry in instance.all_logs(run.run_id, kind)]
    return sorted((entry.timestamp, entry.run_id) for entry in logs)


def _waiting(instance: dg.DagsterInstance) -> set[str]:
    """The runs whose log says that they wait for the pool."""
    said = [
        (run.run_id, entry.dagster_event.message or "")
        for run in instance.get_runs()
        for entry in instance.all_logs(run.run_id, dg.DagsterEventType.ENGINE_EVENT)
        if entry.dagster_event
    ]
    return {run_id for run_id, message in said if "blocked by limit for pool gpu" in message}


def _until(holds: Iterator[bool]) -> None:
    last = time.monotonic() + DEADLINE_S
    while not next(holds):
        assert time.monotonic() < last
        time.sleep(0.2)


def test_two_trainings_launched_together_run_one_after_the_other(
    started: tuple[dg.DagsterInstance, Path],
) -> None:
    instance, go = started
    begun, ended = dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_FAILURE
    _until(len(_events(instance, begun)) >= (1 if _waiting(instance) else 2) for _ in iter(int, 1))
    assert len(_events(instance, begun)) == 1
    go.touch()
    # There is no data: each ends with an error once it may look.
    _until(len(_events(instance, ended)) == 2 for _ in iter(int, 1))

    (first_begin, first), (second_begin, second) = _events(instance, begun)
    (first_end, first_ended), (_, second_ended) = _events(instance, ended)
    assert first_begin < first_end <= second_begin
    assert (first_ended, second_ended) == (first, second)
    assert _waiting(instance) == {second}
    info = instance.event_log_storage.get_concurrency_info("gpu")
    assert (info.slot_count, info.active_slot_count) == (1, 0)
