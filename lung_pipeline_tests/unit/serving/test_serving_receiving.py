# SPDX-License-Identifier: Apache-2.0
"""Files that come twice, too late, too slowly or not at all, and a disk that does not take them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.serving.job import CANCELLED, UPLOADING, WAITING, Job, Limits
from lung_pipeline.serving.jobs import Jobs
from lung_pipeline.serving.receiving import LateError
from lung_pipeline.serving.room import DiskError
from lung_pipeline.serving.uploads import Promised, Request

ONE_FILE = Request((Promised("Meier_Anna.zip", 3),))


async def _never(job: Job) -> None:
    raise AssertionError(f"{job.state} and yet run")


def _jobs(root: Path, **limits: float) -> Jobs:
    return Jobs(root, Limits(num_jobs=1, **limits), _never)  # type: ignore[arg-type]


class Slow:
    """A file whose last bytes come when the test lets them."""

    def __init__(self) -> None:
        self.rest = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"ab"
        await self.rest.wait()
        yield b"c"


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_a_file_that_is_being_sent_is_not_taken_again_and_waits_once(tmp_path: Path) -> None:
    async def steps() -> None:
        jobs, slow = _jobs(tmp_path), Slow()
        job = jobs.add(ONE_FILE)
        first = asyncio.create_task(jobs.receive(job, 0, slow.chunks()))
        await asyncio.sleep(0)
        with pytest.raises(LateError, match="a file is taken once"):
            await jobs.receive(job, 0, _chunks(b"xyz"))
        assert job.state == UPLOADING
        slow.rest.set()
        await first
        assert job.state == WAITING
        assert jobs.position(job) == 0
        assert job.scan.read_bytes() == b"abc"

    asyncio.run(steps())


def test_a_file_whose_job_is_cancelled_meanwhile_is_late_and_leaves_nothing(tmp_path: Path) -> None:
    async def steps() -> None:
        jobs, slow = _jobs(tmp_path), Slow()
        job = jobs.add(ONE_FILE)
        sending = asyncio.create_task(jobs.receive(job, 0, slow.chunks()))
        await asyncio.sleep(0)
        await jobs.cancel(job)
        slow.rest.set()
        with pytest.raises(LateError, match="got cancelled"):
            await sending
        assert job.state == CANCELLED
        assert list(tmp_path.iterdir()) == []

    asyncio.run(steps())


@pytest.mark.parametrize("sent", [b"ab", b"abcd"], ids=["too short", "too long"])
def test_an_upload_that_fails_gives_its_place_back(tmp_path: Path, sent: bytes) -> None:
    async def steps() -> None:
        jobs = _jobs(tmp_path)
        job = jobs.add(ONE_FILE)
        with pytest.raises(SettingError, match="bytes that were told"):
            await jobs.receive(job, 0, _chunks(sent))
        assert job.state == CANCELLED
        assert "bytes that were told" in job.outcome["rule"]
        assert list(tmp_path.iterdir()) == []
        jobs.add(ONE_FILE)

    asyncio.run(steps())


def test_a_browser_that_goes_away_gives_its_place_back(tmp_path: Path) -> None:
    async def steps() -> None:
        jobs, slow = _jobs(tmp_path), Slow()
        sending = asyncio.create_task(jobs.receive(jobs.add(ONE_FILE), 0, slow.chunks()))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        jobs.add(ONE_FILE)

    asyncio.run(steps())


@pytest.mark.parametrize("limit", ["upload_s", "whole_upload_s"])
def test_an_upload_that_stands_still_is_given_up_while_it_is_sent(
    tmp_path: Path, limit: str
) -> None:
    async def steps() -> None:
        jobs = _jobs(tmp_path, **{limit: 0.02})
        job = jobs.add(ONE_FILE)
        with pytest.raises(SettingError, match="must be sent within"):
            async with asyncio.timeout(4):
                await jobs.receive(job, 0, Slow().chunks())
        assert job.state == CANCELLED

    asyncio.run(steps())


def test_an_upload_that_moves_may_take_longer_than_one_may_stand_still(tmp_path: Path) -> None:
    async def moving() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.1)
            yield b"x"

    async def steps() -> None:
        jobs = _jobs(tmp_path, upload_s=0.4)
        job = jobs.add(Request((Promised("a.zip", 6),)))
        await jobs.receive(job, 0, moving())
        assert job.state == WAITING

    asyncio.run(steps())


def test_an_upload_that_moves_without_end_is_given_up(tmp_path: Path) -> None:
    async def trickling() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.005)
            yield b"x"

    async def steps() -> None:
        jobs = _jobs(tmp_path, upload_s=5, whole_upload_s=0.1)
        job = jobs.add(Request((Promised("a.zip", 10**6),)))
        with pytest.raises(SettingError, match="must be sent within"):
            async with asyncio.timeout(4):
                await jobs.receive(job, 0, trickling())

    asyncio.run(steps())


def test_a_disk_that_takes_no_more_is_said_without_any_path(tmp_path: Path) -> None:
    async def steps() -> None:
        jobs = _jobs(tmp_path)
        job = jobs.add(ONE_FILE)
        job.upload.rmdir()
        job.upload.write_text("a file where the folder must be")
        with pytest.raises(DiskError, match="must find room") as told:
            await jobs.receive(job, 0, _chunks(b"abc"))
        assert "Meier" not in str(told.value)
        assert job.state == CANCELLED
        assert job.outcome["place"] == "disk of the server"
        jobs.add(ONE_FILE)

    asyncio.run(steps())
