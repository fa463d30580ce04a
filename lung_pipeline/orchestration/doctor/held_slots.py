# SPDX-License-Identifier: Apache-2.0
"""Slots of pools, such as the one for the GPU, that stand as held by runs that have ended.

Until such a slot is free every step of its pool waits.
"""

from collections.abc import Iterator
from functools import partial

import dagster as dg

from lung_pipeline.orchestration.doctor.ailment import Ailment
from lung_pipeline.orchestration.doctor.processes_of_runs import signs_of


def find_held_slots(instance: dg.DagsterInstance) -> Iterator[Ailment]:
    """Slots, and places in the line before them, of runs that ended and have no process here."""
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
            if signs_of(instance, run_id).living():
                continue
            yield Ailment(
                "held slot",
                f"pool {pool}, by run {run_id} which has ended",
                record.end_time if record else None,
                "free it",
                partial(storage.free_concurrency_slots_for_run, run_id),
            )
