# SPDX-License-Identifier: Apache-2.0
"""How much of the disk a scan may take, reckoned before it is taken on.

Belongs here: the estimate, the refusal, and the words where the disk is full all the same. Does not
belong here: what becomes of the job (``jobs.py``).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from lung_pipeline.ct.archive import LIMITS
from lung_pipeline.errors import StoreError
from lung_pipeline.serving.job import UPLOADING, Job
from lung_pipeline.serving.uploads import Request

RESULTS_SHARE = 1
"""Results have at most so many bytes for each that was sent: a report is some megabytes."""

DICOM_SHARE = 5
"""More with DICOM: the volume written as slices, which a packed scan holds in a third, and those
once more in a zip."""


class DiskError(StoreError):
    """The disk of the server does not take a scan."""


def refuse_full_disk(root: Path, request: Request, promised: Iterable[Job]) -> None:
    """Refuse a scan that would not fit beside those that were promised room already.

    Args:
        root: a folder on the disk.
        request: the scan.
        promised: the jobs that have not ended.

    Raises:
        DiskError: too little is free.
    """
    jobs = list(promised)
    needed = request.num_bytes + _results_bytes(request)
    needed += sum(_to_come_bytes(job) + _results_bytes(job.request) for job in jobs)
    # One scan is unpacked at a time, and gone before the next.
    needed += max(_unpacked_bytes(one) for one in (request, *(job.request for job in jobs)))
    free = shutil.disk_usage(root).free
    if free < needed:
        raise DiskError(
            value=f"{free / 1e9:.1f} GB",
            place="disk of the server",
            rule=f"{needed / 1e9:.1f} GB must be free for this scan and those that go before",
            cure="Make room on the disk, or try again when the others are done.",
        )


@contextlib.contextmanager
def disk_in_words() -> Iterator[None]:
    """Put into words what the disk says while a scan is stored, as ``DiskError``."""
    try:
        yield
    except TimeoutError:
        # An error of the system by its class, but here a limit of ours.
        raise
    except OSError as error:
        raise DiskError(
            # Without its path, which has the name that was given.
            value=f"'{error.strerror or type(error).__name__}'",
            place="disk of the server",
            rule="a scan must find room there",
            cure="Make room on the disk, then send the scan again.",
        ) from error


def _to_come_bytes(job: Job) -> int:
    """What was promised and is not on the disk as a whole file."""
    if job.state != UPLOADING:
        return 0
    return sum(
        file.num_bytes for number, file in enumerate(job.request.files) if number not in job.arrived
    )


def _results_bytes(request: Request) -> int:
    return request.num_bytes * (RESULTS_SHARE + DICOM_SHARE * request.has_dicom)


def _unpacked_bytes(request: Request) -> int:
    """What an archive may unpack to; nothing else is unpacked to the disk."""
    is_archive = request.scan_name.lower().endswith(".zip")
    return LIMITS.most_bytes_of(request.num_bytes) if is_archive else 0
