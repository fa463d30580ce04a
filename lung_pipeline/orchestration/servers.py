# SPDX-License-Identifier: Apache-2.0
"""Dagster's page and daemon and MLflow's page for one home, in one command.

Their words go to files: a person at the terminal wants two addresses.

Belongs here: which servers there are and what they are told. Does not belong here: their processes
(``server_processes.py``), and what they show.
https://docs.dagster.io/deployment/execution/dagster-daemon
"""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from lung_pipeline.errors import SettingError
from lung_pipeline.home import HOME_VARIABLE, Home
from lung_pipeline.orchestration import guarded_dagster
from lung_pipeline.orchestration.launch import BARE_SETTINGS, dagster_folder, open_instance
from lung_pipeline.orchestration.server_processes import (
    Server,
    refuse_ended,
    started,
    stop_signal,
    wait_until_ready,
)
from lung_pipeline.tracking.server import connect, tracking_uri

CHECKOUT = Path(__file__).resolve().parents[2]
"""Where dagster.yaml and workspace.yaml lie."""

HOST = "127.0.0.1"
"""Neither server asks who is there, so only this machine may reach them (infra/ shows a proxy)."""


def serve_pages(
    home: Home, dagster_port: int, mlflow_port: int, tell: Callable[[str], None]
) -> None:
    """Serve both pages until Ctrl-C (SIGINT, SIGTERM or SIGHUP), then end all that was started.

    Raises ``SettingError`` for a home that is not there, a port in use, a server that ends.
    """
    _refuse_missing(home)
    servers = servers_of(home, dagster_port, mlflow_port)
    for name, port in (("Dagster", dagster_port), ("MLflow", mlflow_port)):
        if any(server.name == name for server in servers):
            _refuse_port_in_use(name, port)
    tell(f"Starting Dagster and MLflow on {home.root} (half a minute) ...")
    logs = _prepare(home)
    with stop_signal() as asked, started(servers, _environment(home), logs) as running:
        if wait_until_ready(running, asked, logs):
            tell(_addresses(home, servers))
            tell(f"Logs     {logs}\nCtrl-C ends all of them.")
        while not asked.wait(0.5):
            refuse_ended(running, logs)
        tell("Ending ...")


def servers_of(home: Home, dagster_port: int, mlflow_port: int) -> list[Server]:
    """The servers of a home; none for MLflow where the environment names one that runs already."""
    folder = Path(sys.executable).parent
    workspace = ("-w", str(CHECKOUT / "workspace.yaml"))
    dagster_page = f"http://{HOST}:{dagster_port}"
    listen = ("-h", HOST, "-p", str(dagster_port))
    servers = [
        Server("daemon", (str(folder / "dagster-daemon"), "run", *workspace)),
        Server(
            "Dagster",
            (sys.executable, "-m", guarded_dagster.__name__, *workspace, *listen),
            dagster_page,
            f"{dagster_page}/server_info",
        ),
    ]
    if not tracking_uri(home).startswith("http"):
        servers.append(_mlflow(str(folder / "mlflow"), home, mlflow_port))
    return servers


def _mlflow(program: str, home: Home, port: int) -> Server:
    page = f"http://{HOST}:{port}"
    where = ("--host", HOST, "--port", str(port), "--workers", "1")
    files = ("--artifacts-destination", str(home.mlflow_artifacts))
    return Server("MLflow", (program, "server", *where, *files), page, f"{page}/health")


def _addresses(home: Home, servers: list[Server]) -> str:
    pages = {server.name: server.page for server in servers if server.page}
    pages.setdefault("MLflow", tracking_uri(home))
    return "\n".join(f"{name:8s} {page}" for name, page in pages.items())


def _refuse_missing(home: Home) -> None:
    for path, cure in (
        (home.root, f"Run `make demo` first, or name your own folder in {HOME_VARIABLE}."),
        (CHECKOUT / "workspace.yaml", "Install the checkout itself: pip install -e ."),
    ):
        if not path.exists():
            raise SettingError(
                value="nothing there", place=path, rule="what is shown must be there", cure=cure
            )


def _refuse_port_in_use(name: str, port: int) -> None:
    with socket.socket() as probe:
        # As the servers do: a port that was closed a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as problem:
            another = f"{name.upper()}_PORT={port + 10}"
            raise SettingError(
                value=f"port {port} ({problem.strerror})",
                place=f"{name} on {HOST}",
                rule="the port must be free",
                cure=f"End what uses it (another `make ui`?), or take another: make ui {another}",
            ) from None


def _prepare(home: Home) -> Path:
    """Make Dagster's and MLflow's databases, before two servers do at once; returns the logs."""
    folder = dagster_folder(home)
    logs = folder / "servers"
    logs.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    # A command may have been there before; from now on a daemon looks after limits.
    if not settings.is_file() or settings.read_text() == BARE_SETTINGS:
        shutil.copyfile(CHECKOUT / settings.name, settings)
    with open_instance(home):
        pass
    uri = tracking_uri(home)
    if not uri.startswith("http") and not _is_file(uri):
        # MLflow takes seconds to load, which are spent only where there is something to make.
        connect(home)
    return logs


def _is_file(uri: str) -> bool:
    return uri.startswith("sqlite:///") and Path(uri.removeprefix("sqlite:///")).is_file()


def _environment(home: Home) -> dict[str, str]:
    return {
        **os.environ,
        HOME_VARIABLE: str(home.root),
        # Not an argument: it may have a password, and whoever is on the machine sees arguments.
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        # Its jobs are for language models, and a further process.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
