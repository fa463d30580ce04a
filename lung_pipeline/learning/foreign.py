# SPDX-License-Identifier: Apache-2.0
"""Checkpoints made elsewhere: read as plain tensors, renamed, never unpickled into objects."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lung_pipeline.errors import ModelError

_BROKEN = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    pickle.UnpicklingError,
)
"""What torch.load raises over files that are no checkpoint (seen by breaking one at random)."""


def read_foreign_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's ``model_state``.

    Raises:
        ModelError: no such file, no checkpoint, or one that holds more than tensors.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state = dict(checkpoint["model_state"])
    except _BROKEN as error:
        raise _no_checkpoint(path, type(error).__name__) from error
    if not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise _no_checkpoint(path, "something else")
    return state


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


def _no_checkpoint(path: Path, value: str) -> ModelError:
    return ModelError(
        value=value,
        place=path,
        rule="a checkpoint must hold tensors under 'model_state'",
        cure="Give a .state file as published with the book.",
    )


def _our_name(theirs: str, names: Sequence[tuple[str, str]]) -> str:
    for pattern, ours in names:
        if re.match(pattern, theirs):
            return re.sub(pattern, ours, theirs, count=1)
    return theirs
