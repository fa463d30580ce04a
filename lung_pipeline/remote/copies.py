# SPDX-License-Identifier: Apache-2.0
"""Local copies of what lies in a store, for libraries that want a file.

Two kinds. ``local_copy`` keeps what is read again and again (crops, the readers' XML) and fetches
it anew only when it changed in the store; there is one copy of it at most. ``at_hand`` is for what
is read once, and is gone after the block. A local path is its own copy: nothing is copied.

Belongs here: which copy is that of which version. Does not belong here: where copies lie
(``scratch.py``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lung_pipeline.errors import StoreError
from lung_pipeline.remote.objects import StoredObject, fetch, fetch_file, objects_at, put
from lung_pipeline.remote.places import is_remote
from lung_pipeline.remote.scratch import own_folder, scratch_folder

_COPIES = "copies"

_TRIES = 3
"""How often a copy is begun that changes while it is made."""


def local_copy(path: Path) -> Path:
    """The path itself where it is local, else that of a whole copy of what is there now.

    Who copies one artefact takes turns, also between processes; a former version is removed.

    Raises:
        StoreError: nothing is there, or it is written again and again.
    """
    if not is_remote(path):
        return path
    from filelock import FileLock

    for _ in range(_TRIES):
        objects = _present(path)
        kept = scratch_folder() / _COPIES / _hash(str(path))
        copy = kept / _hash(json.dumps({n: asdict(o) for n, o in sorted(objects.items())}))
        kept.mkdir(parents=True, exist_ok=True)
        with FileLock(kept / "lock"):
            if copy.is_dir() or _copied(path, objects, copy):
                return copy / path.name
    raise StoreError(
        value="one that changes",
        place=path,
        rule="what is copied must stay as it is for so long",
        cure="Wait for the run that writes it, then start again.",
    )


@contextlib.contextmanager
def at_hand(path: Path) -> Iterator[Path]:
    """Lend a file or folder as a local one; what is not there is not there in the copy either."""
    if not is_remote(path):
        yield path
        return
    with own_folder("at-hand") as folder:
        local = folder / path.name
        _fetch_all(path, objects_at(path), local)
        yield local


@dataclass(slots=True)
class WorkingFolder:
    """A folder that grows while it is used, such as event files; ``keep`` makes it last."""

    place: Path
    """Where it is to last."""

    local: Path
    """Where it is written; the same where that is local."""

    _known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def keep(self) -> None:
        """Put what changed since the last time; nothing to do for a local folder."""
        if self.place is self.local:
            return
        found = _stamps(self.local)
        put(self.local, sorted(n for n in found if self._known.get(n) != found[n]), self.place)
        self._known = found


@contextlib.contextmanager
def worked_in(place: Path) -> Iterator[WorkingFolder]:
    """Lend a folder, with what it has already; it lasts as far as it was kept."""
    with at_hand(place) as local:
        yield WorkingFolder(place, local, _stamps(local) if local is not place else {})


def _present(path: Path) -> dict[str, StoredObject]:
    objects = objects_at(path)
    if not objects:
        raise StoreError(
            value="nothing",
            place=path,
            rule="it must be there to be copied",
            cure="Materialize the asset that writes it.",
        )
    return objects


def _copied(path: Path, objects: Mapping[str, StoredObject], copy: Path) -> bool:
    """Make a copy and remove others; False where the original changed meanwhile."""
    for former in copy.parent.iterdir():
        if former.is_dir():
            shutil.rmtree(former, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix="half-") as half:
        try:
            _fetch_all(path, objects, Path(half) / "whole" / path.name)
        except FileNotFoundError:
            return False
        if objects_at(path) != objects:
            return False
        (Path(half) / "whole").rename(copy)
    return True


def _fetch_all(path: Path, objects: Mapping[str, StoredObject], local: Path) -> None:
    """Fetch a file or folder; copies have the times of their originals, by which they are known."""
    local.parent.mkdir(parents=True, exist_ok=True)
    if "" in objects:
        fetch_file(path, local)
    else:
        fetch(path, objects, local)
    for name, one in objects.items():
        os.utime(local / name if name else local, (one.changed_at, one.changed_at))


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    known = {path.relative_to(folder).as_posix(): path.stat() for path in files}
    return {name: (one.st_size, one.st_mtime_ns) for name, one in known.items()}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
