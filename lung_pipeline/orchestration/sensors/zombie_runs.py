# SPDX-License-Identifier: Apache-2.0
"""Gives up runs whose process was killed, so that a night's work does not wait for a dead one.

A sensor is evaluated by the code location's server, where the default launcher starts the runs: it
sees their processes, in a container too. A run given up here is tried again once where dagster.yaml
says so (`run_retries`), and told of by `alert_of_failed_run`.

Belongs here: when. Does not belong here: the rule and the cures (``orchestration/doctor``).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from lung_pipeline.home import Home
from lung_pipeline.orchestration.doctor.ailment import Ailment
from lung_pipeline.orchestration.doctor.held_slots import find_held_slots
from lung_pipeline.orchestration.doctor.mlflow_runs import find_open_mlflow_runs
from lung_pipeline.orchestration.doctor.processes_of_runs import QUIET_S
from lung_pipeline.orchestration.doctor.zombie_runs import find_zombies
from lung_pipeline.orchestration.resources import HomeResource

_BADLY_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

_LOOK_BACK_S = 600.0
"""MLflow is asked for this long after a run ended badly: a step may outlive it by a while."""


@dg.sensor(
    description="Gives up runs whose process was killed, with their slots and MLflow runs.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
)
def zombie_runs(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SkipReason:
    """Cure what a killed process left; runs of other machines are told of by the doctor alone."""
    cured = []
    for ailment in _found(context.instance, home.open()):
        if ailment.treat is not None:
            ailment.treat()
            context.log.warning(ailment.in_words)
            cured.append(ailment.in_words)
    return dg.SkipReason("; ".join(cured) or "every run has its process")


def _found(instance: dg.DagsterInstance, home: Home) -> Iterator[Ailment]:
    """Each kind is looked for when the kinds before it are cured."""
    yield from list(find_zombies(instance, QUIET_S))
    yield from list(find_held_slots(instance))
    # Importing MLflow takes seconds and memory: only where something ended badly.
    if _anything_ended_badly(instance):
        yield from list(find_open_mlflow_runs(home, instance, QUIET_S))


def _anything_ended_badly(instance: dg.DagsterInstance) -> bool:
    since = datetime.now(UTC) - timedelta(seconds=_LOOK_BACK_S)
    lately = dg.RunsFilter(statuses=_BADLY_ENDED, updated_after=since)
    return bool(instance.get_run_records(lately, limit=1))
