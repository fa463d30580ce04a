# SPDX-License-Identifier: Apache-2.0
"""On which machine a run does its work, as a tag of the run.

Dagster writes down the numbers of a run's processes but not whose they are. Without the name of the
machine a number tells nothing where several share one database.
"""

import dagster as dg

from lung_pipeline.processes import machine

MACHINE_TAG = "lung_pipeline/machine"
"""The name of the machine, or container, whose processes work at the run."""


def note_machine(context: dg.InitResourceContext) -> None:
    """Write down where the first step of a run works."""
    run, instance = context.run, context.instance
    if run is not None and instance is not None and MACHINE_TAG not in run.tags:
        instance.add_run_tags(run.run_id, {MACHINE_TAG: machine()})
