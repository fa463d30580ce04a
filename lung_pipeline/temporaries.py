# SPDX-License-Identifier: Apache-2.0
"""Names of files and folders that are being written, and which of them nobody writes any more.

A name says which process writes there: ``.<final>.<place>-<pid>-<random>.tmp``. So what a killed
process left is told at once, and what a living one writes is never touched. Of a process elsewhere
(another machine, another container, an earlier version of this module) nothing can be known; what
it wrote counts as left when nothing in it changed for a day. So does what a living process of that
number did not write, being younger than the file: the time of the file is the file server's, whose
clock may be behind.

A folder that steps aside for a new one is called ``.old`` for that moment. Where its final name is
absent it is the only whole one, and goes back.

Belongs here: the names, and what they tell. Does not belong here: the rename (``writing.py``).
"""

from __future__ import annotations

import math
import os
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.processes import lives, place

WRITTEN, ASIDE = "tmp", "old"
"""What is being written; what stands aside while its successor takes its name."""

UNCHANGED_S = 24 * 3600.0
"""After this time without a change is left over what a process elsewhere wrote, or perhaps another
one of its number."""

_NAME = re.compile(
    r"\.(?P<final>.+)\.(?:(?P<place>[0-9a-f]{8})-(?P<pid>\d+)-)?[0-9a-f]{8}\."
    r"(?P<kind>tmp|old)(?:-journal|-wal|-shm)?"
)
"""With the endings that SQLite gives to the files beside a database."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that nobody will finish."""

    path: Path
    """Where it is."""

    final: Path
    """The name it was to have, or had."""

    changed_at: float
    """When something in it last changed, in seconds since 1970."""

    @property
    def is_to_go_back(self) -> bool:
        """Whether it stood aside for a successor that never came: it is the only whole one."""
        return self.path.name.endswith(f".{ASIDE}") and not os.path.lexists(self.final)


def temporary_beside(final: Path, kind: str = WRITTEN) -> Path:
    """A new name beside ``final`` that says who writes there."""
    return final.with_name(f".{final.name}.{place()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.{kind}")


def leftover_at(path: Path, now: float | None = None) -> Leftover | None:
    """What a path is, where it has the name of a temporary and nobody writes it; else None."""
    parts = _NAME.fullmatch(path.name)
    if parts is None:
        return None
    try:
        changed_at = _changed_at(path)
    except FileNotFoundError:
        # Finished while we looked.
        return None
    is_left = (time.time() if now is None else now) - changed_at > UNCHANGED_S
    if parts["place"] == place():
        pid = int(parts["pid"])
        is_left = not lives(pid, math.inf) or (is_left and not lives(pid, changed_at))
    return Leftover(path, path.with_name(parts["final"]), changed_at) if is_left else None


def leftovers_of(final: Path) -> Iterator[Leftover]:
    """What killed writers of one artefact left beside it."""
    start = f".{final.name}."
    for path in _entries(final.parent):
        if path.name.startswith(start) and (left := leftover_at(path)) and left.final == final:
            yield left


def leftovers_below(folder: Path) -> Iterator[Leftover]:
    """All that killed writers left below a folder; what is left is not looked into."""
    for path in _entries(folder):
        left = leftover_at(path)
        if left is not None:
            yield left
        elif path.is_dir() and not path.is_symlink() and not _NAME.fullmatch(path.name):
            yield from leftovers_below(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _changed_at(path: Path) -> float:
    """The newest change of a file, or of a folder and all below."""
    newest = path.lstat().st_mtime
    if path.is_dir() and not path.is_symlink():
        for inner in path.rglob("*"):
            try:
                newest = max(newest, inner.lstat().st_mtime)
            except FileNotFoundError:
                continue
    return newest
