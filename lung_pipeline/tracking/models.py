# SPDX-License-Identifier: Apache-2.0
"""From model addresses to the models of a diagnosis, with the names that stand beside a result."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from lung_pipeline.diagnosis.models import NamedModels, read_models
from lung_pipeline.errors import ModelError
from lung_pipeline.home import Home
from lung_pipeline.tracking.frozen import frozen_of
from lung_pipeline.tracking.names import CHAMPION, MALIGNANCY, NODULE, SEGMENTATION, STEPS
from lung_pipeline.tracking.registry import fetched, find, find_addressed, find_in_use, named
from lung_pipeline.tracking.sets import refuse_mixed_champions


def models_by_alias(home: Home, alias: str, device: str = "auto") -> NamedModels:
    """The models that have an alias.

    Raises:
        ModelError: a step without one, or champions that were not promoted as one set.
    """
    if alias == CHAMPION:
        refuse_mixed_champions(home)
    found = {step: find(home, step, alias) for step in STEPS}
    addresses = {step: model.uri for step, model in found.items() if model}
    return open_models(home, addresses, device)


def models_in_use(
    home: Home, instead: Mapping[str, str] | None = None, device: str = "auto"
) -> NamedModels:
    """The champions, else the references; ``instead`` names others for some steps.

    Raises:
        ModelError: champions among them that were not promoted as one set.
    """
    addresses = dict(instead or {})
    used = {
        step: model
        for step in STEPS
        if step not in addresses and (model := find_in_use(home, step))
    }
    if any(CHAMPION in model.aliases for model in used.values()):
        refuse_mixed_champions(home)
    addresses |= {step: model.uri for step, model in used.items()}
    return open_models(home, addresses, device)


def open_models(home: Home, addresses: Mapping[str, str], device: str) -> NamedModels:
    """Fetch and read models by address, one for each step.

    Raises:
        ModelError: no model for a step that cannot be left out, or one that does not fit.
    """
    for step in (SEGMENTATION, NODULE):
        if step not in addresses:
            raise ModelError(
                value="no model",
                place=f"registered model lung-{step}",
                rule=f"a diagnosis needs a {step} model",
                cure="Train one, or `lung-pipeline models import-reference`, or name one.",
            )
    with contextlib.ExitStack() as lent:
        folders = {s: lent.enter_context(fetched(home, a)) for s, a in addresses.items()}
        marker, classifier = folders[SEGMENTATION], folders[NODULE]
        models = read_models(marker, classifier, folders.get(MALIGNANCY), device)
    names = {step: named(home, step, address) for step, address in addresses.items()}
    versions = {step: find_addressed(home, step, address) for step, address in addresses.items()}
    return NamedModels(models, names, frozen_of(home, versions))
