# SPDX-License-Identifier: Apache-2.0
"""Dagster's web server and daemon over a home, as a person starts them, on a free port.

Belongs here: starting, waiting, ending with all that they began. Does not belong here: what is
asked of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from lung_pipeline.errors import ServiceError
from lung_pipeline.home import Home
from lung_pipeline.orchestration.backfill.catalog import read_catalog
from lung_pipeline.orchestration.backfill.launching import refuse_without_daemon
from lung_pipeline.orchestration.backfill.webserver import Webserver

DEADLINE_S = 600.0
"""A busy machine may be ten times slower than a quiet one."""

_CHECKOUT = Path(__file__).resolve().parents[1]
_MARK = "LUNG_SERVICE_MARK"

_SENSORS = """{ sensorsOrError(repositorySelector: {
    repositoryName: "__repository__", repositoryLocationName: "lung_pipeline"
}) { ... on Sensors { results { id name sensorState { selectorId status } } } } }"""
_START = """mutation ($name: String!) { startSensor(sensorSelector: {
    repositoryName: "__repository__", repositoryLocationName: "lung_pipeline", sensorName: $name
}) { __typename } }"""
_STOP = "mutation ($id: String!) { stopSensor(id: $id) { __typename } }"
_RUNS = "{ runsOrError { ... on Runs { results { jobName status tags { key value } } } } }"


@contextlib.contextmanager
def serving(home: Home, **environment: str) -> Iterator[Webserver]:
    """Serve a home; each run is one process. Everything is ended with the block."""
    port = _free_port()
    programs = (
        ("dagster-webserver", "-h", "127.0.0.1", "-p", str(port)),
        ("dagster-daemon", "run"),
    )
    webserver = Webserver(f"http://127.0.0.1:{port}")
    with running(home, programs, **environment):
        until(lambda: _answers(webserver), "the web server and the daemon answer")
        yield webserver


@contextlib.contextmanager
def running(home: Home, programs: Sequence[Sequence[str]], **environment: str) -> Iterator[str]:
    """Run programs of Dagster over a home, and lend the mark by which all of it is killed."""
    folder = home.root / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_CHECKOUT / "dagster.yaml", folder / "dagster.yaml")
    # Two servers that make the databases at once get in each other's way.
    with dg.DagsterInstance.from_config(str(folder)):
        pass
    env = {
        **os.environ,
        "DAGSTER_HOME": str(folder),
        "LUNG_PIPELINE_HOME": str(home.root),
        "LUNG_EXECUTOR": "in_process",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        _MARK: str(folder),
        **environment,
    }
    with contextlib.ExitStack() as stack:
        stack.callback(kill_all, str(folder))
        for program, *arguments in programs:
            log = stack.enter_context((folder / f"{program}.log").open("wb"))
            command = [Path(sys.executable).with_name(program), *arguments, "-w", "workspace.yaml"]
            process = subprocess.Popen(
                command, cwd=_CHECKOUT, env=env, stdout=log, stderr=log, start_new_session=True
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield str(folder)


def until(
    holds: Callable[[], Any],
    what: str,
    deadline_s: float = DEADLINE_S,
    *,
    look_every_s: float = 0.5,
) -> Any:
    """Wait until something holds, and return it."""
    ends = time.monotonic() + deadline_s
    while time.monotonic() < ends:
        if found := holds():
            return found
        time.sleep(look_every_s)
    raise AssertionError(f"after {deadline_s:.0f} s not yet: {what}")


def switch_sensor(webserver: Webserver, name: str, *, on: bool) -> None:
    """Switch a sensor as its page in the UI does."""
    if on:
        done = webserver.ask(_START, name=name)["startSensor"]
    else:
        sensors = webserver.ask(_SENSORS)["sensorsOrError"]["results"]
        (state,) = (one["id"] for one in sensors if one["name"] == name)
        done = webserver.ask(_STOP, id=state)["stopSensor"]
    assert done["__typename"] in ("Sensor", "StopSensorMutationResult"), done


def runs_of(webserver: Webserver, job: str) -> list[tuple[str, str]]:
    """The runs of a job: the partition and the state of each."""
    runs = webserver.ask(_RUNS)["runsOrError"]["results"]
    return [
        ({tag["key"]: tag["value"] for tag in run["tags"]}["dagster/partition"], run["status"])
        for run in runs
        if run["jobName"] == job
    ]


def _answers(webserver: Webserver) -> bool:
    try:
        refuse_without_daemon(webserver)
        read_catalog(webserver)
    except ServiceError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill_all(mark: str) -> None:
    """Kill servers and what they began: code servers and runs are processes of their own."""
    wanted = f"{_MARK}={mark}".encode()
    for _ in range(2):
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)
        time.sleep(0.2)
