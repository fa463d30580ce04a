# SPDX-License-Identifier: Apache-2.0
"""A model comes back from its folder as it was written, or is refused in words."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lung_pipeline.errors import ModelError
from lung_pipeline.learning.model_folder import (
    CARD,
    WEIGHTS,
    ModelCard,
    read_card,
    read_model,
    write_model,
)


class Small(nn.Module):
    """A network with an argument, a buffer and two layers."""

    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.hidden = nn.Linear(2, width)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.hidden(self.norm(inputs))


class Other(Small):
    """The same tensors under another name."""


class Third(Small):
    """Again the same tensors."""


CARD_OF_SMALL = ModelCard(
    network="Small",
    architecture={"width": 5},
    purpose="Two numbers in, five out.",
    settings={"seed": 1},
    data={"subsets": ["subset0"]},
    metrics={"validation/loss": 0.5},
    losses=(0.9, 0.7),
    source="a commit",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    model = Small(width=5)
    model(torch.randn(8, 2))  # moves the running statistics
    write_model(tmp_path / "model", model, CARD_OF_SMALL)
    return tmp_path / "model"


def _change_card(folder: Path, **changes: Any) -> None:
    stored = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**stored, **changes}))


def _put_weights(folder: Path, weights: bytes) -> None:
    (folder / WEIGHTS).write_bytes(weights)
    _change_card(folder, weights_sha256=hashlib.sha256(weights).hexdigest())


def test_texts_lie_beside_weights_and_card(tmp_path: Path) -> None:
    write_model(tmp_path / "model", Small(), CARD_OF_SMALL, {"certificate.json": '{"passed": 1}\n'})
    found = {path.name: path for path in (tmp_path / "model").iterdir()}
    assert set(found) == {CARD, WEIGHTS, "certificate.json"}
    assert found["certificate.json"].read_text() == '{"passed": 1}\n'


def test_weights_buffers_and_card_come_back(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Small(width=5).train()
    model(torch.randn(8, 2))
    written = write_model(tmp_path / "model", model, CARD_OF_SMALL)
    again, card = read_model(tmp_path / "model", Small)
    assert card == written == read_card(tmp_path / "model")
    assert card.losses == (0.9, 0.7)
    ours, theirs = model.state_dict(), again.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not again.training
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["model", CARD, WEIGHTS]


def test_the_card_names_the_hash_of_the_weights_file(folder: Path) -> None:
    expected = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    assert read_card(folder).weights_sha256 == expected
    assert json.loads((folder / CARD).read_text())["purpose"] == "Two numbers in, five out."


def test_the_same_weights_have_the_same_hash(folder: Path, tmp_path: Path) -> None:
    model, card = read_model(folder, Small)
    assert write_model(tmp_path / "again", model, card) == card


def test_a_field_of_a_later_version_is_passed_over(folder: Path) -> None:
    _change_card(folder, licence="unknown to this version")
    assert read_model(folder, Small)[1].network == "Small"


def test_changed_weights_are_refused_by_their_hash(folder: Path) -> None:
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    with pytest.raises(ModelError, match="another hash"):
        read_model(folder, Small)


def test_the_card_of_another_network_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="this step needs a Other, got Small"):
        read_model(folder, Other)


def test_of_several_networks_the_card_names_the_one(folder: Path, tmp_path: Path) -> None:
    assert type(read_model(folder, Other, Small)[0]) is Small
    other = ModelCard("Other", {"width": 2}, "the same tensors")
    write_model(tmp_path / "other", Other(width=2), other)
    assert type(read_model(tmp_path / "other", Other, Small)[0]) is Other
    with pytest.raises(ModelError, match="this step needs a Other or Third, got Small"):
        read_model(folder, Other, Third)


@pytest.mark.parametrize("missing", [CARD, WEIGHTS])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=missing):
        read_model(folder, Small)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as told:
        read_model(tmp_path / "none", Small)
    assert told.value.place == str(tmp_path / "none" / CARD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"network": "Small"}',
        '{"network": "Small", "architecture": {}, "purpose": "", "losses": 3}',
        b"\xff\xfe\x00",
    ],
)
def test_a_card_that_is_none_is_refused(folder: Path, text: str | bytes) -> None:
    (folder / CARD).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError, match="a readable model card"):
        read_model(folder, Small)


@pytest.mark.parametrize("architecture", [{"depth": 3}, {"width": "wide"}, {"width": -1}, [1], 3])
def test_an_architecture_the_network_cannot_have_is_refused(
    folder: Path, architecture: object
) -> None:
    _change_card(folder, architecture=architecture)
    with pytest.raises(ModelError, match="card and weights must fit Small"):
        read_model(folder, Small)


def test_weights_of_another_shape_are_refused_by_the_tensors_name(folder: Path) -> None:
    _change_card(folder, architecture={"width": 4})
    with pytest.raises(ModelError, match=r"hidden\.bias"):
        read_model(folder, Small)


@pytest.mark.parametrize("weights", [b"", b"no safetensors at all"])
def test_weights_that_are_no_safetensors_are_refused(folder: Path, weights: bytes) -> None:
    _put_weights(folder, weights)
    with pytest.raises(ModelError, match="card and weights must fit Small"):
        read_model(folder, Small)


def test_a_pickle_under_the_name_of_the_weights_is_not_read(folder: Path, tmp_path: Path) -> None:
    torch.save(Small(width=5).state_dict(), tmp_path / "pickled")
    _put_weights(folder, (tmp_path / "pickled").read_bytes())
    with pytest.raises(ModelError, match="card and weights must fit Small"):
        read_model(folder, Small)


def test_a_card_json_cannot_hold_leaves_the_former_model(folder: Path) -> None:
    with pytest.raises(TypeError):
        write_model(folder, Small(), ModelCard("Small", {}, "", settings={"path": Path("x")}))
    assert read_card(folder).architecture == {"width": 5}
    assert [p.name for p in folder.parent.iterdir()] == ["model"]
