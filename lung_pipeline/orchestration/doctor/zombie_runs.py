# SPDX-License-Identifier: Apache-2.0
"""Dagster runs that stand as running and have no process any more.

With the default launcher Dagster has no way to see that a run's worker was killed: the run stays
STARTED for ever, with the slots of its pools. https://github.com/dagster-io/dagster/issues/4319
"""

from collections.abc import Iterator
from functools import partial

import dagster as dg

from lung_pipeline.orchestration.doctor.ailment import Ailment
from lung_pipeline.orchestration.doctor.processes_of_runs import QUIET_S, Fate, fate_of
from lung_pipeline.orchestration.machine_tag import MACHINE_TAG

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""Runs that have a process, or should; queued ones wait for the daemon and need none."""

MESSAGE = "The run's processes are gone; it was given up (lung-pipeline doctor)."
"""What Dagster's log and an alert say of such a run."""


def find_zombies(
    instance: dg.DagsterInstance, quiet_s: float = QUIET_S, given_up: str = ""
) -> Iterator[Ailment]:
    """Runs whose processes are gone; runs of other machines are told, since only they can tell.

    Args:
        instance: where the runs are recorded.
        quiet_s: how long nothing must have been logged.
        given_up: a run of another machine that a person knows to be dead, by its name.
    """
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        run = record.dagster_run
        fate = fate_of(instance, run.run_id, quiet_s)
        since = record.start_time or record.create_timestamp.timestamp()
        where = f"{run.run_id} ({_called(run)})"
        if fate is Fate.DEAD or (fate is Fate.ELSEWHERE and run.run_id == given_up):
            treat = partial(give_up, instance, run)
            yield Ailment("zombie run", where, since, "mark it as failed, free its slots", treat)
        elif fate is Fate.ELSEWHERE and not instance.run_launcher.supports_check_run_worker_health:
            host = run.tags.get(MACHINE_TAG, "a machine it does not name")
            yield Ailment("run of another machine", where, since, _of_other(run, host))


def give_up(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Mark a run as failed, as Dagster does with a worker it sees die, and free its slots."""
    current = instance.get_run_by_id(run.run_id)
    if current is not None and not current.is_finished:
        instance.report_run_failed(current, MESSAGE)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _called(run: dg.DagsterRun) -> str:
    partition = run.tags.get("dagster/partition")
    return f"job {run.job_name}, {partition}" if partition else f"job {run.job_name}"


def _of_other(run: dg.DagsterRun, host: str) -> str:
    return (
        f"works on {host}; where it is dead, run `lung-pipeline doctor` there or "
        f"`lung-pipeline doctor --run {run.run_id}`"
    )
