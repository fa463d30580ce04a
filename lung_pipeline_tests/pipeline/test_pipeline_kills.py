# SPDX-License-Identifier: Apache-2.0
"""A small sample of the kill campaign (`make kills`): a kill ends in a clean recovery."""

from __future__ import annotations

from pathlib import Path

import pytest
from kill_campaign import KILLED_STAGES, KINDS, Campaign, draw, faults_of


@pytest.mark.slow
def test_crops_killed_while_they_are_cut_end_as_ones_that_were_not(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    campaign.prepare_crops()
    assert "crops/subset0" in campaign.expected["crops"]["artefacts"]
    assert "crops/subset0" not in campaign.before["crops"]["artefacts"]
    folder = campaign.work / "home" / "crops"
    for _ in range(9):
        # The power goes as soon as crops are being written; again where it came too late.
        outcome = campaign.kill("crops", "power", lambda _: any(folder.rglob("crops.npy")))
        if outcome is not None:
            break
    assert outcome is not None
    assert outcome.faults == ()


def test_kills_are_drawn_over_all_stages_and_kinds_and_again_by_their_seed() -> None:
    drawn = draw(12, 1)
    assert {(stage, kind) for stage, kind, _ in drawn} == {
        (stage, kind) for stage in KILLED_STAGES for kind in KINDS
    }
    assert drawn == draw(12, 1)
    assert drawn != draw(12, 2)
    assert {stage for stage, _, _ in draw(6, 1, ("training",))} == {"training"}


def test_training_that_was_over_may_stand_twice_and_one_that_goes_on_may_not() -> None:
    nothing: dict[str, object] = dict.fromkeys(
        ("temporaries", "trainings", "half", "runs", "slots", "mlflow"), ()
    )
    once = {**nothing, "artefacts": {}, "models": {"models:/nodule/1 challenger": "a"}}
    twice = {**once, "models": {"models:/nodule/1 ": "a", "models:/nodule/2 challenger": "a"}}
    other = {**once, "models": {"models:/nodule/1 ": "a", "models:/nodule/2 challenger": "b"}}

    def count(dead: dict[str, object], after: dict[str, object]) -> int:
        told = {"dead": dead, "again": True, "after": after, "left": ()}
        return len(list(faults_of(told, once, once)))

    goes_on = {**once, "trainings": ("trainings/nodule/abc",)}
    assert [count(once, one) for one in (once, twice)] == [0, 0]
    assert count(once, other) > 0
    assert [count(goes_on, one) > 0 for one in (once, twice)] == [False, True]
