# SPDX-License-Identifier: Apache-2.0
"""Jobs run in this process, for the demo and for tests: one import of torch, not one a step.

Belongs here: running what ``build`` assembled. Does not belong here: what is run.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from lung_pipeline.ct.subset_names import parted_by_name
from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.instance import instance_that_answers
from lung_pipeline.orchestration.partitions import add_subsets

BARE_SETTINGS = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
"""The dagster.yaml of an instance that has no daemon: a limit of a pool would be for ever there, as
nobody gives back the place of a process that was killed."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def dagster_folder(home: Home) -> Path:
    """Where Dagster's instance is or would be: DAGSTER_HOME, else a folder below the home.

    Raises:
        SettingError: the home lies in an object store, and DAGSTER_HOME names no local folder.
    """
    named = os.environ.get("DAGSTER_HOME")
    if home.is_remote and not named:
        raise SettingError(
            value="none",
            place=f"DAGSTER_HOME, with the home {home.root}",
            rule="with a home in an object store Dagster needs a local folder of its own",
            cure="Name one; with the runs in PostgreSQL it holds dagster.yaml and little else.",
        )
    return Path(named or home.root / "dagster").absolute()


def open_instance(home: Home) -> dg.DagsterInstance:
    """The Dagster instance of DAGSTER_HOME, else one below the home; it tells nobody of itself.

    Raises:
        ServiceError: the database that its dagster.yaml names does not answer.
    """
    folder = dagster_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").is_file():
        (folder / "dagster.yaml").write_text(BARE_SETTINGS)
    os.environ["DAGSTER_HOME"] = str(folder)
    return instance_that_answers(folder / "dagster.yaml")


def sync_subsets(home: Home, instance: dg.DagsterInstance) -> list[str]:
    """Register the subsets that lie on disk, but for folders no subset may be called like.

    Returns:
        Those that are new.
    """
    fit, _ = parted_by_name(home.subsets_on_disk())
    return add_subsets(instance, fit)


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
