# SPDX-License-Identifier: Apache-2.0
"""One file of a job, taken in: once, in time, and with the disk's own troubles told in words.

Belongs here: what a file that arrives may do to its job's folder. Does not belong here: what is
promised of a file (``uploads.py``), and what becomes of the job (``jobs.py``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from lung_pipeline.errors import SettingError
from lung_pipeline.serving.job import UPLOADING, Job, Limits
from lung_pipeline.serving.room import disk_in_words
from lung_pipeline.serving.uploads import receive


class LateError(SettingError):
    """A file that nobody waits for any more, or that another request is sending."""


def refuse_late(job: Job, number: int | None = None) -> None:
    """Refuse what comes to a job that takes no files any more, or that has this one; LateError."""
    if job.state != UPLOADING or number in job.arriving:
        raise LateError(
            value=job.state,
            place="upload",
            rule="a file is taken once, while its scan is being sent",
            cure="Send the scan again.",
        )


async def receive_in_time(
    job: Job, number: int, chunks: AsyncIterator[bytes], limits: Limits
) -> None:
    """Stream one file of a job to its folder, whole or not at all.

    Raises:
        SettingError: it has another length than was told, or comes too slowly.
        DiskError: the disk does not take it.
    """

    async def moving() -> AsyncIterator[bytes]:
        async for chunk in chunks:
            job.touched_s = time.monotonic()
            limit.reschedule(asyncio.get_running_loop().time() + left_s(job, limits))
            if job.state != UPLOADING:
                return
            yield chunk

    try:
        with disk_in_words():
            async with asyncio.timeout(left_s(job, limits)) as limit:
                await receive(moving(), job.upload, job.request.files[number])
    except TimeoutError:
        raise SettingError(
            value="one that takes longer",
            place="upload",
            rule=f"a scan must be sent within {limits.whole_upload_s / 60:.0f} minutes, "
            f"and not stand still for {limits.upload_s / 60:.0f}",
            cure="Send it again over a faster connection.",
        ) from None


def left_s(job: Job, limits: Limits) -> float:
    """How long an upload may still take as things stand."""
    idle_end_s = job.touched_s + limits.upload_s
    return min(idle_end_s, job.added_s + limits.whole_upload_s) - time.monotonic()
