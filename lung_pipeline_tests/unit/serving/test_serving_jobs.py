# SPDX-License-Identifier: Apache-2.0
"""The queue: one scan at a time, each to an end of its own, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lung_pipeline.errors import GeometryError, SettingError
from lung_pipeline.serving.job import (
    CANCELLED,
    DONE,
    FAILED,
    REFUSED,
    RUNNING,
    UPLOADING,
    WAITING,
    Job,
    Limits,
)
from lung_pipeline.serving.jobs import Jobs
from lung_pipeline.serving.uploads import Promised, Request

ONE_FILE = Request((Promised("Meier_Anna.zip", 3),))
LIMITS = Limits(num_jobs=3, job_s=5)


class Gate:
    """Runs a job that is done when the test opens the gate."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.ran: list[str] = []
        self.stopped: list[str] = []

    async def __call__(self, job: Job) -> None:
        self.ran.append(job.job_id)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.stopped.append(job.job_id)
            raise
        job.move(DONE, verdict="benign")


async def _bytes(chunk: bytes = b"abc") -> AsyncIterator[bytes]:
    yield chunk


async def _sent(jobs: Jobs) -> Job:
    job = jobs.add(ONE_FILE)
    await jobs.receive(job, 0, _bytes())
    return job


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.001)


def _served(
    root: Path, run: Callable[[Job], Awaitable[None]], steps: Callable[[Jobs], Awaitable[None]]
) -> None:
    """Take steps while a server runs what waits; it must end when it is told to."""

    async def main() -> None:
        jobs = Jobs(root, LIMITS, run)
        serving = asyncio.create_task(jobs.serve())
        try:
            await steps(jobs)
        finally:
            serving.cancel()
            async with asyncio.timeout(5):
                await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


def test_scans_run_one_at_a_time_in_the_order_they_came(tmp_path: Path) -> None:
    gate = Gate()

    async def steps(jobs: Jobs) -> None:
        first, second, third = [await _sent(jobs) for _ in range(3)]
        await _until(lambda: first.state == RUNNING)
        assert (second.state, third.state) == (WAITING, WAITING)
        assert [jobs.position(job) for job in (first, second, third)] == [1, 1, 2]
        gate.open.set()
        await _until(lambda: third.state == DONE)
        assert gate.ran == [first.job_id, second.job_id, third.job_id]
        assert not first.upload.exists()

    _served(tmp_path, gate, steps)


def test_a_pair_waits_until_both_files_are_there(tmp_path: Path) -> None:
    async def steps(jobs: Jobs) -> None:
        job = jobs.add(Request((Promised("a.raw", 3), Promised("a.mhd", 2))))
        await jobs.receive(job, 1, _bytes(b"ab"))
        assert job.state == UPLOADING
        with pytest.raises(SettingError, match="a file is taken once"):
            await jobs.receive(job, 1, _bytes(b"cd"))
        await jobs.receive(job, 0, _bytes())
        assert job.state in (WAITING, RUNNING)
        assert job.scan.read_bytes() == b"ab"
        with pytest.raises(SettingError, match="a file is taken once"):
            await jobs.receive(job, 0, _bytes())

    _served(tmp_path, Gate(), steps)


def test_a_job_that_is_refused_or_breaks_is_its_own_end_only(tmp_path: Path) -> None:
    ends: list[Exception | None] = [
        GeometryError(value=0, place="scan.mhd", rule="spacing must be positive", cure="Mend it."),
        ZeroDivisionError("a fault of ours"),
        OSError(12, "Cannot allocate memory"),
        None,
    ]

    async def run(job: Job) -> None:
        end = ends.pop(0)
        if end is not None:
            raise end
        job.move(DONE)

    async def steps(jobs: Jobs) -> None:
        for state in (REFUSED, FAILED, FAILED, DONE):
            job = await _sent(jobs)
            await _until(lambda job=job: job.state not in (WAITING, RUNNING))
            assert job.state == state
            if state == REFUSED:
                assert job.outcome["rule"] == "spacing must be positive"
                assert job.outcome["cure"] == "Mend it."

    _served(tmp_path, run, steps)


def test_a_job_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    gate = Gate()

    async def main() -> None:
        jobs = Jobs(tmp_path, Limits(job_s=0.02), gate)
        serving = asyncio.create_task(jobs.serve())
        job = await _sent(jobs)
        await _until(lambda: job.state == FAILED)
        assert "took longer" in job.outcome["message"]
        assert gate.stopped == [job.job_id]
        serving.cancel()

    asyncio.run(main())


def test_cancelled_jobs_stop_where_they_are_and_leave_nothing(tmp_path: Path) -> None:
    gate = Gate()

    async def steps(jobs: Jobs) -> None:
        running, waiting = await _sent(jobs), await _sent(jobs)
        sending = jobs.add(ONE_FILE)
        await _until(lambda: running.state == RUNNING)
        for job in (sending, waiting, running):
            await jobs.cancel(job)
            assert job.state == CANCELLED
            assert not job.folder.exists()
        assert gate.stopped == [running.job_id]
        with pytest.raises(SettingError, match="while its scan is being sent"):
            await jobs.receive(sending, 0, _bytes())
        gate.open.set()
        after = await _sent(jobs)
        await _until(lambda: after.state == DONE)
        assert gate.ran == [running.job_id, after.job_id]

    _served(tmp_path, gate, steps)


def test_a_server_that_ends_stops_the_job_at_work(tmp_path: Path) -> None:
    gate = Gate()

    async def steps(jobs: Jobs) -> None:
        job = await _sent(jobs)
        await _until(lambda: job.state == RUNNING)

    _served(tmp_path, gate, steps)
    assert len(gate.stopped) == 1


def test_too_many_scans_are_refused_until_one_ends(tmp_path: Path) -> None:
    async def steps(jobs: Jobs) -> None:
        kept = [jobs.add(ONE_FILE) for _ in range(3)]
        with pytest.raises(SettingError, match="at most 3 scans may wait"):
            jobs.add(ONE_FILE)
        await jobs.cancel(kept[0])
        jobs.add(ONE_FILE)

    _served(tmp_path, Gate(), steps)


def test_a_scan_that_the_disk_has_no_room_for_is_refused(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, LIMITS, Gate.__call__)  # type: ignore[arg-type]  # never run
    with pytest.raises(Exception, match="must be free for this scan"):
        jobs.add(Request((Promised("a.zip", 10**18),)))
    assert list(tmp_path.iterdir()) == []


def test_old_results_and_uploads_that_stand_still_are_removed(tmp_path: Path) -> None:
    gate = Gate()
    gate.open.set()

    async def steps(jobs: Jobs) -> None:
        done, sending = await _sent(jobs), jobs.add(ONE_FILE)
        await _until(lambda: done.state == DONE)
        now_s = time.monotonic()
        jobs.remove_old(now_s)
        assert done.folder.exists()
        assert sending.folder.exists()
        jobs.remove_old(now_s + jobs.limits.upload_s + 1)
        assert sending.state == CANCELLED
        assert not sending.folder.exists()
        assert jobs.get(done.job_id) is done
        jobs.remove_old(now_s + jobs.limits.keep_s + 1)
        assert jobs.get(done.job_id) is None
        assert list(tmp_path.iterdir()) == []

    _served(tmp_path, gate, steps)


def test_names_of_jobs_cannot_be_guessed_and_logs_name_no_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    gate.open.set()

    async def steps(jobs: Jobs) -> None:
        one, other = await _sent(jobs), await _sent(jobs)
        await _until(lambda: other.state == DONE)
        assert len(one.job_id) >= 20
        assert one.job_id != other.job_id

    with caplog.at_level(logging.INFO):
        _served(tmp_path, gate, steps)
    assert "done" in caplog.text
    assert "Meier" not in caplog.text
    assert all(len(word) < 20 for record in caplog.records for word in record.message.split())


def test_files_that_cannot_be_removed_do_not_end_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(job: Job) -> None:
        # A file where the job's folder was: what is below it cannot even be looked for.
        shutil.rmtree(job.folder)
        job.folder.write_text("")
        job.move(DONE)

    async def steps(jobs: Jobs) -> None:
        for _ in range(2):
            job = await _sent(jobs)
            await _until(lambda job=job: job.state == DONE)

    _served(tmp_path, run, steps)
    assert "not all could be removed: Not a directory" in caplog.text
    assert "Meier" not in caplog.text


def test_only_a_job_that_is_done_keeps_what_it_wrote(tmp_path: Path) -> None:
    ends = [FAILED, REFUSED, DONE]

    async def run(job: Job) -> None:
        (job.out / ".unpacked-x").mkdir(parents=True)
        (job.out / ".unpacked-x" / "scan.raw").write_text("a patient's")
        job.move(ends.pop(0))

    async def steps(jobs: Jobs) -> None:
        sent = [await _sent(jobs) for _ in ends]
        await _until(lambda: sent[-1].state == DONE and not sent[-1].upload.exists())
        assert [job.out.exists() for job in sent] == [False, False, True]

    _served(tmp_path, run, steps)
