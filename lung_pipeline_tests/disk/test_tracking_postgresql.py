# SPDX-License-Identifier: Apache-2.0
"""MLflow on a real PostgreSQL: runs, versions, aliases and sets as on SQLite; absent: one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from postgres_server import Server

from lung_pipeline.errors import ServiceError, SettingError
from lung_pipeline.home import Home
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION, NODULE, REGISTERED
from lung_pipeline.tracking.registry import (
    fetched,
    find,
    find_in_use,
    keep_in_run,
    kept_in_run,
    register,
    remove_alias,
    set_alias,
    versions,
)
from lung_pipeline.tracking.runs import run
from lung_pipeline.tracking.server import connect

EXPERIMENT = REGISTERED[NODULE]

_FIRST_TOUCH = """
import sys
from lung_pipeline.home import Home
from lung_pipeline.tracking.runs import run

import mlflow
print("ready", flush=True)
sys.stdin.readline()
with run(Home.from_environment(), "lung-nodule", "racing") as opened:
    for step in range(20):
        opened.log_metrics({"a": step}, step=step)
"""


def _racers(home: Home, how_many: int) -> list[int]:
    """Exit codes of processes that touch one database at the same moment."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _FIRST_TOUCH],
            env={**os.environ, "LUNG_PIPELINE_HOME": str(home.root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(how_many)
    ]
    for racer in started:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in started:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in started:
        racer.communicate(timeout=300)
    return [racer.returncode for racer in started]


@pytest.fixture(scope="module")
def database(postgresql: Server) -> str:
    """A database that MLflow has never seen; the first test here makes it ready."""
    return postgresql.new_database("tracking")


@pytest.fixture
def pg_home(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose MLflow is that database."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    monkeypatch.chdir(tmp_path)
    return Home.at(tmp_path / "home")


@pytest.mark.slow
def test_two_processes_that_first_touch_a_database_together_lose_nothing(
    postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgresql.new_database("raced"))
    assert _racers(Home.at(tmp_path), 2) == [0, 0]
    runs = postgresql.rows("raced", "select status from runs where name = 'racing'")
    assert runs == ["FINISHED", "FINISHED"]
    assert postgresql.rows("raced", "select count(*) from metrics") == ["40"]


@pytest.mark.slow
def test_model_is_registered_named_fetched_and_its_files_lie_below_the_home(
    pg_home: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"weights")
    made = []
    for number in (1, 2):
        with run(pg_home, EXPERIMENT, f"training-{number}", parameters={"seed": number}) as opened:
            made.append(register(opened, NODULE, folder, f"{number}" * 64, CHALLENGER))
    assert [one.version for one in made] == [1, 2]
    newest = find(pg_home, NODULE, CHALLENGER)
    assert newest is not None
    assert newest.version == 2
    assert find(pg_home, NODULE, CHAMPION) is None
    set_alias(pg_home, made[0], CHAMPION)
    in_use = find_in_use(pg_home, NODULE)
    assert in_use is not None
    assert (in_use.version, in_use.weights_sha256) == (1, "1" * 64)
    with fetched(pg_home, in_use.uri) as kept_model:
        assert (kept_model / "weights.safetensors").read_bytes() == b"weights"
    assert [one.version for one in versions(pg_home)] == [1, 2]
    keep_in_run(pg_home, in_use, "frozen/of-a-set/point.json", "{}\n")
    assert kept_in_run(pg_home, in_use, "frozen/of-a-set/point.json") == "{}\n"
    remove_alias(pg_home, in_use, CHAMPION)
    assert find(pg_home, NODULE, CHAMPION) is None
    kept = pg_home.mlflow_artifacts / EXPERIMENT / made[0].run_id / "artifacts" / "model"
    assert (kept / "weights.safetensors").is_file()
    assert not (tmp_path / "mlruns").exists()  # MLflow's own choice: below the current folder


@pytest.mark.slow
def test_interrupted_run_goes_on_as_the_same_run(pg_home: Home) -> None:
    begun = []

    def train() -> None:
        with run(pg_home, EXPERIMENT, "cut off") as doomed:
            begun.append(doomed.run_id)
            doomed.log_metrics({"train/loss": 2.0}, step=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert connect(pg_home).get_run(begun[0]).info.status == "FAILED"
    with run(pg_home, EXPERIMENT, "again", run_id=begun[0]) as resumed:
        resumed.log_metrics({"train/loss": 1.0}, step=2)
    assert resumed.run_id == begun[0]
    assert resumed.logged_steps("train/loss") == {1, 2}
    assert connect(pg_home).get_run(begun[0]).info.status == "FINISHED"


def _closed_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@pytest.mark.parametrize("scheme", ["postgresql+psycopg2://lung:secret@", "http://"])
def test_absent_server_is_told_in_one_line_without_its_password(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}127.0.0.1:{_closed_port()}/mlflow")
    with pytest.raises(ServiceError, match="MLFLOW_TRACKING_URI") as caught:
        connect(Home.at(tmp_path))
    line = str(caught.value)
    assert "refused" in line
    assert "Start it" in line
    assert "\n" not in line
    assert "secret" not in line


@pytest.mark.slow
def test_wrong_password_is_told_in_one_line(
    postgresql: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = database.replace("p%40ss%2Fword", "wrong-one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", wrong)
    with pytest.raises(ServiceError, match="password authentication failed") as caught:
        connect(Home.at(tmp_path))
    assert "wrong-one" not in str(caught.value)


def test_address_without_a_driver_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+nobody://lung:secret@127.0.0.1/mlflow")
    with pytest.raises(SettingError, match="psycopg2") as caught:
        connect(Home.at(tmp_path))
    assert "secret" not in str(caught.value)
