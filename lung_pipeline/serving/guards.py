# SPDX-License-Identifier: Apache-2.0
"""Who may ask the server, and what a browser may do with its answers.

A page of any other site that a person has open can send requests to 127.0.0.1. So the host must be
one of ours, or a name that an attacker points at this machine would do (DNS rebinding); and what
changes anything must come from a page of ours (cross-site request forgery).

Belongs here: checks and headers for every request. Does not belong here: what an upload holds
(``uploads.py``).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that nobody else can reach."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page needs its own script and style, and nothing else from anywhere."""

REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
"""A report carries script and style in itself; the sandbox keeps it from asking us anything."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_READING = ("GET", "HEAD")


class Guard:
    """Stands before the application: refuses strangers, and gives every answer its headers."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            # The lifespan goes through; there is no web socket.
            await (self.app(scope, receive, send) if scope["type"] == "lifespan" else _nothing())
            return
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import JSONResponse

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
            await send(message)

        refused = self._refusal(scope["method"], Headers(scope=scope))
        answer: Any = self.app if refused is None else JSONResponse(refused, status_code=403)
        await answer(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Any) -> dict[str, str] | None:
        host = headers.get("host", "")
        if _name_of(host) not in self.hosts:
            return {
                "value": "another host",
                "place": "Host header",
                "rule": "the server must be asked by one of its own names",
                "cure": "Open the address it printed, or start it with --name.",
            }
        if method in _READING or _is_from(headers.get("origin", ""), host):
            return None
        return {
            "value": "another origin",
            "place": "Origin header",
            "rule": "a change must be asked for by a page of this server",
            "cure": "Open the address the server printed and use its page.",
        }


def _name_of(host: str) -> str | None:
    """The name in a host header without its port; None where it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_from(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


async def _nothing() -> None:
    return None
