# SPDX-License-Identifier: Apache-2.0
"""Dagster's web server as ``make ui`` starts it: it answers to pages of its own alone.

A page of any other site that a person has open can send requests to 127.0.0.1, and Dagster takes
every Host, every Origin, and mutations by GET: a picture's address would end a training. With a
password before it, ``infra/proxy/nginx.conf`` has the same rules.

Belongs here: what is refused before Dagster is asked. Does not belong here: the other servers
(``servers.py``).
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
"""Of an ASGI server. https://asgi.readthedocs.io/en/latest/specs/www.html"""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that nobody else can be given (DNS rebinding)."""


class Guard:
    """Stands before an ASGI application: refuses what another site's page asks for."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request, or open one web socket."""
        said = None if scope["type"] == "lifespan" else refusal(scope)
        if said is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": said})
        else:
            kind = (b"content-type", b"text/plain; charset=utf-8")
            await send({"type": "http.response.start", "status": 403, "headers": [kind]})
            await send({"type": "http.response.body", "body": said.encode()})


def refusal(scope: Mapping[str, Any]) -> str | None:
    """Why a request is refused, in words; None where it may pass."""
    sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = sent.get("host", ""), sent.get("origin")
    if _parts(f"//{host}").hostname not in LOOPBACK:
        return "Refused: the Host header must be 127.0.0.1 or localhost, with the port."
    if origin is not None and _parts(origin).netloc.lower() != host.lower():
        return "Refused: a page of another origin asks."
    is_foreign = sent.get("sec-fetch-site") in ("cross-site", "same-site")
    if is_foreign and sent.get("sec-fetch-mode") != "navigate":
        return "Refused: a page of another site asks."
    is_posted = scope.get("method") == "POST"
    if scope["path"] == "/graphql" and scope["query_string"] and not is_posted:
        return "Refused: questions to /graphql must be sent by POST."
    return None


def _parts(address: str) -> Any:
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def main() -> None:
    """Run ``dagster-webserver`` with its own arguments, and the guard before its application."""
    cli: Any = import_module("dagster_webserver.cli")
    make = cli.create_app_from_workspace_process_context
    # Dagster has no setting for it; a test sees that this is the application it serves.
    cli.create_app_from_workspace_process_context = lambda *a, **k: Guard(make(*a, **k))
    cli.main()


if __name__ == "__main__":
    main()
