# SPDX-License-Identifier: Apache-2.0
"""Raw scans that lie in an object store, as local files while they are read.

Belongs here: which objects make a scan. Does not belong here: what is in them; ITK and the checks
of headers read files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lung_pipeline.ct.metaio import name_of_voxels
from lung_pipeline.remote.objects import fetch
from lung_pipeline.remote.places import is_remote
from lung_pipeline.remote.scratch import own_folder


@contextlib.contextmanager
def scan_at_hand(name: str, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Lend a scan of a subset's folder, and a folder below which it lies at the same place.

    Both are what they are where they are local. What is not in the store is not in the copy either,
    so that who reads it says so in the words he has for files.

    Args:
        name: the scan's path below the folder, with slashes.
        folder: the subset's.
    """
    if not is_remote(folder):
        yield folder / name, folder
        return
    with own_folder("scans") as near:
        _fetch_scan(name, folder, near)
        yield near / name, near


def _fetch_scan(name: str, folder: Path, near: Path) -> None:
    scan = folder / name
    if scan.is_dir():
        # Slices lie right in the folder; what is deeper is another scan.
        fetch(scan, [path.name for path in scan.iterdir() if path.is_file()], near / name)
        return
    if scan.is_file():
        fetch(folder, [name], near)
    if name.lower().endswith(".mhd") and (near / name).is_file():
        voxels = name_of_voxels(near / name)
        if voxels and voxels != scan.name and scan.with_name(voxels).is_file():
            fetch(scan.parent, [voxels], (near / name).parent)
