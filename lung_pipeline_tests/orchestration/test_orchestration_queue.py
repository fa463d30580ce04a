# SPDX-License-Identifier: Apache-2.0
"""What dagster.yaml lets begin: one run of a subset at a time, also where two backfills ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.partitions import add_subsets

# A run that waits must say where its code is; nothing is loaded from there.
_ORIGIN = RemoteRepositoryOrigin(
    RegisteredCodeLocationOrigin("lung_pipeline"), repository_name="__repository__"
)

_SETTINGS = Path(__file__).resolve().parents[2] / "dagster.yaml"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the settings that `make demo` and `make ui` put in place."""
    (tmp_path / "dagster.yaml").write_bytes(_SETTINGS.read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        add_subsets(opened, ["subset0", "subset1"])
        yield opened


def _asked(
    instance: dg.DagsterInstance, subset: str, backfill: str, status: dg.DagsterRunStatus
) -> dg.DagsterRun:
    return instance.create_run_for_job(
        build_defs().resolve_job_def("ingest"),
        tags={"dagster/partition": subset, "dagster/backfill": backfill},
        status=status,
        remote_job_origin=_ORIGIN.get_job_origin("ingest"),
    )


def _may_begin(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    """The runs that the daemon would begin now, by backfill and subset."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    chosen = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
    return [(run.tags["dagster/backfill"], run.tags["dagster/partition"]) for run in chosen]


def test_second_backfill_of_a_subset_waits_for_the_first(instance: dg.DagsterInstance) -> None:
    _asked(instance, "subset0", "first", dg.DagsterRunStatus.STARTED)
    _asked(instance, "subset0", "second", dg.DagsterRunStatus.QUEUED)
    assert _may_begin(instance) == []
    _asked(instance, "subset1", "second", dg.DagsterRunStatus.QUEUED)
    assert _may_begin(instance) == [("second", "subset1")]


def test_two_that_are_asked_for_at_once_begin_one_after_the_other(
    instance: dg.DagsterInstance,
) -> None:
    first = _asked(instance, "subset0", "first", dg.DagsterRunStatus.QUEUED)
    _asked(instance, "subset0", "second", dg.DagsterRunStatus.QUEUED)
    assert _may_begin(instance) == [("first", "subset0")]
    instance.report_run_failed(first)
    assert _may_begin(instance) == [("second", "subset0")]
