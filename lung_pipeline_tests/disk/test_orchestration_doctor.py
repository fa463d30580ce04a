# SPDX-License-Identifier: Apache-2.0
"""The doctor: what it gives up, what it never touches, and what it says."""

# No `from __future__ import annotations`: Dagster compares annotations of `context` itself.

import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.events import EngineEventData

from lung_pipeline.cli import main
from lung_pipeline.cli.doctor import _QUIET_S
from lung_pipeline.home import Home
from lung_pipeline.orchestration.doctor import processes_of_runs
from lung_pipeline.orchestration.doctor.held_slots import find_held_slots
from lung_pipeline.orchestration.doctor.mlflow_runs import find_open_mlflow_runs
from lung_pipeline.orchestration.doctor.processes_of_runs import QUIET_S
from lung_pipeline.orchestration.doctor.zombie_runs import find_zombies
from lung_pipeline.orchestration.launch import open_instance
from lung_pipeline.orchestration.machine_tag import MACHINE_TAG
from lung_pipeline.orchestration.resources import HomeResource
from lung_pipeline.orchestration.sensors import zombie_runs
from lung_pipeline.processes import machine, place
from lung_pipeline.tracking.open_runs import open_runs
from lung_pipeline.tracking.server import connect, experiment_id

DEAD_PID = 4_194_304
"""One more than the highest that Linux gives."""


@dg.asset(pool="gpu")
def thing() -> None:
    """Never made here."""


JOB = dg.Definitions(assets=[thing], jobs=[dg.define_asset_job("things", [thing])]).resolve_job_def(
    "things"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    root = tmp_path / "home"
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(root))
    monkeypatch.setenv("DAGSTER_HOME", str(root / "dagster"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Home.at(root)


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        yield opened


def _started(
    instance: dg.DagsterInstance, *pids: int, tags: dict[str, str] | None = None
) -> dg.DagsterRun:
    """A run whose log names some processes and that never ended."""
    run = instance.create_run_for_job(JOB, tags=tags)
    for pid in pids:
        started = dg.DagsterEvent("PIPELINE_START", "things", pid=pid)
        instance.report_dagster_event(started, run.run_id)
    return run


def _zombies(instance: dg.DagsterInstance, quiet_s: float = 0.0, given_up: str = "") -> list[str]:
    found = list(find_zombies(instance, quiet_s, given_up))
    return [f"{one.what} {one.where.split()[0]}" for one in found]


def test_run_is_given_up_only_when_each_of_its_processes_is_gone(
    instance: dg.DagsterInstance,
) -> None:
    dead = _started(instance, DEAD_PID)
    _started(instance, DEAD_PID, os.getpid())
    by_metadata = _started(instance, DEAD_PID)
    here = EngineEventData.in_process(os.getpid())
    instance.report_engine_event("Executing steps", by_metadata, here)
    assert _zombies(instance) == [f"zombie run {dead.run_id}"]


def test_run_that_was_just_logged_or_has_not_begun_is_left_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, unbegun = _started(instance, DEAD_PID), _started(instance)
    assert _zombies(instance, QUIET_S) == []
    assert _zombies(instance) == [f"zombie run {dead.run_id}"]
    monkeypatch.setattr(processes_of_runs, "UNBEGUN_S", 0.0)
    assert sorted(_zombies(instance)) == sorted(
        [f"zombie run {dead.run_id}", f"zombie run {unbegun.run_id}"]
    )


def test_run_of_another_machine_is_told_and_only_given_up_by_name(
    instance: dg.DagsterInstance,
) -> None:
    there = _started(instance, DEAD_PID, tags={MACHINE_TAG: f"not-{machine()}"})
    here = _started(instance, DEAD_PID, tags={MACHINE_TAG: machine()})
    assert sorted(_zombies(instance)) == sorted(
        [f"run of another machine {there.run_id}", f"zombie run {here.run_id}"]
    )
    (told,) = [one for one in find_zombies(instance, 0.0) if there.run_id in one.where]
    assert told.treat is None
    assert f"--run {there.run_id}" in told.cure
    assert f"zombie run {there.run_id}" in _zombies(instance, given_up=there.run_id)


def test_cure_fails_the_run_and_frees_its_slot(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    storage.set_concurrency_slots("gpu", 1)
    run = _started(instance, DEAD_PID)
    assert storage.claim_concurrency_slot("gpu", run.run_id, "thing").is_claimed
    assert list(find_held_slots(instance)) == []  # it may still be at work
    (zombie,) = find_zombies(instance, 0.0)
    assert zombie.treat is not None
    zombie.treat()
    after = instance.get_run_by_id(run.run_id)
    assert after is not None
    assert after.status is dg.DagsterRunStatus.FAILURE
    assert storage.claim_concurrency_slot("gpu", "the next run", "thing").is_claimed


def test_slot_of_a_run_that_ended_is_free_once_its_processes_are_gone(
    instance: dg.DagsterInstance,
) -> None:
    storage = instance.event_log_storage
    storage.set_concurrency_slots("gpu", 2)
    ended, outlived = _started(instance, DEAD_PID), _started(instance, os.getpid())
    for run in (ended, outlived):
        assert storage.claim_concurrency_slot("gpu", run.run_id, "thing").is_claimed
        instance.report_run_failed(run, "ended")
    (held,) = find_held_slots(instance)
    assert ended.run_id in held.where
    assert held.treat is not None
    held.treat()
    assert storage.get_concurrency_info("gpu").active_run_ids == {outlived.run_id}


def test_slot_of_an_ended_run_of_another_machine_is_told_and_freed_by_name_alone(
    instance: dg.DagsterInstance,
) -> None:
    """Its number of a process says nothing here, whether one here has it or none."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("gpu", 2)
    runs = [
        _started(instance, pid, tags={MACHINE_TAG: f"not-{machine()}"})
        for pid in (DEAD_PID, os.getpid())
    ]
    for run in runs:
        assert storage.claim_concurrency_slot("gpu", run.run_id, "thing").is_claimed
        instance.report_run_failed(run, "ended")
    told = list(find_held_slots(instance))
    assert [one.treat for one in told] == [None, None]
    for run in runs:
        assert any(f"--run {run.run_id}" in one.cure for one in told)
        (freed,) = [one for one in find_held_slots(instance, run.run_id) if one.treat is not None]
        assert run.run_id in freed.where


def _open_mlflow_run(home: Home, dagster_run_id: str) -> str:
    client = connect(home)
    tags = {"dagster.run_id": dagster_run_id} if dagster_run_id else {}
    run = client.create_run(experiment_id(client, home, "lung-nodule"), tags=tags)
    return str(run.info.run_id)


@pytest.mark.slow
def test_sensor_cures_what_a_killed_process_left_and_nothing_else(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = _started(instance, DEAD_PID), _started(instance, os.getpid())
    left, going_on = (_open_mlflow_run(home, run.run_id) for run in (dead, alive))
    resource = HomeResource(root=str(home.root))

    def tick() -> str:
        with dg.build_sensor_context(instance=instance, resources={"home": resource}) as context:
            skipped = zombie_runs(context)
            assert isinstance(skipped, dg.SkipReason)
            return str(skipped.skip_message)

    # The package's name for it is the sensor's too.
    monkeypatch.setattr(sys.modules[zombie_runs.__module__], "QUIET_S", 0.0)
    said = tick()
    assert dead.run_id in said
    assert left in said
    assert alive.run_id not in said
    assert [run.run_id for run in open_runs(home)] == [going_on]
    assert connect(home).get_run(left).info.status == "KILLED"
    assert tick() == "every run has its process"


def test_mlflow_run_of_a_killed_pod_is_ended_though_its_process_number_lives_here(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pod the worker is process 1, and process 1 of the pod that asks is older and lives."""
    of_pod = _started(instance, 1, tags={MACHINE_TAG: f"not-{machine()}"})
    left = _open_mlflow_run(home, of_pod.run_id)
    instance.report_run_failed(of_pod, "the pod was killed")

    def told() -> list[str]:
        return [one.where.split()[0] for one in find_open_mlflow_runs(home, instance, 0.0)]

    assert told() == [], "a step of it may be about to end"
    later = time.time() + processes_of_runs.ENDED_ELSEWHERE_S + 1
    monkeypatch.setattr(processes_of_runs.time, "time", lambda: later)
    assert told() == [left]


def test_mlflow_is_asked_long_enough_for_ended_runs_of_other_machines() -> None:
    sensor = sys.modules[zombie_runs.__module__]
    assert processes_of_runs.ENDED_ELSEWHERE_S + 120 < sensor._LOOK_BACK_S


def _doctor(*options: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(main, ["doctor", "--quiet-seconds", "0", *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done.exit_code, done.output.splitlines()


def test_home_without_anything_is_healthy_and_nothing_is_made(home: Home) -> None:
    assert _doctor("--check") == (
        0,
        [f"Healthy: nothing is left over in {home.root} and its databases."],
    )
    assert not Path(home.root).exists()


def test_help_tells_the_wait_that_is_the_rule() -> None:
    assert _QUIET_S == QUIET_S


_WORK = textwrap.dedent(
    """
    import sys, time
    import dagster as dg
    from lung_pipeline.home import Home
    from lung_pipeline.writing import written_whole
    from lung_pipeline.orchestration.launch import open_instance
    from lung_pipeline.orchestration.resources import HomeResource, TrackingResource

    @dg.asset(pool="gpu")
    def thing(
        context: dg.AssetExecutionContext, home: HomeResource, tracking: TrackingResource
    ) -> None:
        with tracking.run(context, "lung-nodule"), written_whole(home.open().certificate) as half:
            half.write_text("half")
            print("at work", flush=True)
            time.sleep(600)

    home = HomeResource()
    resources = {"home": home, "tracking": TrackingResource(home=home)}
    with open_instance(Home.from_environment()) as instance:
        dg.materialize([thing], instance=instance, resources=resources)
    """
)


@pytest.mark.slow
def test_doctor_tells_and_cures_what_a_killed_process_left(home: Home) -> None:
    with open_instance(home) as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
    work = subprocess.Popen(
        [sys.executable, "-c", _WORK],
        env={**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert work.stdout is not None
    assert work.stdout.readline() == "at work\n"
    healthy, _ = _doctor("--check")
    work.kill()
    work.wait()
    work.stdout.close()
    assert healthy == 0, "its process lived"
    code, told = _doctor("--check")
    kinds = ["zombie run", "open MLflow run", "left over"]
    assert (code, [line.split(":")[0] for line in told]) == (1, kinds)
    assert _doctor("--check") == (1, told), "telling changes nothing"
    code, cured = _doctor()
    assert code == 0
    # The slot went with its run.
    assert cured == [f"{line} (done)" for line in told]
    assert _doctor("--check")[0] == 0
    with open_instance(home) as instance:
        (run,) = instance.get_runs()
        assert run.tags[MACHINE_TAG] == machine()
        assert not instance.event_log_storage.get_concurrency_info("gpu").active_run_ids


def _older_mlflow(database: Path) -> tuple[str, str]:
    """A database as the MLflow before the last change of its tables made it; both versions."""
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    database.parent.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{database}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(str(engine.url))
    newest = ScriptDirectory.from_config(config).get_revision("head")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, newest.down_revision)
    engine.dispose()
    return str(newest.down_revision), str(newest.revision)


@pytest.mark.slow
def test_old_tables_are_told_and_upgraded(home: Home) -> None:
    with open_instance(home):
        pass
    runs = Path(home.root) / "dagster" / "history" / "runs.db"
    with sqlite3.connect(runs) as connection:
        (newest,) = connection.execute("select version_num from alembic_version").fetchone()
        # The last change but one; the last changes nothing on SQLite.
        connection.execute("update alembic_version set version_num = 'f495c27d5019'")
    found, wanted = _older_mlflow(home.mlflow_database)
    lines = [
        f"old tables: Dagster's runs, at f495c27d5019 instead of {newest}: "
        "upgrade them, as `dagster instance migrate` does",
        f"old tables: MLflow, at {found} instead of {wanted}: "
        "upgrade them, as `mlflow db upgrade` does",
    ]
    assert _doctor("--check") == (1, lines)
    assert _doctor() == (0, [f"{line} (done)" for line in lines])
    assert _doctor("--check")[0] == 0
    assert open_runs(home) == []


def test_leftover_is_told_with_its_time_and_removed(home: Home) -> None:
    folder = Path(home.root) / "tables" / "crops"
    folder.mkdir(parents=True)
    left = folder / f".subset0.parquet.{place()}-{DEAD_PID}-0a1b2c3d.tmp"
    left.write_text("half")
    at = 1_700_000_000
    os.utime(left, (at, at))
    line = f"left over: tables/crops/{left.name}, since 2023-11-14 22:13:20 UTC: remove it"
    assert _doctor("--check") == (1, [line])
    assert _doctor() == (0, [f"{line} (done)"])
    assert list(folder.iterdir()) == []
    assert time.time() > at
