# SPDX-License-Identifier: Apache-2.0
"""Which code made a number: the git commit, or the installed version where there is no git."""

from __future__ import annotations

import hashlib
import os
import subprocess
from importlib import metadata
from pathlib import Path

COMMIT_VARIABLE = "LUNG_PIPELINE_COMMIT"
"""An image without git carries its commit here."""


def code_version() -> str:
    """The commit of the running code, with ``+changes`` where files differ from it."""
    if named := os.environ.get(COMMIT_VARIABLE):
        return named
    # Installed packages may lie within somebody else's checkout, which does not know this file.
    is_checkout = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None
    commit = _git("rev-parse", "HEAD") if is_checkout else None
    if commit is None:
        return f"lung-pipeline {metadata.version('lung-pipeline')}"
    return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def modules_sha256() -> str:
    """The hash of all modules of this package as they lie on the disk.

    A commit says less: two trees with changes have one name, and an image may have none.
    """
    package, found = Path(__file__).resolve().parents[1], hashlib.sha256()
    for module in sorted(package.rglob("*.py")):
        found.update(module.relative_to(package).as_posix().encode() + b"\0")
        found.update(hashlib.sha256(module.read_bytes()).digest())
    return found.hexdigest()


def _git(*arguments: str) -> str | None:
    """What git says in the folder of this package; None where it is no checkout."""
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
