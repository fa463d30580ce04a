# SPDX-License-Identifier: Apache-2.0
"""One training, one scoring: one MLflow run, which ends FINISHED or FAILED and never stays open."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.home import Home
from lung_pipeline.remote.copies import at_hand
from lung_pipeline.tracking.server import connect, experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is being written."""

    client: MlflowClient
    """Where it is written."""

    run_id: str
    """MLflow's name for it; handed on as a value, since MLflow's active run stays in a process."""

    artifact_uri: str
    """Where its files go."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log numbers of one epoch, or of the end, in one write."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(name, float(value), now, step) for name, value in metrics.items()]
        self.client.log_batch(self.run_id, metrics=entries)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Hang words on the run; those of the same name are replaced."""
        from mlflow.entities import RunTag

        entries = [RunTag(name, value) for name, value in tags.items()]
        self.client.log_batch(self.run_id, tags=entries)

    def logged_steps(self, metric: str) -> set[int]:
        """The steps at which a metric stands already; those of before, where a run goes on."""
        return {entry.step for entry in self.client.get_metric_history(self.run_id, metric)}

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file with the run."""
        self.client.log_artifact(self.run_id, str(path), folder)

    def log_folder(self, path: Path, folder: str) -> None:
        """Keep a copy of a folder with the run."""
        with at_hand(path) as near:
            self.client.log_artifacts(self.run_id, str(near), folder)


@contextlib.contextmanager
def run(
    home: Home,
    experiment: str,
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    run_id: str | None = None,
) -> Iterator[Run]:
    """Open a run in an experiment; its status tells how the block ended.

    With a ``run_id`` that run goes on, if it is still there.
    """
    from mlflow.entities import Param

    client = connect(home)
    made = _continued(client, run_id, tags or {}) or client.create_run(
        experiment_id(client, home, experiment), run_name=name, tags=dict(tags or {})
    )
    run_id = made.info.run_id
    status = "FAILED"
    try:
        entries = [Param(key, str(value)) for key, value in (parameters or {}).items()]
        client.log_batch(run_id, params=entries)
        yield Run(client, run_id, made.info.artifact_uri)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)


def _continued(client: MlflowClient, run_id: str | None, tags: Mapping[str, str]) -> Any:
    """A run that was interrupted, running again; None where there is none to go on with."""
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        found = client.get_run(run_id)
    except MlflowException:
        return None
    if found.info.lifecycle_stage != "active":
        return None
    client.update_run(run_id, status="RUNNING")
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
    return found
