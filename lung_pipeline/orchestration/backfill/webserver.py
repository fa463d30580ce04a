# SPDX-License-Identifier: Apache-2.0
"""Questions to Dagster's web server, over GraphQL; its answers as plain values.

Belongs here: one question, one answer, and what it means that there is none. Does not belong here:
what is asked. https://docs.dagster.io/api/graphql
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lung_pipeline.errors import ServiceError, SettingError

DEFAULT_URL = "http://127.0.0.1:3000"
"""Where ``make ui`` and ``dagster-webserver`` listen."""

ANSWERS_WITHIN_S = 120.0
"""The first question loads the code location; on a busy machine that is slow."""


@dataclass(frozen=True, slots=True)
class Webserver:
    """A web server at an address."""

    url: str = DEFAULT_URL
    """Its address, such as a browser is given."""

    def __post_init__(self) -> None:
        """Refuse what is no web address, so that no file is opened by it."""
        if not self.url.lower().startswith(("http://", "https://")):
            raise SettingError(
                value=repr(self.url),
                place="--url",
                rule="the address must begin with http:// or https://",
                cure=f"Name Dagster's web server, such as {DEFAULT_URL}.",
            )

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer.

        Raises:
            ServiceError: nobody answers, or what answers is not Dagster or does not know the query.
        """
        sent = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            # The scheme was looked at, so no file is opened.
            request = urllib.request.Request(self._graphql, data=sent, headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_S) as answered:  # noqa: S310
                answer = json.load(answered)
        except urllib.error.HTTPError as error:
            raise self._no_answer(f"HTTP {error.code} {_first_error(error)}".strip()) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise self._no_answer(str(reason) or type(error).__name__) from error
        if not isinstance(answer, dict) or answer.get("errors") or not answer.get("data"):
            raise self._no_answer(_told(answer))
        return dict(answer["data"])

    def page(self, path: str) -> str:
        """The address of a page of the UI."""
        return f"{self.url.rstrip('/')}/{path}"

    @property
    def _graphql(self) -> str:
        return self.page("graphql")

    def _no_answer(self, value: str) -> ServiceError:
        return ServiceError(
            value=value,
            place=self.url,
            rule="Dagster's web server must answer there",
            cure="Start it (`make ui`, or `dagster-webserver -w workspace.yaml`), or name another "
            "with --url.",
        )


def _first_error(error: urllib.error.HTTPError) -> str:
    try:
        return _told(json.load(error))
    except (OSError, ValueError):
        return ""


def _told(answer: object) -> str:
    errors = answer.get("errors") if isinstance(answer, Mapping) else None
    return str(errors[0].get("message")) if errors else "an answer without data"
