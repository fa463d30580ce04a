# SPDX-License-Identifier: Apache-2.0
"""Servers as processes: started with a log each, ended with all that they started.

Each has its own session, so that Ctrl-C reaches this process alone, which ends them in its own way.

Belongs here: processes. Does not belong here: which servers there are (``servers.py``).
"""

import contextlib
import os
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from lung_pipeline.errors import SettingError

GRACE_S = 20.0
"""How long what runs may take to end by itself: a step writes its end into the database."""

_LAST_LINES = 12
"""Of a server's log, when it fails."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process to be started."""

    name: str
    """How it is called in words; its log has this name, too."""

    command: tuple[str, ...]
    """Program and arguments."""

    page: str = ""
    """Where a browser opens it; empty where it has no page."""

    health: str = ""
    """What answers when it is ready; empty: nothing does."""


Running = list[tuple[Server, "subprocess.Popen[bytes]"]]
"""Servers with their processes."""


@contextlib.contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event that is set when somebody wants an end: SIGINT, SIGTERM or SIGHUP."""
    asked = threading.Event()
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, lambda *_: asked.set()) for one in wanted}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def started(
    servers: list[Server], environment: Mapping[str, str], logs: Path, grace_s: float = GRACE_S
) -> Iterator[Running]:
    """The servers as processes, none of which is left afterwards, nor what they started."""
    running: Running = []
    with contextlib.ExitStack() as opened:
        opened.callback(_end_all, running, grace_s)
        for server in servers:
            log = opened.enter_context(_log(logs, server).open("wb"))
            running.append((server, _start(server, log, environment)))
        yield running


def wait_until_ready(running: Running, asked: threading.Event, logs: Path) -> bool:
    """Whether all servers answered, before somebody wanted an end."""
    waited_for = [server for server, _ in running if server.health]
    while waited_for and not asked.wait(0.2):
        refuse_ended(running, logs)
        waited_for = [server for server in waited_for if not _answers(server.health)]
    return not asked.is_set()


def refuse_ended(running: Running, logs: Path) -> None:
    """Raise ``SettingError`` with the end of its log where a server has ended."""
    for server, process in running:
        if process.poll() is not None:
            log = _log(logs, server)
            said = log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
            raise SettingError(
                value=f"an end with code {process.returncode} after: {' / '.join(said)}",
                place=f"{server.name}'s server",
                rule="a server must keep running",
                cure=f"The whole log is {log}.",
            )


def _start(
    server: Server, log: IO[bytes], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        server.command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


def _end_all(running: Running, grace_s: float) -> None:
    """End the servers and all they started: code servers, runs, steps."""
    family = [one for _, process in running for one in _family(process.pid)]
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    _, left = psutil.wait_procs(family, grace_s)
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left, grace_s)
    for _, process in running:
        # What was started in between has the session of its server.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310, our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def _log(logs: Path, server: Server) -> Path:
    return logs / f"{server.name.lower()}.log"
