# SPDX-License-Identifier: Apache-2.0
"""What runs by the clock.

A plain schedule and no automation condition: ``on_cron`` does not fire when nothing upstream has
changed, and the night's look must come all the same.
https://docs.dagster.io/guides/automate/schedules
"""

import dagster as dg

from lung_pipeline.orchestration.jobs import REVALIDATE

NIGHTLY = dg.ScheduleDefinition(
    name="nightly_revalidation",
    job=REVALIDATE,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    description="Every night at 2: the champion, loaded from MLflow, over the validation part.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)

SCHEDULES = [NIGHTLY]
