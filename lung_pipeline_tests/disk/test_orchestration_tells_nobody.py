# SPDX-License-Identifier: Apache-2.0
"""Servers listen on this machine alone, and Dagster and MLflow report to nobody.

How the page of `lung-pipeline serve` guards itself is ``test_serving_app.py``'s.
"""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from lung_pipeline.home import Home
from lung_pipeline.orchestration import servers
from lung_pipeline.orchestration.launch import open_instance

REPOSITORY = Path(__file__).resolve().parents[2]
SWITCHED_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


def _plain_environment() -> dict[str, str]:
    """As a person's shell has it: without what tests, make or a build server set."""
    hidden = ("DAGSTER_", "MLFLOW_", "PYTEST_", "CI", "GITHUB_", "DO_NOT_TRACK", "LUNG_PIPELINE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command as a person starts it, without an option but the port."""
    started = subprocess.Popen(
        [sys.executable, "-c", "from lung_pipeline.cli import main; main()", "serve", "--port=0"],
        stdout=subprocess.PIPE,
        text=True,
        env=_plain_environment() | {"LUNG_PIPELINE_HOME": str(tmp_path / "a home")},
    )
    yield started
    started.terminate()
    started.wait(120)


@pytest.mark.slow
def test_serve_listens_on_loopback_alone(serving: subprocess.Popen[str]) -> None:
    assert serving.stdout is not None
    assert any(re.search(r"open http://127\.0\.0\.1:\d+/", line) for line in serving.stdout)
    family = [psutil.Process(serving.pid), *psutil.Process(serving.pid).children(recursive=True)]
    listening = [
        found.laddr.ip
        for process in family
        for found in process.net_connections(kind="inet")
        if found.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert all(ipaddress.ip_address(address).is_loopback for address in listening)


def test_servers_of_make_ui_are_told_to_listen_on_loopback(mlflow_home: Home) -> None:
    assert ipaddress.ip_address(servers.HOST).is_loopback
    with_pages = [one for one in servers.servers_of(mlflow_home, 3000, 5000) if one.page]
    assert [one.name for one in with_pages] == ["Dagster", "MLflow"]
    for one in with_pages:
        at = next(n for n, word in enumerate(one.command) if word in ("-h", "--host"))
        assert one.command[at + 1] == servers.HOST


def test_no_recipe_of_make_opens_a_server_to_others() -> None:
    recipes = (REPOSITORY / "Makefile").read_text()
    assert "lung-pipeline ui" in recipes
    assert not re.search(r"0\.0\.0\.0|--host(?!me)|\[::\]|--open-to-others", recipes)


def test_make_switches_reporting_off() -> None:
    recipes = (REPOSITORY / "Makefile").read_text()
    for name, value in SWITCHED_OFF.items():
        assert re.search(rf"^export {name} = {value}$", recipes, re.MULTILINE)


def test_servers_of_make_ui_report_to_nobody(mlflow_home: Home) -> None:
    environment = servers._environment(mlflow_home)
    assert {name: environment[name] for name in SWITCHED_OFF} == SWITCHED_OFF


def test_settings_of_the_repository_report_to_nobody() -> None:
    settings = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    assert settings["telemetry"] == settings["nux"] == {"enabled": False}


def test_instance_that_a_command_makes_reports_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "a new one"))
    monkeypatch.delenv("DAGSTER_DISABLE_TELEMETRY", raising=False)
    with open_instance(Home.at(tmp_path / "home")) as instance:
        assert isinstance(instance, dg.DagsterInstance)
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False


_OF_MLFLOW = """
import os, sys
from pathlib import Path
from lung_pipeline.home import Home
from lung_pipeline.tracking.server import connect
connect(Home.at(sys.argv[1]))
from mlflow.telemetry import get_telemetry_client
from mlflow.telemetry.utils import is_telemetry_disabled
print(is_telemetry_disabled(), get_telemetry_client())
import mlflow.pytorch
from mlflow.exceptions import MlflowException
try:
    mlflow.pytorch.load_model(sys.argv[2])
except MlflowException as error:
    print("refused:", str(error).splitlines()[0])
"""

_PICKLED = """
import sys, torch, mlflow.pytorch
mlflow.pytorch.save_model(torch.nn.Linear(1, 1), sys.argv[1], serialization_format="pickle")
"""


@pytest.mark.slow
def test_mlflow_reports_to_nobody_and_unpickles_nothing_once_it_is_ours(
    mlflow_home: Home, tmp_path: Path
) -> None:
    model = str(tmp_path / "a pickled model")
    environment = _plain_environment() | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, "-c", _PICKLED, model], check=True, env=environment)
    done = subprocess.run(
        [sys.executable, "-c", _OF_MLFLOW, str(mlflow_home.root), model],
        check=True,
        env=_plain_environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("True None\n")
    assert "refused: " in done.stdout
    assert "pickle" in done.stdout.lower()
