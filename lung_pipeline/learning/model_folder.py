# SPDX-License-Identifier: Apache-2.0
"""A model as a folder: weights as safetensors, and a card in JSON that says all that made them.

Belongs here: the format. Does not belong here: versions and aliases (``tracking``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from lung_pipeline.errors import ModelError
from lung_pipeline.writing import written_whole

WEIGHTS, CARD = "weights.safetensors", "model.json"
"""The two files of a model folder."""

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is, and how its numbers were obtained."""

    network: str
    """The class that holds the weights."""

    architecture: Mapping[str, Any]
    """The arguments the class is built with."""

    purpose: str
    """One sentence: what goes in and what comes out."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained, seed included; empty for imported weights."""

    data: Mapping[str, Any] = field(default_factory=dict)
    """What it was trained on: subsets, split, fingerprint, counts."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """Figures of the epoch whose weights these are."""

    losses: tuple[float, ...] = ()
    """The training loss of each epoch."""

    source: str = ""
    """Git commit of the code that trained it, or where imported weights come from."""

    weights_sha256: str = ""
    """Hash of the weights file; filled in when the folder is written."""


def write_model(
    folder: Path, model: nn.Module, card: ModelCard, beside: Mapping[str, str] | None = None
) -> ModelCard:
    """Write weights and card, whole or not at all; returns the card with the hash.

    Args:
        folder: where.
        model: the weights.
        card: what they are.
        beside: texts to keep with them, such as a certificate, by file name.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    weights = save(tensors)
    card = replace(card, weights_sha256=hashlib.sha256(weights).hexdigest())
    with written_whole(folder) as temporary:
        temporary.mkdir()
        (temporary / WEIGHTS).write_bytes(weights)
        for name, text in (beside or {}).items():
            (temporary / name).write_text(text)
        (temporary / CARD).write_text(json.dumps(asdict(card), indent=2) + "\n")
    return card


def read_card(folder: Path) -> ModelCard:
    """The card of a model folder; ``ModelError`` where there is none or it is not one."""
    path = folder / CARD
    try:
        stored = json.loads(path.read_text())
        known = {f.name for f in fields(ModelCard)}
        card = ModelCard(**{name: value for name, value in stored.items() if name in known})
        return replace(card, losses=tuple(card.losses))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            value=type(error).__name__,
            place=path,
            rule="a model folder must hold a readable model card",
            cure=f"Give a folder with {CARD} and {WEIGHTS}, or a models:/ address.",
        ) from error


def read_model(folder: Path, *networks: type[_Network]) -> tuple[_Network, ModelCard]:
    """Build the network the card describes, with its weights, ready to infer on the CPU.

    Args:
        folder: a model folder.
        networks: the classes a model of this step may have; the card names one of them.

    Raises:
        ModelError: no card, another network, changed or unfit weights.
        SettingError: the network needs a library that is not installed.
    """
    card = read_card(folder)
    by_name = {network.__name__: network for network in networks}
    if card.network not in by_name:
        raise _unfit(folder, card.network, f"this step needs a {' or '.join(by_name)}")
    path = folder / WEIGHTS
    if not path.is_file():
        raise _unfit(folder, "no file", f"the folder must hold {WEIGHTS}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != card.weights_sha256:
        raise _unfit(path, "another hash", f"the weights must have the hash that {CARD} names")
    try:
        model = by_name[card.network](**card.architecture)
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError, TypeError, ValueError, IndexError) as error:
        # torch's last line names a tensor; its first says only that there was an error.
        raise _unfit(
            path, str(error).splitlines()[-1].strip(), f"card and weights must fit {card.network}"
        ) from error
    return model.eval(), card


def _unfit(place: Path, value: object, rule: str) -> ModelError:
    cure = "Give the model of this step, as its training wrote it."
    return ModelError(value=value, place=place, rule=rule, cure=cure)
