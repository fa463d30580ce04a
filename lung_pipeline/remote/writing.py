# SPDX-License-Identifier: Apache-2.0
"""Artefacts in a store, written so that nobody sees half of one.

What is written stands on the local disk until it is whole. A file becomes one object, which a store
shows whole or not at all. A folder of several has a last file, by which a reader knows it: the
former one is removed first, the new one is put when all others are there. So a reader finds a whole
artefact, or none; a killed writer leaves objects that belong to none, and its successor puts others
in their place.

Belongs here: that order. Does not belong here: how objects are sent (``objects.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from lung_pipeline.remote.objects import delete, objects_at, put, put_file
from lung_pipeline.remote.scratch import own_folder

LAST_FILES = ("zarr.json", "index.parquet", "state.json")
"""What stands for the whole: of a volume, of crops, of the state of a training. A volume's says how
large its other files are."""


@contextlib.contextmanager
def put_whole(final: Path) -> Iterator[Path]:
    """Lend a local path; what stands there when the block ends well is put into the store.

    Raises:
        LostStoreError: the store was lost; whole artefacts stand as they were, or are absent.
    """
    with own_folder("written") as folder:
        local = folder / final.name
        yield local
        if local.is_dir():
            _put_folder(local, final)
        else:
            put_file(local, final)


def remove_artefact(path: Path) -> None:
    """Remove a file or a folder of a store, its last file first; what is not there is no error."""
    former = objects_at(path)
    last = _last_of(former)
    delete(path, last)
    delete(path, [name for name in former if name not in last])


def _put_folder(local: Path, final: Path) -> None:
    files = [path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()]
    former, last = objects_at(final), _last_of(files)
    delete(final, _last_of(former))
    put(local, sorted(set(files) - set(last)), final)
    delete(final, sorted(set(former) - set(files) - set(_last_of(former))))
    put(local, last, final)


def _last_of(names: Collection[str]) -> list[str]:
    return [name for name in LAST_FILES if name in names]
