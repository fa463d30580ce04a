# SPDX-License-Identifier: Apache-2.0
"""The scans that were sent, one diagnosed at a time: who waits, who is at work.

Belongs here: the queue and the life of a job. Does not belong here: how one is run (``child.py``),
HTTP (``app.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from lung_pipeline.errors import LungPipelineError, SettingError
from lung_pipeline.serving.job import (
    CANCELLED,
    DONE,
    ENDED,
    FAILED,
    LOG,
    REFUSED,
    RUNNING,
    UPLOADING,
    WAITING,
    Job,
    Limits,
    told,
)
from lung_pipeline.serving.receiving import left_s, receive_in_time, refuse_late
from lung_pipeline.serving.room import disk_in_words, refuse_full_disk
from lung_pipeline.serving.uploads import Request
from lung_pipeline.writing import remove

RunJob = Callable[[Job], Awaitable[None]]
"""Runs one job and moves it to its end; cancelled, it leaves nothing running."""


class Jobs:
    """All jobs of a server; used within one event loop, so nothing here needs a lock."""

    def __init__(self, root: Path, limits: Limits, run: RunJob) -> None:
        self.root, self.limits = root, limits
        self._run = run
        self._jobs: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._work: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    def add(self, request: Request) -> Job:
        """Make a job whose files are still to come.

        Raises:
            SettingError: too many jobs at once.
            DiskError: too little room on the disk.
        """
        alive = [job for job in self._jobs.values() if job.state not in ENDED]
        if len(alive) >= self.limits.num_jobs:
            raise SettingError(
                value=self.limits.num_jobs,
                place="queue",
                rule=f"at most {self.limits.num_jobs} scans may wait",
                cure="Try again when one is done.",
            )
        job_id = secrets.token_urlsafe(16)
        job = Job(job_id, self.root / job_id, request)
        with disk_in_words():
            refuse_full_disk(self.root, request, alive)
            job.upload.mkdir(parents=True)
        self._jobs[job_id] = job
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of a name, if there is one."""
        return self._jobs.get(job_id)

    async def receive(self, job: Job, number: int, chunks: AsyncIterator[bytes]) -> None:
        """Take in one file of a job; when all are there it waits for its turn.

        An upload that breaks off ends its job, so that it holds no place in the queue.

        Raises:
            SettingError: the file has another length than was told, or comes too slowly.
            LateError: it is there or being sent already, or its job is over.
            DiskError: the disk does not take it.
        """
        refuse_late(job, number)
        # Before anything is waited for: a second request must find it.
        job.arriving.add(number)
        try:
            await receive_in_time(job, number, chunks, self.limits)
            refuse_late(job)
        except BaseException as error:
            if isinstance(error, Exception):
                # Cancelled in the meantime: what broke here only followed from it.
                refuse_late(job)
            if isinstance(error, LungPipelineError):
                job.move(CANCELLED, **told(error))
            elif job.state == UPLOADING:
                job.move(CANCELLED, message="The upload broke off.")
            raise
        finally:
            if job.state in ENDED:
                _clean(job, job.folder)
        job.arrived.add(number)
        if len(job.arrived) == len(job.request.files):
            job.move(WAITING)
            self._waiting.append(job)
            self._wake.set()

    def position(self, job: Job) -> int:
        """How many scans go before a job that waits, the one at work included."""
        before = self._waiting.index(job) if job in self._waiting else 0
        return before + any(other.state == RUNNING for other in self._jobs.values())

    async def cancel(self, job: Job) -> None:
        """Stop a job wherever it is, and remove all it has."""
        if job in self._waiting:
            self._waiting.remove(job)
        was_running = job.state == RUNNING
        job.move(CANCELLED)
        if was_running and self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
        _clean(job, job.folder)

    async def serve(self) -> None:
        """Run what waits, one at a time, until cancelled; then nothing is running any more."""
        try:
            while True:
                while self._waiting:
                    await self._run_next(self._waiting.pop(0))
                self._wake.clear()
                await self._wake.wait()
        finally:
            if self._work is not None:
                self._work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._work

    async def sweep(self, every_s: float = 20.0) -> None:
        """Remove what is over or never came, again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            self.remove_old(time.monotonic())

    def remove_old(self, now_s: float) -> None:
        """Remove jobs that ended long ago and uploads that do not move."""
        for job in list(self._jobs.values()):
            if job.state == UPLOADING and left_s(job, self.limits) < now_s - time.monotonic():
                job.move(CANCELLED)
                _clean(job, job.folder)
            elif job.state in ENDED and now_s - job.touched_s > self.limits.keep_s:
                # What could not be removed is tried again, and known until then.
                job.touched_s = now_s
                if _clean(job, job.folder):
                    del self._jobs[job.job_id]

    async def _run_next(self, job: Job) -> None:
        job.move(RUNNING)
        self._work = asyncio.create_task(_run_to_its_end(self._run, job, self.limits.job_s))
        await asyncio.wait({self._work})
        if job.state == RUNNING:
            # A fault of ours; the job has it, and the server goes on.
            fault = "" if self._work.cancelled() else f" ({type(self._work.exception()).__name__})"
            job.move(FAILED, message=f"The diagnosis broke off{fault}.")
        # What was sent is not needed any more: the results tell what they were made from.
        _clean(job, job.upload)
        if job.state != DONE:
            # A process that was killed may have left the scan there, unpacked.
            _clean(job, job.out)
        self._work = None


async def _run_to_its_end(run: RunJob, job: Job, most_s: float) -> None:
    """Run a job; whatever becomes of it, it ends and the server goes on."""
    try:
        async with asyncio.timeout(most_s):
            await run(job)
    except TimeoutError:
        job.move(FAILED, message=f"The diagnosis took longer than {most_s / 60:.0f} minutes.")
    except LungPipelineError as error:
        job.move(REFUSED, **told(error))
    except OSError as error:
        job.move(FAILED, message=f"The diagnosis could not be started: {error.strerror}.")


def _clean(job: Job, path: Path) -> bool:
    """Remove what a job has; a file that cannot be removed must not end the server's work."""
    try:
        remove(path)
    except OSError as error:
        # Not the error itself: its path may have a patient's name.
        words = error.strerror or type(error).__name__
        LOG.warning("job %s: not all could be removed: %s", job.job_id[:6], words)
        return False
    return True
