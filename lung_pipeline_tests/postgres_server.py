# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of a test's own: Debian's programs, an empty data folder, a free port."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "p@ss/word"  # noqa: S105 - with characters that an address has to escape
DEADLINE_S = 120
_OWNER = "postgres"
_ESCAPED = "p%40ss%2Fword"


@dataclass(frozen=True)
class Server:
    """A server that runs, on 127.0.0.1."""

    port: int
    programs: Path

    def new_database(self, name: str) -> str:
        """Make an empty database; returns its address."""
        # Of template0, which nobody may enter: a copy is refused while somebody is in the original.
        query = f'create database "{name}" template template0'
        try:
            self._ask("postgres", query)
        except RuntimeError:  # Seen once, on a loaded machine, on a server seconds old.
            time.sleep(5)
            self._ask("postgres", query)
        return self.address(name)

    def data_folder(self) -> str:
        """What the server that answers at the port says it keeps its data in."""
        return self._ask("postgres", "show data_directory").strip()

    def address(self, name: str) -> str:
        return f"postgresql+psycopg2://lung:{_ESCAPED}@127.0.0.1:{self.port}/{name}"

    def rows(self, name: str, query: str) -> list[str]:
        return self._ask(name, query).splitlines()

    def _ask(self, database: str, query: str) -> str:
        command = [str(self.programs / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1"]
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "lung", "-d", database]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        done = subprocess.run(
            [*command, *where, "-c", query],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"PostgreSQL refused {query!r}: {done.stderr.strip()}"
            raise RuntimeError(msg)
        return done.stdout


def programs() -> Path | None:
    """Where initdb and postgres are; None where there is no PostgreSQL."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    for folder in [*folders, *([Path(found).parent] if found else [])]:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


@contextlib.contextmanager
def running_server(where: Path) -> Iterator[Server]:
    """Lend a server whose data lie in an own folder; it is gone at the end, whatever happens."""
    # Not below pytest's folder, which root keeps to itself: PostgreSQL refuses to run as root.
    with tempfile.TemporaryDirectory(prefix="lung-postgres-") as folder:
        data = Path(folder) / "data"
        if os.getuid() == 0:
            owner = pwd.getpwnam(_OWNER)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        _make(where, data)
        with contextlib.ExitStack() as stack:
            process, port = _started(where, data)
            stack.callback(_stop, process)
            yield Server(port, where)


def _as_owner() -> list[str]:
    return ["setpriv", f"--reuid={_OWNER}", f"--regid={_OWNER}", "--clear-groups"]


def _command(*words: str) -> list[str]:
    # Of setpriv and not runuser: it becomes the program, so that our signals reach that.
    return [*_as_owner(), *words] if os.getuid() == 0 else [*words]


def _make(where: Path, data: Path) -> None:
    secret = data.parent / "password"
    secret.write_text(PASSWORD)
    if os.getuid() == 0:
        owner = pwd.getpwnam(_OWNER)
        os.chown(secret, owner.pw_uid, owner.pw_gid)
    subprocess.run(
        _command(
            *(str(where / "initdb"), "--no-sync", "-U", "lung", "-E", "UTF8", "--locale=C"),
            *("-A", "scram-sha-256", "--pwfile", str(secret), "-D", str(data)),
        ),
        cwd="/",
        check=True,
        capture_output=True,
    )


def _started(where: Path, data: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start it on a free port; another may take the port in between, so it is tried again."""
    for _ in range(5):
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            port = int(asked.getsockname()[1])
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        settings += ["fsync=off", "max_connections=200", "shared_buffers=32MB", "autovacuum=off"]
        flags = [word for setting in settings for word in ("-c", setting)]
        command = _command(str(where / "postgres"), "-D", str(data), *flags)
        process = subprocess.Popen(
            command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if _answers(process, Server(port, where), data):
            return process, port
        _stop(process)
    msg = "PostgreSQL did not start"
    raise RuntimeError(msg)


def _answers(process: subprocess.Popen[bytes], server: Server, data: Path) -> bool:
    """Whether it is this server that answers, and not another that took the port."""
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(RuntimeError):
            return server.data_folder() == str(data)
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    # SIGINT is PostgreSQL's fast shutdown: clients are sent away.
    process.send_signal(2)
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
