# SPDX-License-Identifier: Apache-2.0
"""What `lung-pipeline ui` refuses before it starts anything, and that it ends all it started."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from lung_pipeline.cli import main
from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.orchestration import servers
from lung_pipeline.orchestration.launch import BARE_SETTINGS, dagster_folder
from lung_pipeline.orchestration.server_processes import Server, refuse_ended, started
from lung_pipeline.orchestration.servers import servers_of

_STUBBORN_FAMILY = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""
"""A server that does not want to end, with a child of another session that does not either."""


def _python(name: str, code: str) -> Server:
    return Server(name, (sys.executable, "-c", code))


def _wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while not (path.is_file() and text in path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("taken", ["dagster", "mlflow"])
def test_port_in_use_is_told_in_one_line_before_anything_starts(tmp_path: Path, taken: str) -> None:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        one.listen()
        port, free = one.getsockname()[1], other.getsockname()[1]
        other.close()
        ports = {"dagster": free, "mlflow": free} | {taken: port}
        options = [f"--{name}-port={number}" for name, number in ports.items()]
        done = CliRunner().invoke(main, ["ui", "--home", str(tmp_path), *options])
    assert done.exit_code == 2
    (line,) = done.output.strip().splitlines()
    assert f"127.0.0.1: the port must be free, got port {port}" in line
    assert f"make ui {taken.upper()}_PORT={port + 10}" in line
    assert list(tmp_path.iterdir()) == []


def test_home_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["ui", "--home", str(tmp_path / "nowhere")])
    assert done.exit_code == 2
    assert "make demo" in done.output


def test_mlflow_is_not_started_where_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home.at(tmp_path)
    assert [one.name for one in servers_of(home, 3000, 5000)] == ["daemon", "Dagster", "MLflow"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert [one.name for one in servers_of(home, 3000, 5000)] == ["daemon", "Dagster"]


def test_no_server_listens_where_others_reach_it_and_none_is_told_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg2://me:secret@db/mlflow")
    daemon, dagster, mlflow = servers_of(Home.at(tmp_path), 3000, 5000)
    assert dagster.command[-4:] == ("-h", "127.0.0.1", "-p", "3000")
    assert mlflow.command[mlflow.command.index("--host") + 1] == "127.0.0.1"
    assert "secret" not in str([daemon.command, dagster.command, mlflow.command])


def test_servers_that_do_not_want_to_end_are_ended_with_their_children(tmp_path: Path) -> None:
    server = _python("stubborn", _STUBBORN_FAMILY)
    with started([server], os.environ, tmp_path, grace_s=0.5) as ((_, process),):
        _wait_for(tmp_path / "stubborn.log", "ready")
        family = psutil.Process(process.pid).children(recursive=True)
        family.append(psutil.Process(process.pid))
    assert len(family) == 2
    gone, alive = psutil.wait_procs(family, 10)
    assert (len(gone), alive) == (2, [])


def test_server_that_ends_is_told_with_what_it_said_last_and_the_others_end(tmp_path: Path) -> None:
    lasting, failing = (
        _python("lasting", "import time; time.sleep(600)"),
        _python("failing", "print('no such table'); raise SystemExit(3)"),
    )
    with started([lasting, failing], os.environ, tmp_path, grace_s=5) as running:
        running[1][1].wait(60)
        with pytest.raises(SettingError, match=r"failing's server.*code 3 after: no such table"):
            refuse_ended(running, tmp_path)
        assert running[0][1].poll() is None
    assert running[0][1].poll() is not None


@pytest.mark.parametrize("settings", [None, BARE_SETTINGS, "telemetry: {enabled: false}\n"])
def test_servers_bring_their_limits_unless_a_person_wrote_others(
    mlflow_home: Home, monkeypatch: pytest.MonkeyPatch, settings: str | None
) -> None:
    """A command that was there first leaves an instance without limits, as it has no daemon."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    folder = dagster_folder(mlflow_home)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").unlink(missing_ok=True)
    if settings is not None:
        (folder / "dagster.yaml").write_text(settings)
    servers._prepare(mlflow_home)
    ours = (servers.CHECKOUT / "dagster.yaml").read_text()
    expected = ours if settings in (None, BARE_SETTINGS) else settings
    assert (folder / "dagster.yaml").read_text() == expected
