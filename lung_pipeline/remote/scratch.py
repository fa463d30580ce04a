# SPDX-License-Identifier: Apache-2.0
"""Where copies of what lies in an object store are kept on this machine.

Belongs here: the folder. Does not belong here: what is copied, and when (``copies.py``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lung_pipeline.errors import SettingError
from lung_pipeline.temporaries import leftovers_of, temporary_beside

SCRATCH_VARIABLE = "LUNG_PIPELINE_SCRATCH"
"""The environment variable that names the folder; a large local disk is best."""


def scratch_folder() -> Path:
    """The folder that the environment names, else one of this user below the temporary folder.

    Raises:
        SettingError: the folder below the temporary one is another user's, who could put his crops
            in the place of ours.
    """
    named = os.environ.get(SCRATCH_VARIABLE)
    if named:
        folder = Path(named).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir()) / f"lung-pipeline-{_user()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = folder.lstat()
    if folder.is_symlink() or known.st_uid != _user() or known.st_mode & 0o022:
        raise SettingError(
            value="one of another user",
            place=folder,
            rule="the folder for copies must be this user's own",
            cure=f"Name another with {SCRATCH_VARIABLE}.",
        )
    return folder


@contextlib.contextmanager
def own_folder(purpose: str) -> Iterator[Path]:
    """Lend a folder for a while; those of processes that were killed are removed."""
    final = scratch_folder() / purpose
    for left in leftovers_of(final):
        shutil.rmtree(left.path, ignore_errors=True)
    folder = temporary_beside(final)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> int:
    """The user's number; Windows has none, and gives each user a temporary folder of his own."""
    return os.getuid() if hasattr(os, "getuid") else 0
