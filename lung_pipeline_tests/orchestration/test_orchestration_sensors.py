# SPDX-License-Identifier: Apache-2.0
"""What the sensors ask of Dagster; when a folder is whole is tried in ``test_ct_arrivals.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.launch import sync_subsets
from lung_pipeline.orchestration.partitions import add_subsets, known_subsets
from lung_pipeline.orchestration.resources import HomeResource
from lung_pipeline.orchestration.sensors import diagnose_new_subset, new_luna_subset
from lung_pipeline.orchestration.sensors.new_diagnoses import OF_INPUT, VERSION, as_input

MODELS = ("segmentation_model", "nodule_model", "malignancy_model")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path)


def _put(home: Home, subset: str) -> None:
    folder = home.raw / subset
    folder.mkdir(parents=True)
    (folder / "a.mhd").write_text("scan")


def _tick(home: Home, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    answer = new_luna_subset(context, home=HomeResource(root=str(home.root)))
    assert isinstance(answer, dg.SensorResult)
    return answer


def _diagnose(instance: dg.DagsterInstance) -> dg.SensorResult:
    answer = diagnose_new_subset(dg.build_sensor_context(instance=instance))
    assert isinstance(answer, dg.SensorResult)
    return answer


def _keys(answer: dg.SensorResult) -> dict[str | None, str | None]:
    return {run.partition_key: run.run_key for run in answer.run_requests or []}


def _made(
    instance: dg.DagsterInstance,
    asset: str,
    subset: str | None,
    version: str = "1",
    **inputs: str,
) -> None:
    """As Dagster tags what a run has made."""
    tags = {
        VERSION: version,
        **{f"{OF_INPUT}{name}": as_input(one) for name, one in inputs.items()},
    }
    made = dg.AssetMaterialization(asset_key=asset, partition=subset, tags=tags)
    instance.report_runless_asset_event(made)


def _ingested(instance: dg.DagsterInstance, subset: str, volumes: str, candidates: str) -> None:
    _made(instance, "hu_volumes", subset, volumes)
    _made(instance, "candidates", subset, candidates)
    _made(instance, "crops", subset, hu_volumes=volumes, candidates=candidates)


def test_the_new_sensors_are_there_one_on_and_one_off() -> None:
    defs = build_defs()
    by_name = {
        name: defs.resolve_sensor_def(name) for name in ("new_luna_subset", "diagnose_new_subset")
    }
    statuses = {name: one.default_status for name, one in by_name.items()}
    assert statuses == {
        "new_luna_subset": dg.DefaultSensorStatus.RUNNING,
        "diagnose_new_subset": dg.DefaultSensorStatus.STOPPED,
    }
    assert [one.job.name for one in by_name.values()] == ["ingest", "diagnose"]


def test_a_new_subset_becomes_a_partition_and_one_run(
    home: Home, instance: dg.DagsterInstance
) -> None:
    _put(home, "subset0")
    first = _tick(home, instance)
    assert (_keys(first), first.dynamic_partitions_requests) == ({}, [])
    assert first.skip_reason is not None
    assert "subset0: is arriving" in str(first.skip_reason.skip_message)
    second = _tick(home, instance, first.cursor)
    (key,) = _keys(second).values()
    assert str(key).startswith("subset0:")
    (added,) = second.dynamic_partitions_requests or []
    assert (added.partitions_def_name, added.partition_keys) == ("luna_subset", ["subset0"])
    assert _keys(_tick(home, instance, second.cursor)) == {}


def test_a_folder_of_another_name_is_told_and_no_partition(
    home: Home, instance: dg.DagsterInstance
) -> None:
    _put(home, "Subset-0")
    answer = _tick(home, instance, _tick(home, instance).cursor)
    assert answer.skip_reason is not None
    assert "Subset-0: left alone" in str(answer.skip_reason.skip_message)
    assert sync_subsets(home, instance) == []


def test_no_other_name_is_registered(instance: dg.DagsterInstance) -> None:
    with pytest.raises(SettingError, match="'subset-1'"):
        add_subsets(instance, ["subset0", "subset-1"])
    assert known_subsets(instance) == []
    assert add_subsets(instance, ["subset1", "subset0"]) == ["subset0", "subset1"]


def test_an_ingested_subset_is_diagnosed_once_models_exist(instance: dg.DagsterInstance) -> None:
    add_subsets(instance, ["subset0"])
    _ingested(instance, "subset0", "v1", "c1")
    waiting = _diagnose(instance)
    assert waiting.skip_reason is not None
    assert "no segmentation_model, nodule_model" in str(waiting.skip_reason.skip_message)
    for model in MODELS:
        _made(instance, model, None)
    (key,) = _keys(_diagnose(instance)).values()
    assert str(key).startswith("subset0:v1:c1:")
    assert list(_keys(_diagnose(instance)).values()) == [key]


def test_a_diagnosed_subset_is_left_alone_until_its_data_change(
    instance: dg.DagsterInstance,
) -> None:
    add_subsets(instance, ["subset0"])
    for model in MODELS:
        _made(instance, model, None)
    _ingested(instance, "subset0", "v1", "c1")
    _made(instance, "findings", "subset0", hu_volumes="v1", candidates="c1")
    assert _keys(_diagnose(instance)) == {}
    _ingested(instance, "subset0", "v1", "c1")
    assert _keys(_diagnose(instance)) == {}
    _made(instance, "nodule_model", None, "2")
    assert _keys(_diagnose(instance)) == {}
    _ingested(instance, "subset0", "v2", "c1")
    (key,) = _keys(_diagnose(instance)).values()
    assert str(key).startswith("subset0:v2:c1:")


def test_data_that_come_back_are_asked_for_again(instance: dg.DagsterInstance) -> None:
    """Dagster asks once for a key, and a rule that was tried and taken back gives old versions."""
    add_subsets(instance, ["subset0"])
    for model in MODELS:
        _made(instance, model, None)
    asked = []
    for candidates in ("by one rule", "by another", "by one rule", "by another"):
        _ingested(instance, "subset0", "v1", candidates)
        asked += _keys(_diagnose(instance)).values()
        _made(instance, "findings", "subset0", hu_volumes="v1", candidates=candidates)
    assert len(set(asked)) == 4


def test_a_subset_in_the_midst_of_its_ingest_waits(instance: dg.DagsterInstance) -> None:
    add_subsets(instance, ["subset0", "subset1"])
    for model in MODELS:
        _made(instance, model, None)
    _made(instance, "hu_volumes", "subset0", "v1")
    assert _keys(_diagnose(instance)) == {}
    _ingested(instance, "subset0", "v1", "c1")
    _made(instance, "hu_volumes", "subset0", "v2")
    # Its crops are of the former volumes.
    assert _keys(_diagnose(instance)) == {}
