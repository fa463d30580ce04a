# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of others: tensors are taken, nothing is run, everything else is refused."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lung_pipeline.errors import ModelError
from lung_pipeline.learning.foreign import read_foreign_state, renamed

NAMES = ((r"first\.", "0."), (r"block(\d)\.", r"\1."))


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def _theirs() -> OrderedDict[str, torch.Tensor]:
    torch.manual_seed(1)
    ours = _network().state_dict()
    return OrderedDict(
        (name.replace("0.", "first.").replace("1.", "block1."), value)
        for name, value in ours.items()
    )


class _Malicious:
    """Unpickled as an object it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def test_tensors_are_taken_over_under_our_names(tmp_path: Path) -> None:
    torch.save({"model_state": _theirs(), "epoch": 3}, tmp_path / "theirs.state")
    model = _network()
    renamed(read_foreign_state(tmp_path / "theirs.state"), NAMES, into=model, place=tmp_path)
    torch.manual_seed(1)
    for name, tensor in _network().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)


@pytest.mark.parametrize("inside", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, *, inside: bool) -> None:
    trap = _Malicious(tmp_path / "made by the pickle")
    state = {"model_state": {"weight": trap}} if inside else trap
    torch.save(state, tmp_path / "evil.state")
    with pytest.raises(ModelError, match="UnpicklingError"):
        read_foreign_state(tmp_path / "evil.state")
    assert not trap.folder.exists()
    torch.load(tmp_path / "evil.state", weights_only=False)
    assert trap.folder.exists()  # the trap was armed


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="FileNotFoundError"):
        read_foreign_state(tmp_path / "none.state")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 no zip", bytes(range(256))])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "theirs.state").write_bytes(content)
    with pytest.raises(ModelError, match="must hold tensors under 'model_state'"):
        read_foreign_state(tmp_path / "theirs.state")


# A tensor asked for a name: torch remarks on the way it was asked before it refuses.
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize(
    "stored",
    [
        {"weights": {}},
        {"model_state": 3},
        {"model_state": "words"},
        {"model_state": {"weight": 3}},
        [1, 2],
        torch.zeros(3),
        None,
    ],
)
def test_a_checkpoint_of_other_content_is_refused(tmp_path: Path, stored: object) -> None:
    torch.save(stored, tmp_path / "theirs.state")
    with pytest.raises(ModelError, match="must hold tensors under 'model_state'"):
        read_foreign_state(tmp_path / "theirs.state")


def test_a_checkpoint_broken_anywhere_is_refused_or_read_and_never_a_traceback(
    tmp_path: Path,
) -> None:
    path = tmp_path / "theirs.state"
    torch.save({"model_state": _theirs()}, path)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(1), 0
    for _ in range(150):
        broken = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(len(broken), size=3):
            broken[place] = rng.integers(256)
        path.write_bytes(broken)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on odd pickles
            try:
                renamed(read_foreign_state(path), NAMES, into=_network(), place=path)
            except ModelError:
                refused += 1
    assert refused > 40


@pytest.mark.parametrize("change", ["missing", "left over", "other shape"])
def test_tensors_of_another_network_are_refused_by_name(tmp_path: Path, change: str) -> None:
    theirs = _theirs()
    tensor = theirs.pop("block1.bias")
    if change == "left over":
        theirs |= {"block1.bias": tensor, "block2.bias": tensor}
    if change == "other shape":
        theirs["block1.bias"] = torch.zeros(7)
    model = _network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ModelError, match=r"those of Sequential, 1 are not, got [12]\.bias"):
        renamed(theirs, NAMES, into=model, place=tmp_path)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_of_many_unfit_tensors_the_first_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"4 are not, got 0.bias, 0.weight, 1.bias, 1.weight\. "):
        renamed({}, NAMES, into=_network(), place=tmp_path)
    many = {f"x{number}": torch.zeros(1) for number in range(9)}
    with pytest.raises(ModelError, match=r"13 are not, got .* \.\.\."):
        renamed(many, NAMES, into=_network(), place=tmp_path)
