# SPDX-License-Identifier: Apache-2.0
"""A full disk and a read-only one under each stage: said in a line, nothing half, no loss.

A store that does not answer, in the same way, is in ``test_remote_store.py``.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from ball_scans import MARKS_FROM_HU
from broken_disks import artefacts, files_of_at_most, full, read_only, small_disk
from dense_networks import dense_models

from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import make_candidates
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.ct.subset import convert_volumes
from lung_pipeline.diagnosis.subset import find_in_subset
from lung_pipeline.home import Home
from lung_pipeline.learning.schedule import Schedule
from lung_pipeline.learning.state import TrainingState, write_checkpoint

SUBSET = "subset0"


def _volumes(home: Home) -> None:
    convert_volumes(home, SUBSET)


def _candidates(home: Home) -> None:
    make_candidates(home, SUBSET, SplitRule())


def _crops(home: Home) -> None:
    make_crops(home, SUBSET)


def _findings(home: Home) -> None:
    find_in_subset(home, SUBSET, dense_models(marks_from_hu=MARKS_FROM_HU), {"nodule": "v1"})


def _checkpoint(home: Home) -> None:
    torch.manual_seed(1)
    schedule = Schedule(epochs=1, steps_per_epoch=1, learning_rate=0.1)
    state = TrainingState.begin(torch.nn.Linear(200, 200), schedule)
    write_checkpoint(state, schedule, home.training("nodule", "abc") / "state")


STAGES: dict[str, tuple[Callable[[Home], None], tuple[str, ...]]] = {
    "volumes": (_volumes, ("volumes", "tables/hu_volumes")),
    "candidates": (_candidates, ("tables/candidates",)),
    "crops": (_crops, ("crops",)),
    "findings": (_findings, ("findings",)),
    "checkpoint": (_checkpoint, ("trainings",)),
}
"""Each stage, and the folders of what it makes."""

stages = pytest.mark.parametrize("stage", STAGES)


@pytest.fixture
def disk(ball_home: Home, tmp_path: Path) -> Iterator[tuple[Home, bool]]:
    """A home on a disk of its own, and whether it really is one."""
    with small_disk(tmp_path / "disk") as is_mounted:
        home = tmp_path / "disk" / "home"
        shutil.copytree(ball_home.root, home)
        yield Home.at(home), is_mounted


def _undisturbed(home: Home, stage: str) -> dict[str, str]:
    """What a stage makes of this home; then it is as before the stage again."""
    make, rooms = STAGES[stage]
    for room in rooms:
        shutil.rmtree(home.root / room, ignore_errors=True)
    make(home)
    expected = artefacts(home.root)
    for room in rooms:
        shutil.rmtree(home.root / room)
    return expected


def _assert_whole(home: Home, expected: dict[str, str]) -> None:
    for name, found in artefacts(home.root).items():
        assert found == expected.get(name), f"{name} is half or left over"


# None at all; then so much that it breaks off in the middle of what the stage makes.
@pytest.mark.parametrize(
    ("stage", "left_bytes"),
    [(stage, 0) for stage in STAGES]
    + [("volumes", 40_000), ("crops", 300_000), ("findings", 40_000), ("checkpoint", 40_000)],
)
def test_full_disk_is_said_and_costs_nothing_but_the_run(
    disk: tuple[Home, bool], stage: str, left_bytes: int
) -> None:
    home, is_mounted = disk
    make, _ = STAGES[stage]
    expected = _undisturbed(home, stage)
    broken = full(home.root.parent, left_bytes) if is_mounted else files_of_at_most(1000)
    with broken:
        with pytest.raises(OSError) as told:  # noqa: PT011  # its number is looked at
            make(home)
        _assert_whole(home, expected)
    assert told.value.errno in (errno.ENOSPC, errno.EFBIG)
    # The system's sentence and the artefact, in one line.
    assert str(home.root) in str(told.value.filename), told.value
    assert len(str(told.value).splitlines()) == 1
    make(home)
    assert artefacts(home.root) == expected


@stages
def test_read_only_home_is_said_and_stays_as_it_is(disk: tuple[Home, bool], stage: str) -> None:
    home, is_mounted = disk
    if not is_mounted and os.geteuid() == 0:
        pytest.skip("no disk may be mounted here, and root may write whatever a folder's mode says")
    make, rooms = STAGES[stage]
    expected = _undisturbed(home, stage)
    # Folders that are there: without them it is the making of one that fails.
    for room in rooms:
        (home.root / room).mkdir()
    with read_only(home.root.parent, is_mounted=is_mounted):
        with pytest.raises(OSError, match=r"Read-only file system|Permission denied") as told:
            make(home)
        assert str(home.root) in str(told.value.filename)
        _assert_whole(home, expected)
    make(home)
    assert artefacts(home.root) == expected


def test_crops_on_a_full_disk_do_not_end_the_process_by_a_signal(disk: tuple[Home, bool]) -> None:
    """A memory map that meets a full disk ends its process with SIGBUS, and nothing is said."""
    home, is_mounted = disk
    if not is_mounted:
        pytest.skip("no disk may be mounted here: files that may not grow meet no SIGBUS")
    code = (
        "import sys; from lung_pipeline.crops.subset import make_crops\n"
        "from lung_pipeline.home import Home\n"
        "make_crops(Home.at(sys.argv[1]), 'subset0')"
    )
    with full(home.root.parent, 300_000):
        command = [sys.executable, "-c", code, str(home.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert not home.crops("subset0").exists()
