# SPDX-License-Identifier: Apache-2.0
"""Which process of which machine did something, and whether it still runs.

Belongs here: what a number of a process is worth after a kill or a restart. Does not belong here:
what the process was doing.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

_CLOCK_S = 2.0
"""How far the start of a process may be off: the kernel tells the start of the machine in whole
seconds. A process that began within this time after what it is asked for counts as the one."""


def machine() -> str:
    """The machine's name; a container has its own."""
    return socket.gethostname()


def place() -> str:
    """Eight hex digits for the set of processes that this one can see, such as a container's.

    A process number means something only there.
    """
    try:
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        # No Linux: the machine's name alone.
        namespace = ""
    return hashlib.sha256(f"{machine()} {namespace}".encode()).hexdigest()[:8]


def lives(pid: int, at: float) -> bool:
    """Whether the process that had a number at a time (seconds since 1970) still runs here.

    Another one that got the number later does not count. In doubt it lives.
    """
    import psutil

    if pid == os.getpid():
        return True
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(process.create_time() <= at + _CLOCK_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
