# SPDX-License-Identifier: Apache-2.0
"""Dagster's instance on a real PostgreSQL: a job of ours, the pool, partitions, a sensor's tick."""

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
from postgres_server import PASSWORD, Server

from lung_pipeline.errors import ServiceError
from lung_pipeline.home import Home
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.orchestration.op_tags import GPU_POOL
from lung_pipeline.orchestration.partitions import known_subsets
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tables import read_table

pytestmark = pytest.mark.slow

DEADLINE_S = 300

# As docs/how-to/postgresql.md has it; no run is begun by the daemon, so that the queue can be read.
SETTINGS = """
telemetry:
  enabled: false
storage:
  postgres:
    postgres_db:
      scheme: postgresql+psycopg2
      hostname: {env: DAGSTER_PG_HOST}
      port: {env: DAGSTER_PG_PORT}
      username: {env: DAGSTER_PG_USER}
      password: {env: DAGSTER_PG_PASSWORD}
      db_name: {env: DAGSTER_PG_DATABASE}
concurrency:
  pools:
    granularity: op
    default_limit: 1
  runs:
    max_concurrent_runs: 0
"""

_TICKS_WITH_A_RUN = "select count(*) from job_ticks where status = 'SUCCESS'"


DATABASE = "of_runs"
"""Not dagster: another test of the same server runs the script that makes that one."""


@pytest.fixture(scope="module")
def settings(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Dagster whose storage is a fresh database."""
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text(SETTINGS)
    postgresql.new_database(DATABASE)
    return {
        "DAGSTER_HOME": str(folder),
        "DAGSTER_PG_HOST": "127.0.0.1",
        "DAGSTER_PG_PORT": str(postgresql.port),
        "DAGSTER_PG_USER": "lung",
        "DAGSTER_PG_PASSWORD": PASSWORD,
        "DAGSTER_PG_DATABASE": DATABASE,
    }


@pytest.fixture
def home(settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home, whose Dagster writes to PostgreSQL."""
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(tmp_path / "home"))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Home.from_environment()


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is handed out of one subset: two small scans and the tables."""
    folder = tmp_path_factory.mktemp("phantoms") / "raw"
    write_luna_folder(folder, num_subsets=1, scans_per_subset=2, seed=6)
    return folder


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        yield opened


def test_ingest_runs_and_all_it_did_lies_in_the_database(
    home: Home, phantoms: Path, instance: dg.DagsterInstance, postgresql: Server
) -> None:
    shutil.copytree(phantoms, home.raw)
    assert sync_subsets(home, instance) == ["subset0"]
    assert known_subsets(instance) == ["subset0"]
    assert run_job(home, instance, "ingest", partition="subset0").success
    assert len(read_table(home.manifest("hu_volumes", "subset0"))) == 2
    record = instance.get_latest_materialization_event(dg.AssetKey("crops"))
    assert record is not None
    assert record.asset_materialization is not None
    assert record.asset_materialization.partition == "subset0"
    ask = "select distinct asset_key from event_logs where dagster_event_type = "
    made = postgresql.rows(DATABASE, ask + "'ASSET_MATERIALIZATION'")
    assert {'["raw_subset"]', '["hu_volumes"]', '["candidates"]', '["crops"]'} <= set(made)
    assert postgresql.rows(DATABASE, "select status from runs") == ["SUCCESS"]
    assert not list(Path(os.environ["DAGSTER_HOME"]).rglob("*.db"))  # nothing in SQLite beside it


def test_pool_of_one_gives_its_slot_to_one_step_at_a_time(instance: dg.DagsterInstance) -> None:
    slots = instance.event_log_storage
    slots.initialize_concurrency_limit_to_default(GPU_POOL)
    first = slots.claim_concurrency_slot(GPU_POOL, "run-1", "nodule_model")
    second = slots.claim_concurrency_slot(GPU_POOL, "run-2", "nodule_model")
    assert (first.is_claimed, second.is_claimed) == (True, False)
    slots.free_concurrency_slots_for_run("run-1")
    assert slots.claim_concurrency_slot(GPU_POOL, "run-2", "nodule_model").is_claimed
    slots.free_concurrency_slots_for_run("run-2")


def test_daemon_ticks_the_sensor_and_queues_a_run_for_a_new_subset(
    home: Home, phantoms: Path, instance: dg.DagsterInstance, postgresql: Server
) -> None:
    shutil.copytree(phantoms / "subset0", home.raw_subset("dropped_in"))
    (home.raw_subset("dropped_in") / ".done").touch()
    program = str(Path(sys.executable).parent / "dagster-daemon")
    daemon = subprocess.Popen(
        [program, "run", "-m", "lung_pipeline.definitions"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + DEADLINE_S
        # The run stands in the queue a moment before its tick is told to be over.
        while postgresql.rows(DATABASE, _TICKS_WITH_A_RUN) == ["0"]:
            assert daemon.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        daemon.terminate()
        daemon.wait(DEADLINE_S)
    queued = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    assert [run.tags["dagster/partition"] for run in queued] == ["dropped_in"]
    assert "dropped_in" in known_subsets(instance)


def test_absent_database_is_told_in_one_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PORT", "1")  # where nobody listens without being root
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lung-pipeline"), "subsets", "sync"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "refused" in line
    assert "dagster.yaml" in line
    assert "postgresql.md" in line
    assert PASSWORD not in line


def test_setting_that_the_environment_lacks_is_told_in_one_line(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_PG_PASSWORD")
    with pytest.raises(ServiceError, match="DAGSTER_PG_PASSWORD"):
        open_instance(home)
