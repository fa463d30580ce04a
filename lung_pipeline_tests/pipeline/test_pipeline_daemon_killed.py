# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed with all that it began; started again, it brings everything to its end."""

from __future__ import annotations

import hashlib
from pathlib import Path

import dagster as dg
import pytest
from dagster_servers import kill_all, running, until

from lung_pipeline.annotations.lidc_subset import make_lidc_reads
from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import make_candidates
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.ct.subset import convert_volumes, list_raw
from lung_pipeline.home import Home
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.temporaries import leftovers_below

SUBSET = "subset0"
DAEMON = (("dagster-daemon", "run"),)


def _made(home: Home) -> dict[str, str]:
    """The hash of each file of the data stages."""
    return {
        path.relative_to(home.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for room in ("volumes", "tables", "crops")
        for path in (home.root / room).rglob("*")
        # What came is remembered with the times of its files, which are others in each home.
        if path.is_file() and not path.name.endswith(".arrival.json")
    }


def _undisturbed(home: Home) -> dict[str, str]:
    list_raw(home, SUBSET)
    convert_volumes(home, SUBSET)
    make_lidc_reads(home, SUBSET)
    make_candidates(home, SUBSET, SplitRule())
    make_crops(home, SUBSET)
    return _made(home)


def _statuses(home: Home) -> list[str]:
    """Of the runs of ingest, the newest first."""
    with dg.DagsterInstance.from_config(str(home.root / "dagster")) as instance:
        return [run.status.value for run in instance.get_runs(dg.RunsFilter(job_name="ingest"))]


@pytest.mark.slow
def test_killed_daemon_ends_what_it_began_when_it_is_started_again(tmp_path: Path) -> None:
    home, whole = Home.at(tmp_path / "home"), Home.at(tmp_path / "whole")
    for one in (home, whole):
        write_luna_folder(one.raw, num_subsets=1, scans_per_subset=2, seed=29)
        (one.raw_subset(SUBSET) / ".done").touch()
    with running(home, DAEMON) as mark:
        # Nobody asks: the sensor sees the subset, and the daemon launches its run.
        half = home.root / "volumes" / SUBSET
        until(lambda: any(half.glob(".*")), "a volume is being written", look_every_s=0.01)
        kill_all(mark)
    assert _statuses(home) == ["STARTED"], "nobody was left to say otherwise"
    with running(home, DAEMON):
        # Nobody asks again: the dead run is given up and its retry ends.
        until(lambda: _statuses(home) == ["SUCCESS", "FAILURE"], "the run is tried again")
    assert _made(home) == _undisturbed(whole)
    assert list(leftovers_below(home.root)) == []
