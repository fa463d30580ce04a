# SPDX-License-Identifier: Apache-2.0
"""Slots of pools, such as the one for the GPU, that stand as held by runs that have ended.

Until such a slot is free every step of its pool waits.
"""

from collections.abc import Iterator
from functools import partial

import dagster as dg

from lung_pipeline.orchestration.doctor.ailment import Ailment
from lung_pipeline.orchestration.doctor.processes_of_runs import Fate, fate_of_ended

_OF_OTHER = (
    "its run worked on another machine, where a step may still use the card; where it does not, "
    "run `lung-pipeline doctor` there or `lung-pipeline doctor --run {run_id}`"
)


def find_held_slots(instance: dg.DagsterInstance, given_up: str = "") -> Iterator[Ailment]:
    """Slots, and places in the line before them, of runs that ended and have no process.

    Args:
        instance: where runs and slots are recorded.
        given_up: a run of another machine that a person knows to be dead, by its name.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    for pool in sorted(storage.get_concurrency_keys()):
        info = storage.get_concurrency_info(pool)
        waiting = {step.run_id for step in info.pending_steps}
        for run_id in sorted(info.active_run_ids | waiting):
            record = instance.get_run_record_by_id(run_id)
            if record is not None and not record.dagster_run.is_finished:
                continue
            # A step may outlive its run's worker by a while; it still uses the card.
            fate = fate_of_ended(instance, run_id)
            if fate is Fate.LIVES:
                continue
            where = f"pool {pool}, by run {run_id} which has ended"
            since = record.end_time if record else None
            if fate is Fate.DEAD or run_id == given_up:
                treat = partial(storage.free_concurrency_slots_for_run, run_id)
                yield Ailment("held slot", where, since, "free it", treat)
            else:
                yield Ailment("held slot", where, since, _OF_OTHER.format(run_id=run_id))
