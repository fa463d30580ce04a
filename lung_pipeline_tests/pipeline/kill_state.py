# SPDX-License-Identifier: Apache-2.0
"""What lies in a home: each artefact by its hash, what is half, and what is left over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from lung_pipeline.home import Home

_ROOMS = ("volumes", "tables", "crops", "findings", "reports")
"""Folders whose artefacts a run makes again to the byte."""


def artefacts(home: Home) -> dict[str, str]:
    """The hash of each artefact under a final name; one that is a folder counts as one."""
    root = Path(home.root)
    found = {}
    for room in _ROOMS:
        for path in _artefacts_below(root / room):
            found[path.relative_to(root).as_posix()] = _hash(path)
    return found


def models(home: Home) -> dict[str, str]:
    """The hash of each registered version's files, by its address and alias."""
    if not home.mlflow_database.is_file():
        # Asking would make it, and a kill while it is made is one of those that are wanted.
        return {}
    from lung_pipeline.tracking.registry import fetched, versions

    found = {}
    for version in versions(home):
        with fetched(home, version.uri) as folder:
            found[f"{version.uri} {','.join(version.aliases)}"] = _hash(folder)
    return found


def half_checkpoints(home: Home) -> list[str]:
    """Checkpoints under their final name that do not open whole."""
    import json

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from lung_pipeline.learning.state import RECORD, TENSORS

    half = []
    for folder in Path(home.root).glob("trainings/*/*/state"):
        try:
            load_file(folder / TENSORS)
            json.loads((folder / RECORD).read_text())
        except (OSError, ValueError, SafetensorError):
            half.append(str(folder))
    return half


def trainings(home: Home) -> list[str]:
    """Trainings that are not done."""
    root = Path(home.root)
    return sorted(path.relative_to(root).as_posix() for path in root.glob("trainings/*/*"))


def temporaries(home: Home) -> list[str]:
    """Whatever has a temporary name."""
    root = Path(home.root)
    found = [*root.rglob(".*.tmp"), *root.rglob(".*.old")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def _artefacts_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.is_file() or path.suffix == ".zarr" or path.name == "masks" or _is_crops(path):
            yield path
        else:
            yield from _artefacts_below(path)


def _is_crops(path: Path) -> bool:
    return path.parent.name == "crops" and path.parent.parent.name != "tables"


def _hash(path: Path) -> str:
    """Of a file's bytes, or of all files' names and bytes."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        digest.update(file.relative_to(path).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
