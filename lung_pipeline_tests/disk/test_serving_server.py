# SPDX-License-Identifier: Apache-2.0
"""The server's own folder, its address, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lung_pipeline.cli import main
from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.serving.job import Limits
from lung_pipeline.serving.server import own_folder, serve


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home")


def test_folder_is_this_users_alone_and_gone_at_the_end(home: Home) -> None:
    with own_folder(home) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "scan.mhd").write_text("a patient's")
    assert list((home.root / "served").iterdir()) == []


def test_what_a_killed_server_left_goes_and_what_another_uses_stays(home: Home) -> None:
    left = home.root / "served" / "left"
    left.mkdir(parents=True)
    (left / "lock").write_text("")
    (left / "scan.mhd").write_text("a patient's")
    with own_folder(home) as first:
        assert not left.exists()
        with own_folder(home) as second:
            assert first.is_dir()
            assert second.is_dir()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])  # noqa: S104  # it is refused
def test_a_host_that_others_reach_must_be_meant(home: Home, host: str) -> None:
    with pytest.raises(SettingError, match="Add --open-to-others"):
        serve(home, host, 0, Limits())
    assert not home.root.exists()


def test_an_address_that_is_not_free_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(main, ["serve", "--port", port])
    assert done.exit_code == 2
    assert "Name another --port" in done.stderr
    assert not (tmp_path / "home").exists()


@contextlib.contextmanager
def _serving(home: Path, hang_up: str) -> Iterator[subprocess.Popen[str]]:
    """A server that listens, and what it was told of SIGHUP, as a terminal that is closed sends."""
    start = f"import signal; signal.signal(signal.SIGHUP, signal.{hang_up})"
    start += "; from lung_pipeline.cli import main; main()"
    command = [sys.executable, "-c", start, "serve", "--port", "0"]
    environment = {**os.environ, "LUNG_PIPELINE_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        while server.stdout and "open http" not in server.stdout.readline():
            assert server.poll() is None
        yield server


@pytest.mark.parametrize("by", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_server_that_is_ended_leaves_no_scan(tmp_path: Path, by: str) -> None:
    with _serving(tmp_path, "SIG_DFL") as server:
        (folder,) = (tmp_path / "served").iterdir()
        (folder / "scan.mhd").write_text("a patient's")
        server.send_signal(getattr(signal, by))
        server.wait(30)
    assert list((tmp_path / "served").iterdir()) == []


def test_a_server_under_nohup_stays_when_the_terminal_goes(tmp_path: Path) -> None:
    with _serving(tmp_path, "SIG_IGN") as server:
        server.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(2)
        server.terminate()


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_is_none_is_one_line(port: str) -> None:
    done = CliRunner().invoke(main, ["serve", "--port", port])
    assert done.exit_code == 2
    assert "0<=x<=65535" in done.stderr
