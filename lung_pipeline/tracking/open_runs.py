# SPDX-License-Identifier: Apache-2.0
"""MLflow runs that stand as RUNNING: whose they are, and how one ends that nobody will end.

A process that is killed cannot end its run. A training that is launched again goes on in the same
run, whatever status it has by then.

Belongs here: the list, and the end. Does not belong here: whether their process lives, which
Dagster's log tells (``orchestration/doctor``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.home import Home
from lung_pipeline.tracking.server import connect, tracking_uri

KILLED = "KILLED"
"""MLflow's status of a run that was ended from outside."""

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that stands as RUNNING."""

    run_id: str
    """MLflow's name for it."""

    name: str
    """The asset, and the start of its Dagster run's name."""

    dagster_run_id: str
    """The Dagster run it belongs to; empty where it belongs to none."""

    started_at: float
    """Seconds since 1970."""


def database_file(home: Home) -> Path | None:
    """MLflow's SQLite file; None where it is a server or another database."""
    uri = tracking_uri(home)
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def open_runs(home: Home) -> list[OpenRun]:
    """All runs that stand as RUNNING; none, and nothing is made, where there is no MLflow yet."""
    file = database_file(home)
    if file is not None and not file.is_file():
        return []
    client = connect(home)
    experiments = [found.experiment_id for found in client.search_experiments()]
    found, token = [], None
    while True:
        page = client.search_runs(
            experiments, "attributes.status = 'RUNNING'", max_results=1000, page_token=token
        )
        found += [
            OpenRun(
                run.info.run_id,
                run.info.run_name or run.info.run_id,
                run.data.tags.get("dagster.run_id", ""),
                run.info.start_time / 1000,
            )
            for run in page
        ]
        token = page.token
        if not token:
            return found


def end_killed(home: Home, run_id: str) -> None:
    """Let a run stand as KILLED from now on."""
    connect(home).set_terminated(run_id, KILLED)
