# SPDX-License-Identifier: Apache-2.0
"""Puts the code location together; a function, so that tests and commands can put in their own.

Nothing happens here but assembly: no environment is read, no disk, no heavy import.
"""

import os
from typing import Any

import dagster as dg

from lung_pipeline.orchestration.assets import data, evaluation, models, patients, primer
from lung_pipeline.orchestration.checks import CHECKS
from lung_pipeline.orchestration.jobs import JOBS
from lung_pipeline.orchestration.resources import (
    HomeResource,
    MalignancyRuleResource,
    SplitResource,
    TrackingResource,
)
from lung_pipeline.orchestration.schedules import SCHEDULES
from lung_pipeline.orchestration.sensors import SENSORS

EXECUTOR_VARIABLE = "LUNG_EXECUTOR"
"""Where steps run: in_process, multiprocess (the default) or k8s."""


def build_defs(root: str = "", **resources: Any) -> dg.Definitions:
    """The code location.

    Args:
        root: the home; empty: what the environment names when a run starts.
        resources: put in place of those made here, by name.
    """
    home = HomeResource(root=root)
    return dg.Definitions(
        assets=dg.load_assets_from_modules([data, models, patients, evaluation, primer]),
        asset_checks=CHECKS,
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        executor=_executor(),
        resources={
            "home": home,
            "split": SplitResource(),
            "malignancy_rule": MalignancyRuleResource(),
            "tracking": TrackingResource(home=home),
            **resources,
        },
    )


def _executor() -> dg.ExecutorDefinition:
    match os.environ.get(EXECUTOR_VARIABLE, "multiprocess"):
        case "in_process":
            return dg.in_process_executor
        case "k8s":
            from dagster_k8s import k8s_job_executor

            return k8s_job_executor
        case _:
            # Steps use all cores themselves: two at once is enough for a laptop.
            return dg.multiprocess_executor.configured({"max_concurrent": 2})
