# SPDX-License-Identifier: Apache-2.0
"""One scan on its way through the server, what one server takes on, and what came of it.

A job has a folder of its own, and a random name that tells nothing of the patient and cannot be
guessed: whoever knows it may see the results. Log lines carry its first letters and no more.

Belongs here: the values. Does not belong here: who is next (``jobs.py``).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lung_pipeline.errors import LungPipelineError
from lung_pipeline.serving.uploads import Request

LOG = logging.getLogger("lung_pipeline.serving")
"""Told the states of jobs."""

UPLOADING, WAITING, RUNNING = "uploading", "waiting", "running"
DONE, REFUSED, FAILED, CANCELLED = "done", "refused", "failed", "cancelled"
ENDED = (DONE, REFUSED, FAILED, CANCELLED)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes on; chosen for one person's laptop."""

    upload_bytes: int = 2_000_000_000
    """A scan may have so many bytes as it is sent."""

    num_jobs: int = 8
    """So many may be sent, wait or run at once."""

    upload_s: float = 900.0
    """An upload that has not moved for so long is given up."""

    whole_upload_s: float = 7200.0
    """An upload that takes longer is given up, also one that moves: 2 GB at 2.2 Mbit/s."""

    job_s: float = 1800.0
    """A diagnosis that takes longer is stopped."""

    keep_s: float = 3600.0
    """Results are removed so long after their end."""


@dataclass(slots=True, eq=False)
class Job:
    """One scan on its way; only ``Jobs`` changes it."""

    job_id: str
    """Random; the only name a job has."""

    folder: Path
    """Its own folder: ``upload`` and ``out`` lie in it."""

    request: Request
    """What was asked for."""

    state: str = UPLOADING
    """Where on its way it is."""

    step: str = ""
    """What is at work while it runs."""

    share: float = 0.0
    """How much of that step is done, 0 to 1."""

    outcome: dict[str, Any] = field(default_factory=dict)
    """What came of it: verdict and figures, or value, rule and cure of a refusal."""

    arriving: set[int] = field(default_factory=set)
    """The numbers of the files that are there or being sent: nobody else may send them."""

    arrived: set[int] = field(default_factory=set)
    """The numbers of the files that are there."""

    added_s: float = field(default_factory=time.monotonic)
    """When it was taken on, on the clock of this process."""

    touched_s: float = field(default_factory=time.monotonic)
    """When it last moved, on the clock of this process."""

    @property
    def upload(self) -> Path:
        """Where the files that were sent lie."""
        return self.folder / "upload"

    @property
    def out(self) -> Path:
        """Where the results lie."""
        return self.folder / "out"

    @property
    def scan(self) -> Path:
        """The file to read."""
        return self.upload / self.request.scan_name

    def move(self, state: str, **outcome: Any) -> None:
        """Go on to a state; log lines tell no more than it."""
        self.state, self.outcome, self.touched_s = state, outcome, time.monotonic()
        LOG.info("job %s: %s", self.job_id[:6], state)


def told(error: LungPipelineError) -> dict[str, str]:
    """An error as the page shows it."""
    return {
        "value": str(error.value),
        "place": error.place,
        "rule": error.rule,
        "cure": error.cure,
    }
