# SPDX-License-Identifier: Apache-2.0
"""The files of infra/, read for tests: each as its tool would read it."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
INFRA = REPOSITORY / "infra"
COMPOSE = INFRA / "compose"
KUBERNETES = INFRA / "kubernetes"
COMPOSE_FILES = ["compose.yaml", "compose.gpu.yaml", "compose.proxy.yaml"]


def read_yaml(path: Path) -> dict[str, Any]:
    """One document, its anchors and merges resolved."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def helm_values() -> dict[str, Any]:
    return read_yaml(KUBERNETES / "helm" / "values.yaml")


def compose_services() -> dict[str, dict[str, Any]]:
    """Every service of compose.yaml and of the proxy's file."""
    return {
        **read_yaml(COMPOSE / "compose.yaml")["services"],
        **read_yaml(COMPOSE / "compose.proxy.yaml")["services"],
    }


@functools.cache
def kustomized() -> list[dict[str, Any]]:
    """What `kubectl kustomize` makes of the base; it asks no cluster."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / "base")],
        capture_output=True,
        text=True,
        check=True,
    )
    return list(yaml.safe_load_all(done.stdout))


def written() -> list[Path]:
    """All files of infra/, but for secrets a person drew there."""
    found = (path for path in INFRA.rglob("*") if path.is_file())
    return sorted(p for p in found if not {"secrets", "__pycache__"} & set(p.parts))
