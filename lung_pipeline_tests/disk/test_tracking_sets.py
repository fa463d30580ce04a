# SPDX-License-Identifier: Apache-2.0
"""Models of a diagnosis are one set: promoted, tagged and refused together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lung_pipeline.errors import ModelError
from lung_pipeline.home import Home
from lung_pipeline.tracking.names import (
    CHALLENGER,
    CHAMPION,
    MALIGNANCY,
    NODULE,
    REFERENCE,
    SEGMENTATION,
    STEPS,
)
from lung_pipeline.tracking.registry import ModelVersion, find, register, set_alias
from lung_pipeline.tracking.runs import run
from lung_pipeline.tracking.sets import (
    key_of,
    make_champions,
    promoted_tag,
    record_decision,
    refuse_mixed_champions,
    set_of,
)
from lung_pipeline.tracking.version_tags import tag, tags_of

Registrar = Callable[..., ModelVersion]


@pytest.fixture
def add(mlflow_home: Home, tmp_path: Path) -> Registrar:
    """Register one more version; nothing here looks into its folder."""
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "model.json").write_text("{}")

    def made(step: str, sha256: str, alias: str = CHALLENGER) -> ModelVersion:
        with run(mlflow_home, f"lung-{step}", "training") as opened:
            return register(opened, step, folder, sha256, alias)

    return made


def _set(add: Registrar, letter: str, steps: tuple[str, ...] = STEPS) -> dict[str, ModelVersion]:
    return {step: add(step, letter * 64) for step in steps}


def test_set_becomes_champion_whole_and_tagged(mlflow_home: Home, add: Registrar) -> None:
    newest = _set(add, "a")
    key = make_champions(mlflow_home, newest, "2026-01-02")
    assert key == key_of(newest)
    champions = set_of(mlflow_home, CHAMPION)
    assert {step: model.version for step, model in champions.items()} == dict.fromkeys(STEPS, 1)
    for model in champions.values():
        assert tags_of(mlflow_home, model)[promoted_tag(key)] == "2026-01-02"
    refuse_mixed_champions(mlflow_home)


def test_key_is_of_all_weights_and_their_steps(mlflow_home: Home, add: Registrar) -> None:
    one, other = _set(add, "a"), _set(add, "b")
    assert key_of(one) == key_of(dict(reversed(one.items())))
    assert key_of(one) != key_of(other)
    assert key_of(one) != key_of({**one, NODULE: other[NODULE]})
    assert key_of(one) != key_of({step: one[step] for step in (SEGMENTATION, NODULE)})


def test_champion_of_another_set_is_refused(mlflow_home: Home, add: Registrar) -> None:
    make_champions(mlflow_home, _set(add, "a"), "first")
    make_champions(mlflow_home, other := _set(add, "b"), "second")
    former = find(mlflow_home, NODULE, CHAMPION)
    assert former is not None
    set_alias(mlflow_home, other[NODULE], CHAMPION)
    refuse_mixed_champions(mlflow_home)
    set_alias(mlflow_home, add(NODULE, "c" * 64), CHAMPION)
    with pytest.raises(ModelError, match=r"as one set, got .*lung-nodule v3"):
        refuse_mixed_champions(mlflow_home)


def test_champion_taken_away_is_refused(mlflow_home: Home, add: Registrar) -> None:
    make_champions(mlflow_home, newest := _set(add, "a"), "first")
    without = {step: newest[step] for step in (SEGMENTATION, NODULE)}
    make_champions(mlflow_home, without, "a smaller set is a set of its own")
    assert set(set_of(mlflow_home, CHAMPION)) == {SEGMENTATION, NODULE}
    refuse_mixed_champions(mlflow_home)
    set_alias(mlflow_home, newest[MALIGNANCY], CHAMPION)
    refuse_mixed_champions(mlflow_home)
    set_alias(mlflow_home, add(MALIGNANCY, "d" * 64), CHAMPION)
    with pytest.raises(ModelError, match="as one set"):
        refuse_mixed_champions(mlflow_home)


def test_former_set_may_be_brought_back_by_hand(mlflow_home: Home, add: Registrar) -> None:
    first = _set(add, "a")
    make_champions(mlflow_home, first, "first")
    # The second set shares the segmentation with the first.
    second = {**first, NODULE: add(NODULE, "b" * 64)}
    make_champions(mlflow_home, second, "second")
    refuse_mixed_champions(mlflow_home)
    set_alias(mlflow_home, first[NODULE], CHAMPION)
    refuse_mixed_champions(mlflow_home)


def test_champions_of_before_sets_were_recorded_are_let_through(
    mlflow_home: Home, add: Registrar
) -> None:
    refuse_mixed_champions(mlflow_home)
    for step in STEPS:
        add(step, "a" * 64, CHAMPION)
    refuse_mixed_champions(mlflow_home)


def test_one_that_was_never_promoted_does_not_join_a_set(mlflow_home: Home, add: Registrar) -> None:
    make_champions(mlflow_home, _set(add, "a", (SEGMENTATION, NODULE)), "first")
    add(MALIGNANCY, "c" * 64, REFERENCE)
    refuse_mixed_champions(mlflow_home)
    add(MALIGNANCY, "c" * 64, CHAMPION)
    with pytest.raises(ModelError, match="as one set"):
        refuse_mixed_champions(mlflow_home)


def test_tags_of_a_promotion_that_was_cut_off_promote_nothing(
    mlflow_home: Home, add: Registrar
) -> None:
    make_champions(mlflow_home, _set(add, "a"), "first")
    second = _set(add, "b")
    tag(mlflow_home, second[SEGMENTATION], {promoted_tag(key_of(second)): "second"})
    refuse_mixed_champions(mlflow_home)
    for model in second.values():
        set_alias(mlflow_home, model, CHAMPION)
    with pytest.raises(ModelError, match="as one set"):
        refuse_mixed_champions(mlflow_home)


def test_decisions_about_several_sets_stay_side_by_side(mlflow_home: Home, add: Registrar) -> None:
    first = _set(add, "a")
    second = {**first, NODULE: add(NODULE, "b" * 64)}
    record_decision(mlflow_home, first, "promoted: it is the first", "run1")
    record_decision(mlflow_home, second, "rejected: within noise", "run2")
    shared = tags_of(mlflow_home, first[SEGMENTATION])
    assert shared[f"decision_{key_of(first)}"] == "promoted: it is the first"
    assert shared[f"decision_{key_of(second)}"] == "rejected: within noise"
    assert shared[f"decision_run_{key_of(second)}"] == "run2"
    assert f"decision_{key_of(first)}" not in tags_of(mlflow_home, second[NODULE])
