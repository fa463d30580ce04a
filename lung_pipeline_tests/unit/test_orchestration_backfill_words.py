# SPDX-License-Identifier: Apache-2.0
"""Which assets and subsets a person means, and what is said of a backfill on its way."""

from __future__ import annotations

import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.orchestration.backfill.catalog import Catalog
from lung_pipeline.orchestration.backfill.following import Progress
from lung_pipeline.orchestration.backfill.webserver import Webserver

CATALOG = Catalog(
    groups={
        "crops": "data",
        "candidates": "data",
        "nodule_model": "models",
        "findings": "patients",
        "fahrenheit_from_celsius": "primer",
    },
    partitioned=frozenset({"crops", "candidates", "findings"}),
    subsets=("subset1",),
    repository={},
)


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("data", ["candidates", "crops"]),
        ("crops", ["crops"]),
        ("findings, data", ["candidates", "crops", "findings"]),
        ("crops,crops,data", ["candidates", "crops"]),
        ("models,crops", ["crops", "nodule_model"]),
        ("all", ["candidates", "crops", "findings", "nodule_model"]),
    ],
)
def test_assets_are_named_alone_by_group_or_all(wanted: str, meant: list[str]) -> None:
    assert CATALOG.assets(wanted) == meant


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("cropz", "there are: data, models, patients, primer, candidates"),
        ("", "an asset or a group"),
        ("crops,", "got ''"),
        ("models", "made a subset at a time"),
    ],
)
def test_assets_that_cannot_be_meant_are_refused(wanted: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        CATALOG.assets(wanted)


def test_subsets_are_those_named_or_all_that_are_known_or_on_disk() -> None:
    assert CATALOG.subsets_named(["subset1"], []) == ["subset1"]
    assert CATALOG.subsets_named(["subset0", "subset0"], ["subset0"]) == ["subset0"]
    assert CATALOG.subsets_named([], ["subset0", "subset1"]) == ["subset0", "subset1"]


@pytest.mark.parametrize(
    ("wanted", "told"), [("subset7", "there are: subset1"), ("Subset1", "lowercase")]
)
def test_subsets_that_are_nowhere_are_refused(wanted: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        CATALOG.subsets_named([wanted], [])


def test_no_subset_at_all_is_refused() -> None:
    with pytest.raises(SettingError, match="at least one subset"):
        Catalog({}, frozenset(), (), {}).subsets_named([], [])


def test_only_a_web_address_is_asked() -> None:
    with pytest.raises(SettingError, match="http:// or https://"):
        Webserver("file:///etc/passwd")
    assert Webserver("http://host:1/dagster/").page("graphql") == "http://host:1/dagster/graphql"


def test_progress_counts_runs_by_what_becomes_of_them() -> None:
    states = ["SUCCESS", "SUCCESS", "FAILURE", "CANCELED", "STARTED", "QUEUED", "NOT_STARTED"]
    runs = {str(number): state for number, state in enumerate(states)}
    progress = Progress("REQUESTED", runs, made=3, failed=1, wanted=9)
    assert progress.in_words() == (
        "runs: 2 done, 2 failed, 1 at work, 2 waiting; made 3 of 9 asset partitions, 1 failed"
    )
    assert (progress.has_ended, progress.failed_runs) == (False, ["2", "3"])


@pytest.mark.parametrize(
    ("status", "runs", "made", "is_well"),
    [
        ("COMPLETED_SUCCESS", {"a": "SUCCESS"}, 2, True),
        ("COMPLETED_SUCCESS", {"a": "SUCCESS"}, 1, False),
        ("COMPLETED_SUCCESS", {"a": "FAILURE"}, 2, False),
        ("COMPLETED_FAILED", {"a": "SUCCESS"}, 2, False),
        ("CANCELED", {}, 0, False),
        ("FAILED", {}, 0, False),
    ],
)
def test_a_backfill_is_well_when_all_was_made(
    status: str, runs: dict[str, str], made: int, is_well: bool
) -> None:
    progress = Progress(status, runs, made, 0, 2)
    assert (progress.has_ended, progress.is_well) == (True, is_well)
