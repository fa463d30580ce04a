# SPDX-License-Identifier: Apache-2.0
"""Whether what an address names answers, said in one line and at once.

MLflow itself asks an absent database for a minute and a half, an absent server for two, and ends in
a page of traceback.

Belongs here: asking once, and the turn of who makes a database ready. Does not belong here: what is
in the database, which is MLflow's.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lung_pipeline.errors import ServiceError, SettingError, StoreError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

PATIENCE_S = 10
"""How long a server may take to accept a connection."""

_TURN = 0x6C756E67
"""PostgreSQL's advisory lock that whoever makes MLflow's tables takes: "lung" in ASCII."""

_CURE = "Start it, or correct the address; docs/how-to/postgresql.md says how."

_ready: set[str] = set()
"""The databases that this process has found ready."""


@contextlib.contextmanager
def made_ready_alone(uri: str, place: str) -> Iterator[None]:
    """Let the block make a PostgreSQL database ready while no other process does.

    Only the first time in a process; after that the block simply runs.

    Args:
        uri: its address, ``postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE``.
        place: the setting that names it, for the error.

    Raises:
        ServiceError: it does not answer, or not to this user.
        SettingError: its driver is not installed.
    """
    from sqlalchemy import text

    if uri in _ready:
        yield
        return
    with contextlib.ExitStack() as stack:
        engine = engine_of(uri, place)
        with answering(uri, place):
            connection = stack.enter_context(engine.connect())
        # Given back with the connection, also by a process that is killed.
        connection.execute(text(f"select pg_advisory_lock({_TURN})"))
        yield
    _ready.add(uri)


@contextlib.contextmanager
def answering(uri: str, place: str) -> Iterator[None]:
    """Say in one line that the database of an address does not answer the block, or is none.

    Raises:
        ServiceError: it does not answer, or not to this user.
        StoreError: it is a file, and no SQLite database that can be opened.
    """
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except DatabaseError as error:
        raise _silent(_without_password(uri), place, str(error.orig)) from None


def refuse_unknown(uri: str, place: str) -> None:
    """Refuse an address of a kind that is not spoken to here, or without any.

    Raises:
        SettingError: neither ``sqlite:``, ``postgresql``, ``http:`` nor ``https:``.
    """
    kind, colon, _ = uri.partition(":")
    if colon and (kind in ("sqlite", "http", "https") or kind.startswith("postgresql")):
        return
    raise SettingError(
        value=f"'{kind}:...'" if colon else "another form",  # the rest may have a password
        place=place,
        rule="MLflow must be a server, a PostgreSQL database or a SQLite file",
        cure="Write http://HOST:PORT, postgresql+psycopg2://USER@HOST/DATABASE or sqlite:////FILE.",
    )


def refuse_silent(uri: str, place: str) -> None:
    """Refuse a server that takes no connection; of other addresses nothing is asked.

    Raises:
        ServiceError: nothing listens there.
        SettingError: an address without a host, or with a port that is no number.
    """
    if not uri.startswith(("http:", "https:")) or uri in _ready:
        return
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host = None
    if host is None:
        raise SettingError(
            value="another form",  # it may have a password
            place=place,
            rule="the address of a server must be http://HOST:PORT",
            cure="Correct host and port.",
        )
    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except OSError as error:
        shown = f"{parts.scheme}://{host}:{port}"
        raise _silent(shown, place, error.strerror or str(error)) from None
    _ready.add(uri)


def engine_of(uri: str, place: str) -> Engine:
    """What connects to a database; nothing is asked of it yet.

    Raises:
        SettingError: it is no address of a database, or its driver is not installed.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError
    from sqlalchemy.pool import NullPool

    waiting = {"connect_timeout": PATIENCE_S} if uri.startswith("postgresql") else {}
    try:
        return create_engine(uri, poolclass=NullPool, connect_args=waiting)
    except (ModuleNotFoundError, ArgumentError, ValueError) as error:
        raise SettingError(
            # The first alone is told: it has nothing of the address, which has a password in it.
            value=f"'{error}'" if isinstance(error, ModuleNotFoundError) else "another form",
            place=place,
            rule="the address must be a database's, and its driver installed",
            cure="Write postgresql+psycopg2://USER@HOST/DATABASE; install lung-pipeline[k8s].",
        ) from None


def _without_password(uri: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(uri).render_as_string(hide_password=True)


def _silent(shown: str, place: str, said: str) -> ServiceError | StoreError:
    first = said.strip().splitlines()[0] if said.strip() else "no answer"
    if shown.startswith("sqlite:"):
        return StoreError(
            value=f"'{first}'",
            place=shown.removeprefix("sqlite:///"),
            rule="MLflow's file must be a SQLite database that can be opened",
            cure=f"Put a copy of it back, or name another in {place}.",
        )
    return ServiceError(
        value=f"'{first}'",
        place=f"{place}={shown}",
        rule="the server it names must answer",
        cure=_CURE,
    )
