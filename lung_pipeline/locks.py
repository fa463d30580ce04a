# SPDX-License-Identifier: Apache-2.0
"""Who may write what while others read it: locks of the operating system on files below the home.

Belongs here: taking and giving back. Does not belong here: which stage needs which; the assets say
that. A lock dies with its process, however that ends, and the empty file it was on stays, since
removing it could give two processes a lock each. Readers share, a writer is alone; all names are
taken in one order, so two that want several never wait for each other.

An object store has no such locks: there the limit on runs of one partition in dagster.yaml keeps
two runs off one subset.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lung_pipeline.home import Home, checked_name

LOCKS = "locks"
"""The folder below the root; what lies there is empty."""


def data_of(subset: str) -> str:
    """The name of what the ingest makes of a subset: manifests, volumes, candidates, crops."""
    return f"1-data-{subset}"


def findings_of(subset: str) -> str:
    """The name of what the models make of a subset: findings, diagnoses, reports."""
    return f"2-findings-{subset}"


def training_of(step: str, key: str) -> str:
    """The name of one training, by all that it depends on."""
    return f"3-training-{step}-{key}"


@contextlib.contextmanager
def held(
    home: Home,
    *,
    write: Sequence[str] = (),
    read: Sequence[str] = (),
    tell: Callable[[str], None] = lambda sentence: None,
) -> Iterator[None]:
    """Hold some names while the block runs; waits, as long as it takes, for who has them.

    Args:
        home: the locks are those of this home.
        write: names that nobody else may read or write meanwhile.
        read: names that others may read too.
        tell: told, in a sentence, what is waited for.

    Raises:
        OSError: a file system without locks, or a home that may not be written.
    """
    if home.is_remote:
        yield
        return
    wanted = {**dict.fromkeys(read, False), **dict.fromkeys(write, True)}
    with contextlib.ExitStack() as stack:
        for name in sorted(wanted):
            place = home.root / LOCKS / f"{checked_name(name)}.lock"
            stack.enter_context(_locked(place, alone=wanted[name], tell=tell))
        yield


@contextlib.contextmanager
def _locked(place: Path, *, alone: bool, tell: Callable[[str], None]) -> Iterator[None]:
    # `filelock` has a lock for readers and writers only as a SQLite database and in late versions.
    import fcntl

    place.parent.mkdir(parents=True, exist_ok=True)
    # Not handed to programs that are started meanwhile: the lock would live as long as they do.
    number = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    try:
        try:
            fcntl.flock(number, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            _, what, whose = place.stem.split("-", 2)
            verb = "uses" if alone else "writes"
            tell(f"waits for another run that {verb} the {what} of {whose}")
            fcntl.flock(number, kind)
        yield
    finally:
        os.close(number)
