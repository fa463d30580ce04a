# SPDX-License-Identifier: Apache-2.0
"""Jobs run in this process, for the demo and for tests: one import of torch, not one a step.

Belongs here: running what ``build`` assembled. Does not belong here: what is run.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from lung_pipeline.home import Home
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.partitions import add_subsets

_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def open_instance(home: Home) -> dg.DagsterInstance:
    """The Dagster instance of DAGSTER_HOME, else one below the home; it tells nobody of itself."""
    folder = Path(os.environ.get("DAGSTER_HOME") or home.root / "dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").is_file():
        (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    os.environ["DAGSTER_HOME"] = str(folder)
    return dg.DagsterInstance.get()


def sync_subsets(home: Home, instance: dg.DagsterInstance) -> list[str]:
    """Register the subsets that lie on disk; returns those that are new."""
    return add_subsets(instance, home.subsets_on_disk())


def run_job(
    home: Home,
    instance: dg.DagsterInstance,
    job: str,
    *,
    partition: str | None = None,
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job of the code location here and now.

    Args:
        home: what the assets read and write.
        instance: where the run is recorded.
        job: its name.
        partition: the subset, for a partitioned job.
        config: for each asset its settings, where they differ from the defaults.
    """
    ops = {"ops": {asset: {"config": dict(knobs)} for asset, knobs in (config or {}).items()}}
    definition = build_defs(root=str(home.root)).resolve_job_def(job)
    return definition.execute_in_process(
        instance=instance, partition_key=partition, run_config={**_QUIET, **ops}
    )
