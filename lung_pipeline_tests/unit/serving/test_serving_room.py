# SPDX-License-Identifier: Apache-2.0
"""What of the disk a scan and those before it may take."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lung_pipeline.serving.job import RUNNING, UPLOADING, WAITING, Job
from lung_pipeline.serving.room import DiskError, refuse_full_disk
from lung_pipeline.serving.uploads import Promised, Request

MB = 1_000_000
UNPACKED_AT_MOST = 2 << 30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how many bytes the disk has free."""

    def set_to(num_bytes: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=num_bytes))

    return set_to


def _request(name: str, num_bytes: int, **asked: Any) -> Request:
    return Request((Promised(name, num_bytes),), **asked)


def _job(state: str, request: Request) -> Job:
    return Job("random", Path("random"), request, state=state)


@pytest.mark.parametrize(
    ("request_", "promised", "needed"),
    [
        (_request("a.nrrd", 100 * MB), [], 200 * MB),
        (_request("a.nrrd", 100 * MB, has_dicom=True), [], 700 * MB),
        # An archive may unpack a hundredfold, at least 16 MiB and at most 2 GiB.
        (_request("a.ZIP", 10 * MB), [], 1020 * MB),
        (_request("a.zip", 1000), [], 2000 + (1 << 24)),
        (_request("a.zip", 100 * MB), [], 200 * MB + UNPACKED_AT_MOST),
        # Those before: what is still to come, and all results; one archive at a time.
        (
            _request("a.nrrd", 100 * MB),
            [_job(UPLOADING, _request("b.nrrd", 50 * MB)), _job(WAITING, _request("c.mha", MB))],
            301 * MB,
        ),
        (
            _request("a.zip", 100 * MB),
            [_job(RUNNING, _request("b.zip", 50 * MB)), _job(WAITING, _request("c.zip", 50 * MB))],
            300 * MB + UNPACKED_AT_MOST,
        ),
    ],
)
def test_all_that_may_be_written_must_be_free(
    free: Any, request_: Request, promised: list[Job], needed: int
) -> None:
    free(needed)
    refuse_full_disk(Path(), request_, promised)
    free(needed - 1)
    with pytest.raises(DiskError, match="must be free for this scan"):
        refuse_full_disk(Path(), request_, promised)


def test_a_file_that_is_there_is_not_reckoned_twice(free: Any) -> None:
    pair = Request((Promised("a.raw", 90 * MB), Promised("a.mhd", 10 * MB)))
    job = Job("random", Path("random"), pair, arrived={0})
    free(20 * MB + 10 * MB + 100 * MB)
    refuse_full_disk(Path(), _request("b.nrrd", 10 * MB), [job])
    job.arrived.clear()
    with pytest.raises(DiskError):
        refuse_full_disk(Path(), _request("b.nrrd", 10 * MB), [job])
