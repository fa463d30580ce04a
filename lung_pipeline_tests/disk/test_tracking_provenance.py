# SPDX-License-Identifier: Apache-2.0
"""A number names the commit of the code that made it, and no commit of anybody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from lung_pipeline.tracking import provenance
from lung_pipeline.tracking.provenance import COMMIT_VARIABLE, code_version, modules_sha256

INSTALLED = f"lung-pipeline {metadata.version('lung-pipeline')}"


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that asks, in a folder of its own."""
    for name in (COMMIT_VARIABLE, *(n for n in os.environ if n.startswith("GIT_"))):
        monkeypatch.delenv(name, raising=False)
    # A checkout around the temporary folder, if there is one, is not looked at.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    path = tmp_path / "checkout" / "package" / "provenance.py"
    path.parent.mkdir(parents=True)
    path.write_text("as committed\n")
    monkeypatch.setattr(provenance, "__file__", str(path))
    return path


def _git(folder: Path, *arguments: str) -> str:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    who = ("-c", "user.name=A Test", "-c", "user.email=test@example.org")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _commit(folder: Path, *files: str) -> str:
    _git(folder, "init", "--quiet")
    _git(folder, "add", *files)
    _git(folder, "commit", "--quiet", "--message", "first")
    return _git(folder, "rev-parse", "HEAD")


def test_checkout_tells_its_commit_and_whether_files_differ(code: Path) -> None:
    commit = _commit(code.parent.parent, "package/provenance.py")
    assert len(commit) == 40
    assert code_version() == commit
    (code.parent / "new.py").touch()
    assert code_version() == commit
    code.write_text("changed since\n")
    assert code_version() == f"{commit}+changes"


def test_modules_are_told_apart_where_a_commit_does_not(code: Path) -> None:
    module = code.parent / "package" / "step.py"
    found = [modules_sha256()]
    for text in ("one", "another"):
        module.parent.mkdir(exist_ok=True)
        module.write_text(text)
        found.append(modules_sha256())
    module.rename(module.with_name("moved.py"))
    found.append(modules_sha256())
    assert len(set(found)) == 4
    module.with_name("moved.py").unlink()
    assert modules_sha256() == found[0]


def test_outside_git_the_installed_version_is_told(code: Path) -> None:
    assert not (code.parent.parent / ".git").exists()
    assert code_version() == INSTALLED


def test_without_git_the_installed_version_is_told(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit(code.parent.parent, "package/provenance.py")
    monkeypatch.setenv("PATH", str(code.parent))
    assert code_version() == INSTALLED


def test_checkout_that_does_not_know_this_code_is_not_named(code: Path) -> None:
    # As where the package is installed below somebody's own project.
    theirs = code.parent.parent / "theirs.txt"
    theirs.write_text("another project\n")
    _commit(code.parent.parent, theirs.name)
    assert code_version() == INSTALLED


def test_commit_that_an_image_carries_goes_before_all(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit(code.parent.parent, "package/provenance.py")
    monkeypatch.setenv(COMMIT_VARIABLE, "from-the-image")
    assert code_version() == "from-the-image"
