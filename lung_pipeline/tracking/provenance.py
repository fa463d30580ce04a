# SPDX-License-Identifier: Apache-2.0
"""Which code made a number: the git commit, or the installed version where there is no git."""

from __future__ import annotations

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
