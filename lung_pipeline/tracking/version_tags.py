# SPDX-License-Identifier: Apache-2.0
"""Words that hang on a registered version and, unlike an alias, stay with it."""

from __future__ import annotations

from collections.abc import Mapping

from lung_pipeline.home import Home
from lung_pipeline.tracking.names import REGISTERED
from lung_pipeline.tracking.registry import ModelVersion
from lung_pipeline.tracking.server import connect


def tags_of(home: Home, model: ModelVersion) -> dict[str, str]:
    """All tags of a version."""
    entry = connect(home).get_model_version(REGISTERED[model.step], str(model.version))
    return {str(name): str(value) for name, value in entry.tags.items()}


def tag(home: Home, model: ModelVersion, tags: Mapping[str, str]) -> None:
    """Hang tags on a version; those of the same name are replaced, others stay."""
    client = connect(home)
    for name, value in tags.items():
        client.set_model_version_tag(REGISTERED[model.step], str(model.version), name, value)
