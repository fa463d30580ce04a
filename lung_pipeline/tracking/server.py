# SPDX-License-Identifier: Apache-2.0
"""Which MLflow is spoken to, and its database made ready once before anybody writes.

By default a SQLite file and an artifact folder below the home; ``MLFLOW_TRACKING_URI`` names
another: a file, a PostgreSQL database, or a server of MLflow. Processes that first touch one
database together break its schema (seen with MLflow 3.17 on SQLite and PostgreSQL), so it is made
ready under a lock. How a database is asked whether it is there stands in ``database.py``.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.tracking.database import (
    answering,
    made_ready_alone,
    refuse_silent,
    refuse_unknown,
)
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
"""MLflow's own environment variable."""


def tracking_uri(home: Home) -> str:
    """The address of MLflow: that of the environment, else the file below the home.

    Raises:
        SettingError: the home lies in an object store, where no database can, and none is named.
    """
    named = os.environ.get(URI_VARIABLE)
    if not named and home.is_remote:
        raise SettingError(
            value="none",
            place=f"{URI_VARIABLE}, with the home {home.root}",
            rule="with a home in an object store MLflow's database or server must be named",
            cure="Name a server (http://...), postgresql://... or a local file, sqlite:////...",
        )
    return named or f"sqlite:///{home.mlflow_database}"


def connect(home: Home) -> MlflowClient:
    """A client of the home's MLflow, its database and folders made where they are missing.

    Raises:
        ServiceError: the database or server that the environment names does not answer.
        SettingError: another address than one of these, or a driver that is not installed.
        StoreError: a file that is no database.
    """
    uri = tracking_uri(home)
    refuse_unknown(uri, URI_VARIABLE)
    # Set before MLflow is imported, which asks for it then. No word of a hospital leaves it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    # Else bars for a model's few files stand between the lines that say what is done.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    _give_a_home_folder()
    from mlflow import MlflowClient

    _hush()
    if uri.startswith("sqlite:"):
        return _sqlite_client(home, uri)
    if uri.startswith("postgresql"):
        with made_ready_alone(uri, URI_VARIABLE):
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
        return client
    refuse_silent(uri, URI_VARIABLE)
    return MlflowClient(uri)


def _give_a_home_folder() -> None:
    """MLflow cannot be imported by a user who is in no list and has no HOME, as containers have."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


def experiment_id(client: MlflowClient, home: Home, name: str) -> str:
    """The experiment of a name, made where it is missing.

    Where MLflow is a database its artifacts get an explicit folder: MLflow would take one below the
    current folder, for ever. A server of MLflow knows where its own go.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    by_server = tracking_uri(home).startswith(("http://", "https://"))
    location = None if by_server else (home.mlflow_artifacts / name).as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException:
        # Another process was first.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def _sqlite_client(home: Home, uri: str) -> MlflowClient:
    from filelock import FileLock
    from mlflow import MlflowClient

    home.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    # The lock lies beside the file that is shared, which may be that of another home.
    database = Path(uri.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock")):
        if not database.is_file():
            # A kill between two changes of its tables would leave a file that no MLflow opens.
            with written_whole(database) as making:
                MlflowClient(f"sqlite:///{making}").search_experiments(max_results=1)
        with answering(uri, URI_VARIABLE):
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
    return client


def _hush() -> None:
    """Keep MLflow's and Alembic's notes on their tables off the terminal."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
