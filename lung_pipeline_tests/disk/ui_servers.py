# SPDX-License-Identifier: Apache-2.0
"""`make ui` in processes of its own over a home of small chests, and a browser to look at it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
import torch
from ball_scans import write_balls

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import ModelCard, write_model
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.tracking.names import CHALLENGER, NODULE
from lung_pipeline.tracking.registry import register
from lung_pipeline.tracking.runs import run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE_S = 300
"""For a step on a machine that is much busier than ours."""

_SENSORS = """{ sensorsOrError(
  repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "lung_pipeline"}
) { ... on Sensors { results { id name sensorState { status } } } } }"""
_STOP_SENSOR = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"

_REPOSITORY = Path(__file__).resolve().parents[2]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def until(holds: Callable[[], Any], what: str) -> Any:
    """Ask again and again until something holds; returns it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain: {what}"
        time.sleep(0.2)
    return found


def make_home_to_show(home: Home, empty_mlflow: Path) -> None:
    """subset0 of one scan with a ball, through ingest, and two versions of the nodule model."""
    write_balls(home.raw / "subset0", "a1", [((20, 20, 20), 40)])
    place = "seriesuid,coordX,coordY,coordZ"
    (home.raw / "annotations.csv").write_text(
        f"{place},diameter_mm\na1,0,0,10,12\nb1,0,0,10,12\nc1,0,0,10,12\n"
    )
    (home.raw / "candidates.csv").write_text(
        f"{place},class\na1,10,5,5,0\nb1,10,5,5,0\nc1,1,2,3,0\n"
    )
    home.mlflow_database.parent.mkdir(parents=True)
    shutil.copyfile(empty_mlflow, home.mlflow_database)
    for seed, loss in ((1, 0.5), (2, 0.25)):
        register_nodule_model(home, seed, loss)
    with open_instance(home) as instance:
        sync_subsets(home, instance)
        run_job(home, instance, "ingest", partition="subset0")


def drop_subset(home: Home, subset: str, series_uid: str) -> None:
    """A new subset, complete at once."""
    arriving = home.root / "arriving" / subset
    write_balls(arriving, series_uid, [((20, 20, 20), 40)])
    arriving.rename(home.raw / subset)


def register_nodule_model(home: Home, seed: int, loss: float) -> None:
    """A version of the nodule model whose run has a loss."""
    torch.manual_seed(seed)
    network = CropClassifier(first_channels=1)
    card = ModelCard("CropClassifier", network.architecture, f"seed {seed}")
    with (
        tempfile.TemporaryDirectory() as scratch,
        run(home, "lung-nodule", f"seed-{seed}", parameters={"seed": seed}) as opened,
    ):
        sha256 = write_model(Path(scratch) / "model", network, card).weights_sha256
        register(opened, NODULE, Path(scratch) / "model", sha256, CHALLENGER)
        opened.log_metrics({"validation/loss": loss})


class Ui:
    """`make ui` over a home, in a process of its own."""

    def __init__(self, home: Home, log: Path) -> None:
        dagster, mlflow = _free_ports(2)
        self.dagster, self.mlflow = (f"http://127.0.0.1:{port}" for port in (dagster, mlflow))
        self.log = log
        environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        venv = os.path.relpath(sys.prefix, _REPOSITORY)
        self.process = subprocess.Popen(
            [
                *("make", "ui", f"VENV={venv}", f"DEMO={home.root}"),
                *(f"DAGSTER_PORT={dagster}", f"MLFLOW_PORT={mlflow}"),
                # What is installed is what is tested: nothing is installed now.
                *("-o", f"{venv}/.installed"),
            ],
            cwd=_REPOSITORY,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            # One process a run: seconds instead of half a minute.
            env=environment | {"LUNG_EXECUTOR": "in_process"},
            start_new_session=True,
        )
        self.seen: set[psutil.Process] = set()

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return "Ctrl-C ends all" in self.log.read_text()

        until(is_ready, f"that make ui is ready; it said {self.log.read_text()}")

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """What Dagster's GraphQL answers."""
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.dagster}/graphql", json=body, timeout=PATIENCE_S).json()
        assert "errors" not in answer, answer
        return dict(answer["data"])

    def stop_sensor(self, name: str) -> None:
        """Switch a sensor off, and see that it is."""
        asked = self.ask(_SENSORS)["sensorsOrError"]["results"]
        (sensor,) = (one for one in asked if one["name"] == name)
        self.ask(_STOP_SENSOR, id=sensor["id"])
        states = {one["name"]: one for one in self.ask(_SENSORS)["sensorsOrError"]["results"]}
        assert states[name]["sensorState"]["status"] == "STOPPED"

    def look_around(self) -> None:
        """Remember what runs, so that it can be asked at the end whether it ended."""
        self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))

    def end(self) -> list[psutil.Process]:
        """Ctrl-C, as a terminal sends it; returns what is left of all that ran."""
        self.look_around()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE_S)
        return [one for one in self.seen if one.is_running() and one.status() != "zombie"]


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextlib.contextmanager
def own_browser() -> Iterator[Browser]:
    """The system's own browser; the test is skipped, with the reason said, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright (extra: dev)")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(_BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        # Without a sandbox, since tests may run as root; the pages are our own servers'.
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()
