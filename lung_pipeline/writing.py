# SPDX-License-Identifier: Apache-2.0
"""How a file or folder is written so that nobody sees half of it, and how it is removed.

Belongs here: the rename that makes a write whole, what must be on the disk before it, and what a
killed writer left. Does not belong here: where things lie (``home.py``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lung_pipeline.disk_errors import named
from lung_pipeline.remote.places import is_remote
from lung_pipeline.remote.writing import put_whole, remove_artefact
from lung_pipeline.renaming import exchange
from lung_pipeline.temporaries import ASIDE, Leftover, leftovers_of, temporary_beside


@contextlib.contextmanager
def written_whole(final: Path, *, is_flushed: bool = True) -> Iterator[Path]:
    """Lend a temporary path beside ``final``; rename it there when the block ends well.

    Works for a file and for a folder. When the block raises, the temporary path is removed and
    whatever stood under the final name stays. The parent folder is made. What a killed process left
    of the same artefact goes first. In an object store the path is a local one, and what stands
    there is put into the store at the end (``remote.writing``).

    Args:
        final: where the file or folder is to be.
        is_flushed: whether the disk has it before the name does, so that it is whole after a loss
            of power too. Not what is large and whose readers look whether it is whole, nor what
            lasts for a while only.
    """
    if is_remote(final):
        with put_whole(final) as local:
            yield local
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    clear_left(final)
    temporary = temporary_beside(final)
    try:
        with named(final):
            yield temporary
            if is_flushed:
                _flush_all(temporary)
            _put_in_place(temporary, final)
            if is_flushed:
                _flush(final.parent)
    finally:
        remove(temporary)


def clear_left(final: Path) -> None:
    """Remove what killed writers of one artefact left; the only whole one goes back to its name."""
    for left in leftovers_of(final):
        put_right(left)


def put_right(left: Leftover) -> None:
    """Remove a leftover, or give it its name back where it is the only whole one."""
    # Another process may put it right at the same time.
    with contextlib.suppress(FileNotFoundError):
        if left.is_to_go_back:
            left.path.rename(left.final)
        else:
            remove(left.path)


def _put_in_place(temporary: Path, final: Path) -> None:
    if not final.is_dir():
        temporary.replace(final)
    elif exchange(temporary, final):
        # At no moment the final name was absent; the temporary one has the old folder now.
        remove(temporary)
    else:
        _step_aside(temporary, final)


def _flush_all(written: Path) -> None:
    """Wait until the disk has a file, or a folder with all below it."""
    for path in (*written.rglob("*"), written) if written.is_dir() else (written,):
        _flush(path)


def _flush(path: Path) -> None:
    """Wait until the disk itself has the bytes of a file, or the names in a folder."""
    is_windows, is_folder = os.name == "nt", path.is_dir()
    if is_windows and is_folder:
        return  # it opens none
    number = os.open(path, os.O_RDWR if is_windows else os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        # Some file systems, of networks above all, flush no folder.
        if not is_folder or error.errno not in (errno.EINVAL, errno.EBADF):
            raise
    finally:
        os.close(number)


def _step_aside(temporary: Path, final: Path) -> None:
    """A folder cannot be renamed onto a filled folder: the old one steps aside first."""
    aside = temporary_beside(final, ASIDE)
    final.rename(aside)
    try:
        temporary.rename(final)
    except OSError:
        aside.rename(final)
        raise
    remove(aside)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, where there is one; of a link only the link."""
    if is_remote(path):
        remove_artefact(path)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
