# SPDX-License-Identifier: Apache-2.0
"""The whole journey on a few phantoms with short trainings: every asset, check and record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from click.testing import CliRunner

from lung_pipeline.cli import main
from lung_pipeline.crops.store import CROPS
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.orchestration.partitions import known_subsets
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tables import read_table
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION, STEPS
from lung_pipeline.tracking.registry import find, versions

pytestmark = pytest.mark.slow

SHORT = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4}
TRAINING = {
    # Long enough that it no longer marks half of the lung: thousands of candidates take minutes.
    "segmentation_model": {
        "epochs": 1,
        "steps_per_epoch": 120,
        "batch_size": 16,
        "learning_rate": 6e-3,
    },
    "nodule_model": SHORT,
    "malignancy_model": SHORT,
}
SEED, SCANS = 4, 4
"""Every part of the patients has nodules, and validation has a malignant one and a benign one."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    root = tmp_path_factory.mktemp("journey")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(root / "dagster"))
        patch.setenv("LUNG_PIPELINE_HOME", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Home.at(root)


@pytest.fixture(scope="module")
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        yield opened


@pytest.fixture(scope="module")
def journey(home: Home, instance: dg.DagsterInstance) -> dict[str, dg.ExecuteInProcessResult]:
    """Two subsets through every job; the runs by name."""
    write_luna_folder(home.raw, num_subsets=2, scans_per_subset=SCANS, seed=SEED)
    sync_subsets(home, instance)
    runs = {}
    for subset in known_subsets(instance):
        runs[f"ingest {subset}"] = run_job(home, instance, "ingest", partition=subset)
    runs["train"] = run_job(home, instance, "train", config=TRAINING)
    for subset in known_subsets(instance):
        runs[f"diagnose {subset}"] = run_job(home, instance, "diagnose", partition=subset)
    runs["evaluate"] = run_job(home, instance, "evaluate")
    return runs


def _data_versions(instance: dg.DagsterInstance, asset: str) -> dict[str, str]:
    """The newest data version of each partition of an asset."""
    found: dict[str, str] = {}
    for record in instance.fetch_materializations(dg.AssetKey(asset), limit=100).records:
        made = record.asset_materialization
        found.setdefault(str(made.partition), str(made.tags["dagster/data_version"]))
    return found


def test_every_run_succeeds_and_every_check_passes(
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    assert all(run.success for run in journey.values())
    checks = [check for run in journey.values() for check in run.get_asset_check_evaluations()]
    assert len(checks) == 2 * 4 + 3
    assert all(check.passed for check in checks)


def test_each_training_is_a_version_and_the_first_becomes_champion(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    for step in STEPS:
        newest = find(home, step, CHALLENGER)
        assert newest is not None
        assert find(home, step, CHAMPION) == newest
    assert [model.version for model in versions(home)] == [1, 1, 1]


def test_the_mlflow_runs_name_their_dagster_runs_and_end(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    from lung_pipeline.tracking.server import connect

    client = connect(home)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert {run.info.status for run in runs} == {"FINISHED"}
    trainings = [run for run in runs if run.data.tags["dagster.asset"].endswith("_model")]
    assert {run.data.tags["dagster.run_id"] for run in trainings} == {journey["train"].run_id}
    for run in trainings:
        assert run.data.params["subsets"] == "['subset0', 'subset1']"
        assert run.data.params["seed"] == "1"
        assert "train/loss" in run.data.metrics


def test_every_patient_has_a_verdict_and_a_report(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    for subset in ("subset0", "subset1"):
        table = read_table(home.diagnoses(subset))
        assert table["patient_id"].is_unique
        assert int(table["num_series"].sum()) == SCANS
        for patient_id, verdict in zip(table["patient_id"], table["verdict"], strict=True):
            folder = home.report(subset, patient_id)
            assert verdict in json.loads((folder / "diagnosis.json").read_text())["verdict"]
            assert patient_id in (folder / "report.html").read_text()


def test_the_scorecard_is_of_unseen_patients(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    (record,) = home.scorecards.glob("*/scorecard.json")
    card = json.loads(record.read_text())
    assert card["data"]["part"] == "test"
    assert card["split"]["patients_in_two_parts"] == 0
    assert set(card["models"]) == set(STEPS)


def test_a_new_subset_leaves_the_others_untouched(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    assets = ("raw_subset", "hu_volumes", "candidates", "crops", "findings", "diagnoses")
    before = {asset: _data_versions(instance, asset) for asset in assets}
    write_luna_folder(home.raw, num_subsets=3, scans_per_subset=SCANS, seed=SEED)
    assert sync_subsets(home, instance) == ["subset2"]
    for job in ("ingest", "diagnose"):
        # All subsets again, the new one too: what is old must come out as it was.
        for subset in ("subset0", "subset2"):
            assert run_job(home, instance, job, partition=subset).success
    for asset in assets:
        after = _data_versions(instance, asset)
        assert set(after) == {"subset0", "subset1", "subset2"}
        assert {key: after[key] for key in before[asset]} == before[asset]


def test_the_nightly_run_loads_the_champion_and_scores_validation(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    run = run_job(home, instance, "revalidate")
    (made,) = run.asset_materializations_for_node("nightly_revalidation")
    assert made.metadata["detection/cpm"].value is not None
    assert "lung-nodule v1" in str(made.metadata["nodule"].value)


def test_a_crop_that_is_not_its_window_fails_the_check(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    from lung_pipeline.orchestration.build import build_defs

    path = home.crops("subset1") / CROPS
    sound = path.read_bytes()
    crops = np.load(path)
    crops[0, 16, 24, 24] += 1
    np.save(path, crops)
    defs = build_defs(root=str(home.root))
    job = defs.resolve_job_def("ingest").get_subset(
        asset_check_selection={dg.AssetCheckKey(dg.AssetKey("crops"), "crops_equal_their_windows")},
        asset_selection=set(),
    )
    run = job.execute_in_process(instance=instance, partition_key="subset1", raise_on_error=False)
    path.write_bytes(sound)
    (check,) = run.get_asset_check_evaluations()
    assert not check.passed
    assert check.metadata["num_faults"].value == 1


def test_the_command_diagnoses_a_phantom_with_the_champions(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult], tmp_path: Path
) -> None:
    scan = sorted(home.raw_subset("subset0").glob("*.mhd"))[0]
    done = CliRunner().invoke(main, ["diagnose", str(scan), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "lung-malignancy v1" in done.output
    header = (tmp_path / "out" / "findings.csv").read_text().splitlines()[0]
    assert header == (
        "series_uid,x_mm,y_mm,z_mm,index,row,column,"
        "diameter_mm,nodule_probability,malignancy_probability"
    )
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_command_refuses_a_truncated_scan_in_one_line(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult], tmp_path: Path
) -> None:
    source = sorted(home.raw_subset("subset0").glob("*.mhd"))[0]
    raw = source.with_suffix(".raw")
    (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / raw.name).write_bytes(raw.read_bytes()[:-100])
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["diagnose", str(tmp_path / source.name), "--out", str(out)])
    assert done.exit_code == 2
    assert raw.name in done.stderr.splitlines()[-1]
    assert not out.exists()


def test_a_model_trained_since_is_not_promoted_by_old_findings(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    before = {(model.version, CHAMPION in model.aliases) for model in versions(home)}
    run_job(home, instance, "train", config={**TRAINING, "segmentation_model": SHORT})
    with pytest.raises(StoreError, match="must come from the newest models"):
        run_job(home, instance, "evaluate")
    after = {(model.version, CHAMPION in model.aliases) for model in versions(home)}
    assert before == {(1, True)}
    assert after == {(1, True), (2, False)}
