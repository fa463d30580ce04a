# SPDX-License-Identifier: Apache-2.0
"""A real process for a job: what it tells, and that nothing of it stays when it is stopped."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lung_pipeline.home import Home
from lung_pipeline.serving.child import runner
from lung_pipeline.serving.job import FAILED, REFUSED, RUNNING, Job
from lung_pipeline.serving.uploads import Promised, Request


@pytest.fixture
def job(tmp_path: Path, phantom_home: Home) -> Job:
    """A phantom that was sent, about to run."""
    scan = min(phantom_home.raw_subset("subset0").glob("*.mhd"))
    files = (scan, scan.with_suffix(".raw"))
    made = Job(
        "random",
        tmp_path / "served" / "random",
        Request(tuple(Promised(file.name, file.stat().st_size) for file in files)),
        state=RUNNING,
    )
    made.upload.mkdir(parents=True)
    for file in files:
        shutil.copy(file, made.upload)
    return made


def _children() -> list[psutil.Process]:
    """The diagnoses this process has started."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "lung_pipeline.serving.child" in " ".join(child.cmdline())
    ]


async def _interrupted(job: Job, home: Home, act: Callable[[asyncio.Task[None]], None]) -> None:
    """Run a job, and act as soon as it has told its first step."""
    task = asyncio.create_task(runner(home)(job))
    async with asyncio.timeout(30):
        while not job.step:
            await asyncio.sleep(0.005)
        act(task)
        await asyncio.gather(task, return_exceptions=True)


def test_a_refusal_is_told_without_the_servers_paths(job: Job, tmp_path: Path) -> None:
    job.scan.with_suffix(".raw").unlink()
    asyncio.run(runner(Home.at(tmp_path / "home"))(job))
    assert job.state == REFUSED
    assert set(job.outcome) == {"value", "place", "rule", "cure"}
    assert str(tmp_path) not in str(job.outcome)
    assert job.outcome["place"] == f"{job.scan.stem}.raw"
    assert _children() == []


def test_a_process_that_the_system_ends_fails_its_job_only(job: Job, tmp_path: Path) -> None:
    asyncio.run(
        _interrupted(job, Home.at(tmp_path / "home"), lambda _: [c.kill() for c in _children()])
    )
    assert job.state == FAILED
    assert "exit code -9" in job.outcome["message"]
    assert "memory" in job.outcome["message"]


def test_a_job_that_is_cancelled_leaves_no_process(job: Job, tmp_path: Path) -> None:
    seen: list[psutil.Process] = []

    def cancel(task: asyncio.Task[None]) -> None:
        seen.extend(_children())
        task.cancel()

    asyncio.run(_interrupted(job, Home.at(tmp_path / "home"), cancel))
    assert len(seen) == 1
    assert not seen[0].is_running()
    assert job.state == RUNNING  # whoever cancelled it says what it is now


@pytest.mark.slow
def test_what_libraries_print_does_not_mix_with_what_is_told(job: Job, tmp_path: Path) -> None:
    home = tmp_path / "home"
    # A damaged registry makes the libraries below talk; the person is told one sentence.
    (home / "mlflow").mkdir(parents=True)
    (home / "mlflow" / "mlflow.db").write_text("no database")
    asyncio.run(runner(Home.at(home))(job))
    assert job.state == REFUSED
    assert "must be a SQLite database that can be opened" in str(job.outcome)
    assert job.step == "loading models"
