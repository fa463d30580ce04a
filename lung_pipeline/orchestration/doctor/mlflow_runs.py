# SPDX-License-Identifier: Apache-2.0
"""MLflow runs that stand as RUNNING though the Dagster run they belong to has no process any more.

They are marked KILLED. A training with a checkpoint goes on in its MLflow run all the same when it
is launched again.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from lung_pipeline.home import Home
from lung_pipeline.orchestration.doctor.ailment import Ailment
from lung_pipeline.orchestration.doctor.processes_of_runs import (
    ENDED_ELSEWHERE_S,
    QUIET_S,
    Fate,
    fate_of,
    fate_of_ended,
    silent_since_s,
)

if TYPE_CHECKING:
    from lung_pipeline.tracking.open_runs import OpenRun

_OF_NOBODY_S = 24 * 3600.0
"""A run that names no Dagster run is told of after a day."""


def find_open_mlflow_runs(
    home: Home, instance: dg.DagsterInstance | None, quiet_s: float = QUIET_S
) -> Iterator[Ailment]:
    """MLflow runs that nobody will end.

    Args:
        home: whose MLflow.
        instance: where the Dagster runs are recorded; None where there is none.
        quiet_s: how long a dead run must have logged nothing.
    """
    from lung_pipeline.tracking.open_runs import end_killed, open_runs
    from lung_pipeline.tracking.schema import schema_behind

    if schema_behind(home) is not None:
        # Told already; MLflow may upgrade its tables by being asked.
        return
    for run in open_runs(home):
        where = f"{run.run_id} ({run.name})"
        if instance and run.dagster_run_id and instance.has_run(run.dagster_run_id):
            if _has_nobody(instance, run, quiet_s):
                treat = partial(end_killed, home, run.run_id)
                yield Ailment("open MLflow run", where, run.started_at, "mark it as KILLED", treat)
        elif time.time() - run.started_at > _OF_NOBODY_S:
            told = "belongs to no Dagster run of this DAGSTER_HOME; end it in MLflow if it is dead"
            yield Ailment("MLflow run of nobody", where, run.started_at, told)


def _has_nobody(instance: dg.DagsterInstance, run: "OpenRun", quiet_s: float) -> bool:
    known = instance.get_run_by_id(run.dagster_run_id)
    if known is not None and known.is_finished:
        fate = fate_of_ended(instance, run.dagster_run_id)
        if fate is Fate.ELSEWHERE:
            return silent_since_s(instance, run.dagster_run_id) >= ENDED_ELSEWHERE_S
        return fate is Fate.DEAD
    return fate_of(instance, run.dagster_run_id, quiet_s) is Fate.DEAD
