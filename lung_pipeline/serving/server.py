# SPDX-License-Identifier: Apache-2.0
"""The server's process: its socket, its folder, and what is said when it starts.

Each server has a folder of its own below ``<home>/served``, locked while it lives and removed at
its end. One whose lock is free was left by a server that was killed, and goes when the next starts.

Belongs here: starting and ending. Does not belong here: what is answered (``app.py``).
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.remote.scratch import scratch_folder
from lung_pipeline.serving.app import make_app
from lung_pipeline.serving.child import runner
from lung_pipeline.serving.guards import LOOPBACK
from lung_pipeline.serving.job import Limits
from lung_pipeline.serving.jobs import Jobs
from lung_pipeline.writing import remove

SERVED = "served"
"""Below the home: the folders of servers, with what patients' scans they hold."""

HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""Sent when the terminal is closed; Windows has none."""

_LOCK = "lock"


def serve(
    home: Home,
    host: str,
    port: int,
    limits: Limits,
    *,
    names: Sequence[str] = (),
    is_open: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the page until the process is asked to end.

    Args:
        home: whose models are used.
        host: the address to listen on.
        port: 0 for any that is free.
        limits: what is taken on.
        names: further names by which browsers reach this machine.
        is_open: whether a host that others can reach is meant.
        tell: told the page's address.

    Raises:
        SettingError: a host that others can reach and was not meant, or an address that is taken.
    """
    import uvicorn

    if host not in LOOPBACK and not is_open:
        raise SettingError(
            value=host,
            place="--host",
            rule=f"the page is for this machine alone, on one of {', '.join(LOOPBACK)}",
            cure="Add --open-to-others, if whoever reaches this machine may send scans.",
        )
    _end_in_order()
    with _bound(host, port) as listening, own_folder(home) as folder:
        app = make_app(Jobs(folder, limits, runner(home)), (*LOOPBACK, host, *names))
        config = uvicorn.Config(
            app,
            # Addresses hold the names of jobs, which open their results.
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
        shown = f"[{host}]" if ":" in host else host
        server = uvicorn.Server(config)
        if _is_heard(HANG_UP):  # uvicorn itself listens to the two others
            signal.signal(HANG_UP, server.handle_exit)
        tell(f"http://{shown}:{listening.getsockname()[1]}/")
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def _end_in_order() -> None:
    """A signal to end must not end us before the folder is gone.

    The server ends by itself at a signal and then sends it on; others come before it listens.
    """
    for one in (signal.SIGTERM, HANG_UP):
        if _is_heard(one):
            signal.signal(one, lambda *_: sys.exit(0))


def _is_heard(one: signal.Signals | None) -> TypeGuard[signal.Signals]:
    """Not what Windows lacks, nor what nohup told us not to hear."""
    return one is not None and signal.getsignal(one) != signal.SIG_IGN


@contextlib.contextmanager
def own_folder(home: Home) -> Iterator[Path]:
    """A folder that only this user may read and only this server uses; removed at the end."""
    from filelock import FileLock

    # A scan of a patient is never put into an object store to be looked at.
    root = (scratch_folder() if home.is_remote else home.root) / SERVED
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_left(root)
    folder = root / secrets.token_hex(8)
    folder.mkdir(mode=0o700)
    try:
        with FileLock(folder / _LOCK):
            yield folder
    finally:
        remove(folder)


def _remove_left(root: Path) -> None:
    from filelock import FileLock, Timeout

    for folder in root.iterdir():
        if not (folder / _LOCK).is_file():
            continue
        with contextlib.suppress(Timeout), FileLock(folder / _LOCK, blocking=False):
            remove(folder)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingError(
            value=f"{host}:{port} ({error.strerror})",
            place="--host and --port",
            rule="the address must be this machine's own, and free",
            cure="Name another --port, or 0 for any.",
        ) from None
    with listening:
        yield listening
