# SPDX-License-Identifier: Apache-2.0
"""Which MLflow is spoken to, and its database made ready once before anybody writes.

By default a SQLite file and an artifact folder below the home; ``MLFLOW_TRACKING_URI`` names
another. Three processes that first touch one SQLite file together break its schema (seen with
MLflow 3.17), so it is made under a lock.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.home import Home

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
"""MLflow's own environment variable."""


def tracking_uri(home: Home) -> str:
    """The address of MLflow: that of the environment, else the file below the home."""
    return os.environ.get(URI_VARIABLE) or f"sqlite:///{home.mlflow_database}"


def connect(home: Home) -> MlflowClient:
    """A client of the home's MLflow, its database and folders made where they are missing."""
    # Set before MLflow is imported, which asks for it then. No word of a hospital leaves it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from filelock import FileLock
    from mlflow import MlflowClient

    _hush()
    uri = tracking_uri(home)
    if not uri.startswith("sqlite:"):
        return MlflowClient(uri)
    home.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    # The lock lies beside the file that is shared, which may be that of another home.
    database = Path(uri.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock")):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def experiment_id(client: MlflowClient, home: Home, name: str) -> str:
    """The experiment of a name, made where it is missing.

    With the default file its artifacts get an explicit folder: MLflow would take one below the
    current folder, for ever.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = tracking_uri(home).startswith("sqlite:")
    location = (home.mlflow_artifacts / name).as_uri() if local else None
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        # Another process was first.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def _hush() -> None:
    """Keep MLflow's and Alembic's notes on their tables off the terminal."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
