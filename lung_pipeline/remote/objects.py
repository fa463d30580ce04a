# SPDX-License-Identifier: Apache-2.0
"""Files and folders of a store fetched, put and removed, many objects at a time.

Belongs here: objects and their versions. Does not belong here: what makes an artefact whole
(``writing.py``) and what is kept of copies (``copies.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lung_pipeline.errors import LostStoreError
from lung_pipeline.remote.places import store_of


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as it is now."""

    version: str
    """By which another content is told: the store's ETag."""

    num_bytes: int
    """Its size."""

    changed_at: float
    """When it was put, in seconds since 1970."""


def objects_at(path: Path) -> dict[str, StoredObject]:
    """The objects of a file or a folder by their names below it; a file's own name is "".

    One request for a thousand objects. The empty object by which a console keeps a folder, whose
    key ends in "/", is no file of it.
    """
    store, name = store_of(path)
    # Below "crops/a" nothing of "crops/ab" is found; of a name that is an object, that object.
    found = store.find(name, detail=True)
    return {
        key.removeprefix(name).lstrip("/"): _stored(entry)
        for key, entry in found.items()
        if entry["type"] == "file" and not key.endswith("/")
    }


def fetch(path: Path, names: Iterable[str], into: Path) -> None:
    """Copy objects below a folder of the store to files below a local folder.

    ``FileNotFoundError`` where one is gone.
    """
    store, place = store_of(path)
    pairs = [(f"{place}/{name}", into / name) for name in names]
    for _, local in pairs:
        local.parent.mkdir(parents=True, exist_ok=True)
    if pairs:
        store.get([key for key, _ in pairs], [str(local) for _, local in pairs])


def fetch_file(path: Path, local: Path) -> None:
    """Copy one object to a local file; ``FileNotFoundError`` where there is none."""
    store, name = store_of(path)
    store.get_file(name, str(local))


def put(local: Path, names: Iterable[str], path: Path) -> None:
    """Copy files below a local folder to objects below a folder of the store."""
    store, place = store_of(path)
    pairs = [(str(local / name), f"{place}/{name}") for name in names]
    if pairs:
        store.put([file for file, _ in pairs], [key for _, key in pairs])


def put_file(local: Path, path: Path) -> None:
    """Copy a local file to one object; the store shows the whole of it or none."""
    store, name = store_of(path)
    store.put_file(str(local), name)


def put_first(local: Path, path: Path) -> None:
    """Copy a local file to one object, unless there is one by now.

    A store that knows no condition on a put (AWS has it since 2024) may keep the last of several
    that come at once.
    """
    store, name = store_of(path)
    try:
        store.put_file(str(local), name, mode="create")
    except (FileExistsError, LostStoreError):
        # Not every store says in the same words that there is one, or that it knows no condition;
        # one that is lost says so again.
        if not path.is_file():
            put_file(local, path)


def delete(path: Path, names: Iterable[str]) -> None:
    """Remove objects below a folder; those that are not there are no error."""
    store, place = store_of(path)
    keys = [f"{place}/{name}" if name else place for name in names]
    if keys:
        store.rm(keys)


def _stored(entry: Mapping[str, Any]) -> StoredObject:
    changed = entry["LastModified"]
    return StoredObject(str(entry["ETag"]).strip('"'), int(entry["size"]), changed.timestamp())
