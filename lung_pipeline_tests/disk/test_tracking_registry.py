# SPDX-License-Identifier: Apache-2.0
"""Model versions: counted from 1, called by aliases, fetched as the folders they were."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from object_store import BUCKET, running_store

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.errors import ModelError
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import ModelCard, read_model, write_model
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION, REFERENCE, model_uri
from lung_pipeline.tracking.registry import (
    ModelVersion,
    fetched,
    find,
    find_in_use,
    find_labelled,
    named,
    register,
    set_alias,
    versions,
)
from lung_pipeline.tracking.runs import run
from lung_pipeline.tracking.server import connect

SHA256 = "0123456789abcdef" * 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Something to keep; the registry does not look into it."""
    made = tmp_path / "a model"
    made.mkdir()
    (made / "model.json").write_text("{}")
    return made


def _register(
    home: Home,
    folder: Path,
    step: str = "nodule",
    alias: str = CHALLENGER,
    sha256: str = SHA256,
) -> ModelVersion:
    with run(home, f"lung-{step}", "training") as opened:
        return register(opened, step, folder, sha256, alias)


def test_training_killed_after_its_version_was_made_makes_no_second_one(
    mlflow_home: Home, folder: Path
) -> None:
    first = _register(mlflow_home, folder)
    with run(mlflow_home, "lung-nodule", "training", run_id=first.run_id) as again:
        assert register(again, "nodule", folder, SHA256, CHALLENGER) == first
        other = register(again, "nodule", folder, SHA256[::-1], CHALLENGER)
    assert (first.version, other.version) == (1, 2)


def test_versions_count_from_one_and_the_alias_moves_to_the_newest(
    mlflow_home: Home, folder: Path
) -> None:
    first, second = (_register(mlflow_home, folder) for _ in range(2))
    assert (first.version, second.version) == (1, 2)
    assert first.run_id != second.run_id
    assert find(mlflow_home, "nodule", CHALLENGER) == second
    assert [(v.version, v.aliases) for v in versions(mlflow_home)] == [(1, ()), (2, (CHALLENGER,))]


def test_steps_count_on_their_own_and_are_listed_in_their_order(
    mlflow_home: Home, folder: Path
) -> None:
    for step in ("malignancy", "nodule", "segmentation", "nodule"):
        _register(mlflow_home, folder, step)
    assert [(v.step, v.version) for v in versions(mlflow_home)] == [
        ("segmentation", 1),
        ("nodule", 1),
        ("nodule", 2),
        ("malignancy", 1),
    ]


def test_version_is_found_again_as_it_was_registered(mlflow_home: Home, folder: Path) -> None:
    made = _register(mlflow_home, folder)
    assert find(mlflow_home, "nodule", CHALLENGER) == made
    assert made.uri == "models:/lung-nodule/1"
    assert made.label == "lung-nodule v1 (0123456789ab)"


def test_label_finds_its_version_also_when_its_alias_went_on(
    mlflow_home: Home, folder: Path
) -> None:
    first, second = _register(mlflow_home, folder), _register(mlflow_home, folder)
    found = find_labelled(mlflow_home, "nodule", first.label)
    assert found is not None
    assert (found.version, found.aliases) == (1, ())
    assert find_labelled(mlflow_home, "nodule", second.label) == second
    others = ("/a/folder", "lung-nodule v3 (0123456789ab)", "lung-nodule v1 (another)")
    assert [find_labelled(mlflow_home, "nodule", other) for other in others] == [None] * 3
    assert find_labelled(mlflow_home, "malignancy", first.label) is None


def test_alias_that_nobody_has_finds_nothing(mlflow_home: Home, folder: Path) -> None:
    assert find(mlflow_home, "nodule", CHAMPION) is None
    assert versions(mlflow_home) == []
    _register(mlflow_home, folder)
    assert find(mlflow_home, "nodule", CHAMPION) is None
    assert find(mlflow_home, "malignancy", CHALLENGER) is None


def test_champion_is_in_use_before_the_reference_and_a_challenger_never(
    mlflow_home: Home, folder: Path
) -> None:
    _register(mlflow_home, folder)
    assert find_in_use(mlflow_home, "nodule") is None
    reference = _register(mlflow_home, folder, alias=REFERENCE)
    assert find_in_use(mlflow_home, "nodule") == reference
    champion = _register(mlflow_home, folder)
    set_alias(mlflow_home, champion, CHAMPION)
    in_use = find_in_use(mlflow_home, "nodule")
    assert in_use is not None
    assert (in_use.version, in_use.aliases) == (3, (CHALLENGER, CHAMPION))


def test_alias_leaves_the_version_that_had_it(mlflow_home: Home, folder: Path) -> None:
    first = _register(mlflow_home, folder, alias=CHAMPION)
    second = _register(mlflow_home, folder)
    set_alias(mlflow_home, second, CHAMPION)
    assert [v.aliases for v in versions(mlflow_home)] == [(), (CHALLENGER, CHAMPION)]
    set_alias(mlflow_home, first, CHAMPION)
    assert [v.aliases for v in versions(mlflow_home)] == [(CHAMPION,), (CHALLENGER,)]


@pytest.mark.parametrize("address", ["models:/lung-nodule@challenger", "models:/lung-nodule/1"])
def test_model_is_fetched_as_the_folder_it_was_and_nothing_lands_in_the_current_one(
    mlflow_home: Home,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    _register(mlflow_home, folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with fetched(mlflow_home, address) as lent:
        assert {p.name: p.read_text() for p in lent.iterdir()} == {"model.json": "{}"}
    assert lent.is_relative_to(mlflow_home.mlflow_artifacts)
    assert lent.is_dir()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_model_of_a_store_is_copied_for_the_while_and_nothing_of_it_stays(
    mlflow_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(5)
    model = CropClassifier(first_channels=1)
    write_model(tmp_path / "written", model, ModelCard("CropClassifier", model.architecture, "a"))
    scratch, temporary = tmp_path / "scratch", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with running_store(scratch) as store:
        store.upload(tmp_path / "written", "models/a")
        registry = connect(mlflow_home)
        registry.create_registered_model("lung-nodule")
        registry.create_model_version("lung-nodule", source=f"s3://{BUCKET}/models/a")
        with fetched(mlflow_home, "models:/lung-nodule/1") as lent:
            read, _ = read_model(lent, CropClassifier)
    for name, weights in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], weights), name
    assert lent.is_relative_to(scratch)
    assert [*scratch.iterdir(), *temporary.iterdir()] == []


def test_two_homes_of_one_process_do_not_mix(
    mlflow_home: Home, folder: Path, another_mlflow_home: Home
) -> None:
    _register(mlflow_home, folder)
    assert find(another_mlflow_home, "nodule", CHALLENGER) is None
    unknown = fetched(another_mlflow_home, "models:/lung-nodule/1")
    with pytest.raises(ModelError, match="not found"), unknown:
        pass


def test_folder_is_its_own_address(mlflow_home: Home, folder: Path) -> None:
    with fetched(mlflow_home, str(folder)) as lent:
        assert lent == folder
    assert folder.is_dir()
    assert named(mlflow_home, "nodule", str(folder)) == str(folder)


@pytest.mark.parametrize(
    "address",
    [
        "models:/lung-nodule@champion",
        "models:/lung-nodule/2",
        "models:/lung-nodule/latest",
        "models:/lung-nodule",
        "models:/",
        "models:/unheard-of@champion",
    ],
)
def test_unknown_address_is_an_error_in_words(
    mlflow_home: Home, folder: Path, address: str
) -> None:
    _register(mlflow_home, folder)
    refused = pytest.raises(ModelError, match=r"must be a registered version.*models list")
    with refused as told, fetched(mlflow_home, address):
        pass
    assert told.value.place == address
    assert "\n" not in str(told.value)


def test_registered_model_whose_files_are_gone_is_an_error_in_words(
    mlflow_home: Home, folder: Path
) -> None:
    made = _register(mlflow_home, folder)
    with fetched(mlflow_home, made.uri) as kept:
        kept.rename(kept.with_name("lost"))
    gone = fetched(mlflow_home, made.uri)
    with pytest.raises(ModelError, match="must be a registered version"), gone:
        pass


def test_registered_model_stands_beside_a_result_with_version_and_hash(
    mlflow_home: Home, folder: Path
) -> None:
    _register(mlflow_home, folder, sha256="f" * 64)
    second = _register(mlflow_home, folder)
    assert named(mlflow_home, "nodule", model_uri("nodule", CHALLENGER)) == second.label
    assert named(mlflow_home, "nodule", "models:/lung-nodule/1") == "lung-nodule v1 (ffffffffffff)"
    assert named(mlflow_home, "segmentation", "models:/lung-nodule/1") == "models:/lung-nodule/1"


def test_weights_come_back_from_the_registry_as_they_were(
    mlflow_home: Home, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    model = CropClassifier(first_channels=1)
    card = ModelCard("CropClassifier", model.architecture, "a test", losses=(2.0, 1.0))
    card = write_model(tmp_path / "written", model, card)
    made = _register(mlflow_home, tmp_path / "written", sha256=card.weights_sha256)
    with fetched(mlflow_home, made.uri) as lent:
        read, read_card = read_model(lent, CropClassifier)
    assert read_card == card
    assert made.weights_sha256 == read_card.weights_sha256
    for name, weights in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], weights), name
