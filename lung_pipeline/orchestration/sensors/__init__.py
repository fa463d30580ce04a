# SPDX-License-Identifier: Apache-2.0
"""What Dagster's daemon looks at by itself: failed and killed runs, new subsets, what to diagnose.

https://docs.dagster.io/guides/automate/sensors
"""

from lung_pipeline.orchestration.sensors.failed_runs import alert_of_failed_run
from lung_pipeline.orchestration.sensors.new_diagnoses import diagnose_new_subset
from lung_pipeline.orchestration.sensors.new_subsets import new_luna_subset
from lung_pipeline.orchestration.sensors.zombie_runs import zombie_runs

SENSORS = [alert_of_failed_run, new_luna_subset, diagnose_new_subset, zombie_runs]

__all__ = [
    "SENSORS",
    "alert_of_failed_run",
    "diagnose_new_subset",
    "new_luna_subset",
    "zombie_runs",
]
