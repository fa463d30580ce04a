# SPDX-License-Identifier: Apache-2.0
"""Databases whose tables an older Dagster or MLflow made; the installed one may refuse them.

A backup before the cure is the person's: the upgrade of a large database may take a while and
cannot be taken back.
"""

import contextlib
import io
from collections.abc import Iterator
from functools import partial

import dagster as dg

from lung_pipeline.home import Home
from lung_pipeline.orchestration.doctor.ailment import Ailment

WHAT = "old tables"


def find_old_dagster_schema(instance: dg.DagsterInstance) -> Iterator[Ailment]:
    """Dagster's databases, where their version is not that of the installed Dagster."""
    storages = {
        "runs": instance.run_storage,
        "events": instance.event_log_storage,
        "schedules": instance.schedule_storage,
    }
    for name, storage in storages.items():
        versions = storage.alembic_version() if storage is not None else None
        if versions is not None and versions[0] != versions[1]:
            yield Ailment(
                WHAT,
                f"Dagster's {name}, at {versions[0]} instead of {versions[1]}",
                None,
                "upgrade them, as `dagster instance migrate` does",
                # All at once, as Dagster does it: a second time finds nothing to do.
                partial(_upgrade, instance),
            )


def _upgrade(instance: dg.DagsterInstance) -> None:
    # It prints what it does, whoever asks it.
    with contextlib.redirect_stdout(io.StringIO()):
        instance.upgrade()


def find_old_mlflow_schema(home: Home) -> Iterator[Ailment]:
    """MLflow's database, where its version is not that of the installed MLflow."""
    from lung_pipeline.tracking.schema import schema_behind, upgrade_schema

    versions = schema_behind(home)
    if versions is not None:
        where = f"MLflow, at {versions[0]} instead of {versions[1]}"
        cure = "upgrade them, as `mlflow db upgrade` does"
        yield Ailment(WHAT, where, None, cure, partial(upgrade_schema, home))
