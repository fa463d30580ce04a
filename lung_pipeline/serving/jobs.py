# SPDX-License-Identifier: Apache-2.0
"""The scans that were sent, one diagnosed at a time: who waits, who is at work.

Belongs here: the queue and the life of a job. Does not belong here: how one is run (``child.py``),
HTTP (``app.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from lung_pipeline.errors import LungPipelineError, SettingError, StoreError
from lung_pipeline.home import remove
from lung_pipeline.serving.job import (
    CANCELLED,
    ENDED,
    FAILED,
    REFUSED,
    RUNNING,
    UPLOADING,
    WAITING,
    Job,
    Limits,
    told,
)
from lung_pipeline.serving.uploads import Request, receive

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
            StoreError: too little room on the disk.
        """
        if sum(job.state not in ENDED for job in self._jobs.values()) >= self.limits.num_jobs:
            raise SettingError(
                value=self.limits.num_jobs,
                place="queue",
                rule=f"at most {self.limits.num_jobs} scans may wait",
                cure="Try again when one is done.",
            )
        self._refuse_full_disk(request.num_bytes)
        job_id = secrets.token_urlsafe(16)
        job = Job(job_id, self.root / job_id, request)
        job.upload.mkdir(parents=True)
        self._jobs[job_id] = job
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of a name, if there is one."""
        return self._jobs.get(job_id)

    async def receive(self, job: Job, number: int, chunks: AsyncIterator[bytes]) -> None:
        """Take in one file of a job; when all are there it waits for its turn.

        Raises:
            SettingError: the file has another length than was told, or nobody asked for it.
        """
        if job.state != UPLOADING or number in job.arrived:
            raise SettingError(
                value=job.state,
                place="upload",
                rule="a file is taken once, while its scan is being sent",
                cure="Send the scan again.",
            )

        async def touching() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                job.touched_s = time.monotonic()
                if job.state != UPLOADING:
                    return
                yield chunk

        await receive(touching(), job.upload, job.request.files[number])
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
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        remove(job.folder)

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
            age_s = now_s - job.touched_s
            if job.state == UPLOADING and age_s > self.limits.upload_s:
                job.move(CANCELLED)
                remove(job.folder)
            elif job.state in ENDED and age_s > self.limits.keep_s:
                del self._jobs[job.job_id]
                remove(job.folder)

    async def _run_next(self, job: Job) -> None:
        job.move(RUNNING)
        self._work = asyncio.create_task(_run_to_its_end(self._run, job, self.limits.job_s))
        await asyncio.wait({self._work})
        if job.state == RUNNING:
            # A fault of ours; the job has it, and the server goes on.
            fault = type(self._work.exception()).__name__
            job.move(FAILED, message=f"The diagnosis broke off ({fault}).")
        # What was sent is not needed any more: the results tell what they were made from.
        remove(job.upload)
        self._work = None

    def _refuse_full_disk(self, num_bytes: int) -> None:
        free = shutil.disk_usage(self.root).free
        # Sent, unpacked, and results: three times the upload is enough for what we read.
        if free < 3 * num_bytes:
            raise StoreError(
                value=f"{free / 1e9:.1f} GB",
                place="disk of the server",
                rule=f"{3 * num_bytes / 1e9:.1f} GB must be free for this scan",
                cure="Make room on the disk.",
            )


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
