# SPDX-License-Identifier: Apache-2.0
"""What Dagster shows of what is made again: data versions, and what is due for a diagnosis."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import dagster as dg
import pytest

from lung_pipeline.home import Home
from lung_pipeline.orchestration.launch import run_job, sync_subsets
from lung_pipeline.orchestration.sensors.new_diagnoses import VERSION, subsets_to_diagnose

pytestmark = pytest.mark.slow

ASSETS = ("raw_subset", "hu_volumes", "lidc_reads", "candidates", "crops")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def _ingest(home: Home, instance: dg.DagsterInstance) -> dict[str, str]:
    """Run the job; returns the data version of each asset as Dagster keeps it."""
    run = run_job(home, instance, "ingest", partition="subset0")
    assert run.success
    versions = {}
    for asset in ASSETS:
        (made,) = run.asset_materializations_for_node(asset)
        versions[asset] = str((made.tags or {})[VERSION])
    return versions


def _due(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Which subsets are to be diagnosed, and of what versions their data are."""
    return {one: state.split(":")[:2] for one, state in subsets_to_diagnose(instance).items()}


def test_dagster_shows_the_same(own_home: Home, instance: dg.DagsterInstance) -> None:
    sync_subsets(own_home, instance)
    assert _due(instance) == {}
    first = _ingest(own_home, instance)
    # Dagster's own tags of a real run say that its crops are of these volumes and candidates.
    assert _due(instance) == {"subset0": [first["hu_volumes"], first["candidates"]]}
    crops = own_home.crops_index("subset0").stat().st_ino
    assert _ingest(own_home, instance) == first
    assert own_home.crops_index("subset0").stat().st_ino == crops
    assert _due(instance) == {"subset0": [first["hu_volumes"], first["candidates"]]}

    table = own_home.raw / "annotations.csv"
    header, *rows = table.read_text().splitlines()
    series = {scan.stem for scan in own_home.raw_subset("subset0").glob("*.mhd")}
    lost = next(row for row in rows if row.split(",")[0] in series)
    table.unlink()
    table.write_text("\n".join([header, *(row for row in rows if row != lost), ""]))
    changed = _ingest(own_home, instance)
    others = {asset for asset in ASSETS if changed[asset] != first[asset]}
    assert others == {"candidates", "crops"}
    assert _due(instance) == {"subset0": [changed["hu_volumes"], changed["candidates"]]}


def test_the_ui_s_own_partition_of_another_name_is_refused(
    own_home: Home, instance: dg.DagsterInstance
) -> None:
    shutil.copytree(own_home.raw_subset("subset0"), own_home.raw / "Subset.0")
    instance.add_dynamic_partitions("luna_subset", ["Subset.0"])
    with pytest.raises(Exception, match="lowercase letters, digits"):
        run_job(own_home, instance, "ingest", partition="Subset.0")
