# SPDX-License-Identifier: Apache-2.0
"""Telling people that a run failed: a file below the home, a line, and a webhook where one is set.

The file has all that is known. The webhook gets what cannot name a patient or a folder: the job,
the run, what failed, and sentences that were written to be told.

Belongs here: what an alert is and where it goes. Does not belong here: when (``sensors.py``).
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from lung_pipeline.home import Home, folder_name
from lung_pipeline.writing import written_whole

WEBHOOK_VARIABLE = "LUNG_PIPELINE_ALERT_WEBHOOK"
"""The environment variable with the address that alerts are posted to; empty: nowhere."""

WEBHOOK_TIMEOUT_S = 5.0
"""An address that does not answer must not hold up the sensors."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One failed run."""

    job: str
    """Its job."""

    run_id: str
    """Dagster's name for it."""

    at: str
    """When it ended, in UTC, such as ``20261123T020512Z``."""

    failed: tuple[str, ...]
    """The steps and checks that failed, by name."""

    reasons: tuple[str, ...]
    """Why, a line each; may name series and folders."""

    tellable: tuple[str, ...] = ()
    """Those of the reasons that may leave the house."""

    @property
    def in_words(self) -> str:
        """All of it in one line."""
        return f"{self._headline} {' '.join(self.reasons)}".strip()

    @property
    def outside(self) -> str:
        """What may leave the house, in one line."""
        return f"{self._headline} {' '.join(self.tellable)}".strip()

    @property
    def file_name(self) -> str:
        """The same run makes the same name, so that telling twice leaves one file."""
        return f"{self.at}-{folder_name(self.job)}-{self.run_id[:8]}.json"

    @property
    def _headline(self) -> str:
        failed = f" ({', '.join(self.failed)})" if self.failed else ""
        return f"The job {self.job} failed{failed}, run {self.run_id}."


def write_alert(home: Home, alert: Alert) -> Path:
    """Write an alert below the home, whole; returns its file."""
    path = home.alerts / alert.file_name
    with written_whole(path) as temporary:
        record = {"in_words": alert.in_words, **asdict(alert)}
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    return path


def webhook_address() -> str:
    """Where alerts are posted to; empty where nobody set it."""
    return os.environ.get(WEBHOOK_VARIABLE, "")


def post_alert(alert: Alert, address: str) -> str:
    """Post an alert as JSON; returns what went wrong in words, empty where nothing did.

    The key ``text`` is what chat programs show. The address is not repeated in words: it often
    holds a secret.
    """
    if not address.lower().startswith(("http://", "https://")):
        return f"{WEBHOOK_VARIABLE} must be an http or https address"
    body = {
        "text": alert.outside,
        "job": alert.job,
        "run_id": alert.run_id,
        "at": alert.at,
        "failed": list(alert.failed),
        "reasons": list(alert.tellable),
    }
    sent, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    try:
        # The scheme was looked at, so no file is opened.
        request = urllib.request.Request(address, data=sent, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_S):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return f"the webhook answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"the webhook could not be reached ({type(error).__name__})"
