# SPDX-License-Identifier: Apache-2.0
"""The models of a diagnosis as one set: promoted together, tagged together, used together.

A set has a key made of its weights. Each of its versions carries the tag ``promoted_set_<key>``
from the day the set was promoted, so that champions moved one by one, by hand or by a promotion
that was cut off, are told from a set that was evaluated together. Every decision about a set stays
on its versions as ``decision_<key>``; a version may be of several sets, and each has its own.

Belongs here: aliases and tags of whole sets. Does not belong here: whether a set is promoted
(``evaluation/comparison/promotion.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from lung_pipeline.errors import ModelError
from lung_pipeline.home import Home
from lung_pipeline.tracking.names import CHAMPION, STEPS
from lung_pipeline.tracking.registry import ModelVersion, find, remove_alias, set_alias
from lung_pipeline.tracking.version_tags import tag, tags_of

ModelSet = Mapping[str, ModelVersion]
"""For each step its model; the malignancy model may be missing."""


def set_of(home: Home, alias: str) -> dict[str, ModelVersion]:
    """The versions that have an alias, by step."""
    return {step: model for step in STEPS if (model := find(home, step, alias))}


def key_of(models: ModelSet) -> str:
    """Twelve hex digits made of the weights of all models of a set."""
    from lung_pipeline.evaluation.nightly.revalidation import set_key

    return set_key({step: model.weights_sha256 for step, model in models.items()})


def make_champions(home: Home, models: ModelSet, promoted_at: str) -> str:
    """Give all models of a set the alias champion and the tag of the set; returns the set's key.

    Tags come first: cut off between two aliases, the champions are a mixture without a common tag,
    which is refused in words wherever they are asked for.
    """
    key = key_of(models)
    for model in models.values():
        tag(home, model, {promoted_tag(key): promoted_at})
    for model in models.values():
        set_alias(home, model, CHAMPION)
    for step, other in set_of(home, CHAMPION).items():
        if step not in models:
            remove_alias(home, other, CHAMPION)
    return key


def was_promoted(home: Home, models: ModelSet) -> bool:
    """Whether these models were promoted as one set, today's champion or a former one."""
    wanted = promoted_tag(key_of(models))
    return all(wanted in _promoted_tags(home, model) for model in models.values())


def record_decision(home: Home, models: ModelSet, in_words: str, run_id: str) -> None:
    """Keep a decision about a set, and the MLflow run it was taken in, on each of its versions."""
    key = key_of(models)
    for model in models.values():
        tag(home, model, {f"decision_{key}": in_words, f"decision_run_{key}": run_id})


def refuse_mixed_champions(home: Home) -> None:
    """Refuse champions that were not promoted as one set.

    Champions without any such tag are let through: they were promoted before sets were recorded.

    Raises:
        ModelError: they do not share the tag of their set.
    """
    champions = set_of(home, CHAMPION)
    is_tagged = any(_promoted_tags(home, model) for model in champions.values())
    if not is_tagged or was_promoted(home, champions):
        return
    raise ModelError(
        value=", ".join(model.label for model in champions.values()),
        place=f"models with the alias {CHAMPION}",
        rule="champions must have been evaluated and promoted together, as one set",
        cure="Give the alias back to the models of one set (their tags promoted_set_… tell), or "
        '`lung-pipeline models promote --force --reason "..."`, or name a model for each step.',
    )


def promoted_tag(key: str) -> str:
    """The tag of the versions of a set that was promoted."""
    return f"promoted_set_{key}"


def _promoted_tags(home: Home, model: ModelVersion) -> set[str]:
    return {name for name in tags_of(home, model) if name.startswith(promoted_tag(""))}
