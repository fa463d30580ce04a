# SPDX-License-Identifier: Apache-2.0
"""Whether the tables of MLflow's database are those that the installed MLflow expects.

Belongs here: the version found, the version wanted, and the upgrade. Does not belong here: a server
of MLflow, whose database is its own.
"""

from __future__ import annotations

import logging

from lung_pipeline.home import Home
from lung_pipeline.tracking.database import answering, engine_of, refuse_unknown
from lung_pipeline.tracking.open_runs import database_file
from lung_pipeline.tracking.server import URI_VARIABLE, tracking_uri


def schema_behind(home: Home) -> tuple[str, str] | None:
    """The version of the tables and the one wanted; None where they agree or are no affair of ours.

    Read only: a database that is not there is not made.

    Raises:
        ServiceError: the database does not answer.
        SettingError: what is named is no address of one.
        StoreError: it is a file, and no database.
    """
    uri, file = tracking_uri(home), database_file(home)
    refuse_unknown(uri, URI_VARIABLE)
    if uri.startswith(("http://", "https://")) or (file is not None and not file.is_file()):
        return None
    # MLflow has no public way to ask; `mlflow db upgrade` uses the same functions.
    from mlflow.store.db.utils import _get_latest_schema_revision, _get_schema_version

    engine = engine_of(uri, URI_VARIABLE)
    with answering(uri, URI_VARIABLE):
        found = _get_schema_version(engine)
    wanted = _get_latest_schema_revision()
    return None if found == wanted else (str(found), str(wanted))


def upgrade_schema(home: Home) -> None:
    """Bring the tables to the version that is wanted, as `mlflow db upgrade` does."""
    from filelock import FileLock
    from mlflow.store.db.utils import _upgrade_db

    # It tells each step on the terminal.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    engine = engine_of(tracking_uri(home), URI_VARIABLE)
    file = database_file(home)
    if file is None:
        _upgrade_db(engine)
        return
    # The lock under which a process makes the tables (``server.connect``).
    with FileLock(file.with_suffix(".lock")):
        _upgrade_db(engine)
