# SPDX-License-Identifier: Apache-2.0
"""Checkpoints made elsewhere: read as plain tensors, renamed, never unpickled into objects."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lung_pipeline.errors import ModelError


def read_foreign_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's ``model_state``.

    Raises:
        ModelError: no such file, no checkpoint, or one that holds more than tensors.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return dict(checkpoint["model_state"])
    except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError, EOFError) as error:
        raise ModelError(
            value=type(error).__name__,
            place=path,
            rule="a checkpoint must hold tensors under 'model_state'",
            cure="Give a .state file as published with the book.",
        ) from error


def renamed(
    state: Mapping[str, Tensor],
    names: Sequence[tuple[str, str]],
    *,
    into: nn.Module,
    place: Path,
) -> None:
    """Load foreign tensors into a module of ours, by a table of (pattern, our name).

    Raises:
        ModelError: a tensor is missing, left over or of another shape.
    """
    ours = {_our_name(theirs, names): tensor for theirs, tensor in state.items()}
    expected = into.state_dict()
    wrong = [
        name
        for name in sorted(expected.keys() | ours.keys())
        if name not in ours or name not in expected or ours[name].shape != expected[name].shape
    ]
    if wrong:
        raise ModelError(
            value=", ".join(wrong[:4]) + (" ..." if len(wrong) > 4 else ""),
            place=place,
            rule=f"the tensors must be those of {type(into).__name__}, {len(wrong)} are not",
            cure="Give the checkpoint of this network, not of another step.",
        )
    into.load_state_dict(ours)


def _our_name(theirs: str, names: Sequence[tuple[str, str]]) -> str:
    for pattern, ours in names:
        if re.match(pattern, theirs):
            return re.sub(pattern, ours, theirs, count=1)
    return theirs
