# SPDX-License-Identifier: Apache-2.0
"""Disks on which a stage breaks off: one that is full, files that may not grow, one read-only.

A full disk is a small one of its own (a tmpfs), which only root may mount; where that is not
allowed, files that may not grow stand for it, which anybody may ask for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

BALLAST = "ballast"
"""The file that fills a disk; removed, there is room again."""

_FOLDERS_AS_ONE = (".zarr", "masks", "state")
_DISK_MIB = 64


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """Mount a small disk of its own at a folder; whether that is allowed here."""
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(place)]
    may = shutil.which("mount") and not subprocess.run(command, capture_output=True).returncode
    try:
        yield bool(may)
    finally:
        if may:
            # Lazily: a memory map that an error still holds must not keep it.
            subprocess.run(["umount", "-l", str(place)], check=True)


@contextlib.contextmanager
def full(disk: Path, left_bytes: int) -> Iterator[None]:
    """Fill a small disk but for some bytes, and make room again afterwards."""
    ballast = disk / BALLAST
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(max(0, free - left_bytes)))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """No file grows beyond this; Python ignores the signal, and ``EFBIG`` is what a write meets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(disk: Path, *, is_mounted: bool) -> Iterator[None]:
    """Nothing can be written below; by the mount, else by every folder's mode."""
    if is_mounted:
        with contextlib.ExitStack() as stack:
            stack.callback(_remount, disk, "rw")
            _remount(disk, "ro")
            yield
        return
    folders = [disk, *(path for path in disk.rglob("*") if path.is_dir())]
    with contextlib.ExitStack() as stack:
        for folder in folders:
            stack.callback(folder.chmod, folder.stat().st_mode)
            folder.chmod(0o555)
        yield


def artefacts(root: Path) -> dict[str, str]:
    """The hash of each artefact below a home; a folder that is one artefact counts as one."""
    found: dict[str, hashlib._Hash] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        below = path.relative_to(root)
        if below.parts[0] != BALLAST:
            digest = found.setdefault(_artefact_of(below).as_posix(), hashlib.sha256())
            digest.update(os.fsencode(below) + path.read_bytes())
    return {name: digest.hexdigest() for name, digest in found.items()}


def _artefact_of(below: Path) -> Path:
    for folder in reversed(below.parents):
        if folder.name.endswith(_FOLDERS_AS_ONE) or folder.parent.name == "crops":
            return folder
    return below


def _remount(disk: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)
