# SPDX-License-Identifier: Apache-2.0
"""All files below a home, looked at once: names, sizes, times.

Belongs here: the one way that is the same for a folder and an object store. Does not belong here:
what the files are (``usage``, ``prune``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.home import Home
from lung_pipeline.remote.objects import objects_at


@dataclass(frozen=True, slots=True)
class File:
    """A file, an object, or a link, which counts as itself: what it leads to lies elsewhere."""

    num_bytes: int
    """Its size on disk; of a sparse or tiny file that of its blocks, as a full disk counts."""

    changed_at: float
    """When it was last written, in seconds since 1970."""


Listing = Mapping[str, File]
"""Names below a root, with "/" between folders, to what is there."""

_BLOCK_BYTES = 512
"""What ``st_blocks`` counts in, by POSIX."""


def listing_of(home: Home) -> dict[str, File]:
    """All files below a home; empty where it is not there yet."""
    if home.is_remote:
        found = objects_at(home.root)
        return {name: File(one.num_bytes, one.changed_at) for name, one in found.items()}
    return {path.relative_to(home.root).as_posix(): file for path, file in _walked(home.root)}


def below(listing: Listing, folder: str) -> dict[str, File]:
    """What lies below a folder, under its names there."""
    start = f"{folder}/"
    return {
        name.removeprefix(start): file for name, file in listing.items() if name.startswith(start)
    }


def children(listing: Listing, folder: str) -> list[str]:
    """The names of what stands directly below a folder, sorted, without hidden ones."""
    names = {name.partition("/")[0] for name in below(listing, folder)}
    return sorted(name for name in names if name[0] != ".")


def _walked(root: Path) -> Iterator[tuple[Path, File]]:
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*names, *links):
            path = Path(folder) / name
            try:
                found = path.lstat()
            except FileNotFoundError:
                # Finished, or removed, while we looked.
                continue
            yield path, File(_on_disk(found), found.st_mtime)


def _on_disk(found: os.stat_result) -> int:
    blocks = getattr(found, "st_blocks", None)
    is_file = stat.S_ISREG(found.st_mode)
    return blocks * _BLOCK_BYTES if is_file and blocks is not None else found.st_size
