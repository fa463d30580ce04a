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

from lung_pipeline.errors import ServiceError, SettingError

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
    from sqlalchemy.exc import OperationalError

    if uri in _ready:
        yield
        return
    with contextlib.ExitStack() as stack:
        engine = _engine(uri, place)
        try:
            connection = stack.enter_context(engine.connect())
        except OperationalError as error:
            raise _silent(_without_password(uri), place, str(error.orig)) from None
        # Given back with the connection, also by a process that is killed.
        connection.execute(text(f"select pg_advisory_lock({_TURN})"))
        yield
    _ready.add(uri)


def refuse_silent(uri: str, place: str) -> None:
    """Refuse a server that takes no connection; of other addresses nothing is asked.

    Raises:
        ServiceError: nothing listens there.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or uri in _ready:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), PATIENCE_S).close()
    except OSError as error:
        shown = f"{parts.scheme}://{parts.hostname}:{port}"
        raise _silent(shown, place, error.strerror or str(error)) from None
    _ready.add(uri)


def _engine(uri: str, place: str) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError
    from sqlalchemy.pool import NullPool

    waiting = {"connect_timeout": PATIENCE_S}
    try:
        return create_engine(uri, poolclass=NullPool, connect_args=waiting)
    except (ModuleNotFoundError, ArgumentError) as error:
        raise SettingError(
            # Neither tells the address, which has a password in it.
            value=f"'{error}'" if isinstance(error, ModuleNotFoundError) else "another form",
            place=place,
            rule="the address must be a database's, and its driver installed",
            cure="Write postgresql+psycopg2://USER@HOST/DATABASE; install lung-pipeline[k8s].",
        ) from None


def _without_password(uri: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(uri).render_as_string(hide_password=True)


def _silent(shown: str, place: str, said: str) -> ServiceError:
    first = said.strip().splitlines()[0] if said.strip() else "no answer"
    return ServiceError(
        value=f"'{first}'",
        place=f"{place}={shown}",
        rule="the server it names must answer",
        cure=_CURE,
    )
