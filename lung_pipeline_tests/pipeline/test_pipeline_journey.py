# SPDX-License-Identifier: Apache-2.0
"""The whole journey on a few phantoms with short trainings: every asset, check and record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from click.testing import CliRunner

from lung_pipeline.annotations.subset import SERIES, read_candidates_of
from lung_pipeline.cli import main
from lung_pipeline.crops.certificate import CERTIFICATE_FILE
from lung_pipeline.crops.certify import read_certificate
from lung_pipeline.crops.store import CROPS
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import read_card
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.orchestration.partitions import known_subsets
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tables import read_origin, read_table, write_table
from lung_pipeline.tracking.names import (
    CHALLENGER,
    CHAMPION,
    NODULE,
    REGISTERED,
    SEGMENTATION,
    STEPS,
    model_uri,
)
from lung_pipeline.tracking.registry import fetched, find, versions
from lung_pipeline.tracking.server import connect
from lung_pipeline.tracking.sets import key_of, refuse_mixed_champions, set_of

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
    "malignancy_model": {**SHORT, "judged_by": "characteristics", "depth": 3},
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
    assert len(checks) == 2 * 8 + 2 + 3
    assert all(check.passed for check in checks)


def test_each_training_is_a_version_and_the_first_becomes_champion(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    for step in STEPS:
        newest = find(home, step, CHALLENGER)
        assert newest is not None
        assert find(home, step, CHAMPION) == newest
    assert [model.version for model in versions(home)] == [1, 1, 1]


def test_the_first_set_is_promoted_on_the_validation_part_and_says_why(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult], tmp_path: Path
) -> None:
    (made,) = journey["evaluate"].asset_materializations_for_node("champion")
    assert made.metadata["decision"].value == (
        "promoted: there is no champion yet to be compared with"
    )
    refuse_mixed_champions(home)
    # Champion and challenger are the same models by now.
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["compare", "champion", "challenger", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "0 won, 0 lost" in done.output
    assert (out / "comparison.html").is_file()


def test_each_training_can_be_watched(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    wanted = {
        "segmentation": ("validation/slice/false_positives", "worst-slice-1"),
        "nodule": ("validation/non-nodule/recall", "worst-false-alarms"),
        "malignancy": ("validation/auc_of_diameter", "worst-misses"),
    }
    client = connect(home)
    for step, (figure, picture) in wanted.items():
        newest = find(home, step, CHALLENGER)
        assert newest is not None
        assert figure in client.get_run(newest.run_id).data.metrics
        kept = home.mlflow_artifacts / REGISTERED[step] / newest.run_id / "artifacts"
        assert (kept / "examples" / "epoch-001" / f"{picture}.png").is_file()
        assert any((kept / "tensorboard").iterdir())


def test_the_segmentation_says_whose_masks_it_learned_from(
    home: Home, instance: dg.DagsterInstance, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    with fetched(home, model_uri(SEGMENTATION, CHALLENGER)) as folder:
        card = read_card(folder)
    table = read_candidates_of(home, ["subset0", "subset1"])
    nodules = table[table["is_nodule"] & table["part"].isin(["train", "validation"])]
    assert (card.data["masks_from_contours"], card.data["masks_grown"]) == (len(nodules), 0)
    made = instance.get_latest_materialization_event(dg.AssetKey("segmentation_model"))
    assert made is not None
    shown = made.asset_materialization.metadata
    assert shown["masks_from_contours"].value == len(nodules)
    assert shown["masks_grown"].value == 0


def test_each_version_has_the_certificate_it_was_trained_under(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult]
) -> None:
    certificate = read_certificate(home)
    assert certificate.passed
    for model in versions(home):
        with fetched(home, model.uri) as folder:
            data = read_card(folder).data
            beside = (folder / CERTIFICATE_FILE).read_bytes()
        assert hashlib.sha256(beside).hexdigest() == data["leakage_certificate_sha256"]
        assert data["leakage_certificate_sha256"] == certificate.sha256
        assert data["split_sha256"] == certificate.split_sha256


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
    (record,) = home.scorecards.glob("test-*/scorecard.json")
    card = json.loads(record.read_text())
    assert card["data"]["part"] == "test"
    assert card["split"]["patients_in_two_parts"] == 0
    assert card["split"]["split_of_models"] == dict.fromkeys(card["models"], "the same")
    assert card["provenance"]["malignancy_rule"]["name"] == "two-of-readers"
    assert set(card["models"]) == set(STEPS)


def test_a_new_subset_leaves_the_others_untouched(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    assets = ("raw_subset", "hu_volumes", "candidates", "crops", "findings")
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
    # Diagnoses may differ: what `evaluate` froze since is what they are made at now.
    judged_at = {
        s: read_origin(home.diagnoses(s))["thresholds_from"] for s in ("subset0", "subset1")
    }
    assert judged_at["subset0"].startswith(
        "frozen with these models, for at most 4 false positives"
    )
    assert judged_at["subset1"].startswith("0.5 each and not calibrated")


def test_the_nightly_run_loads_the_champion_and_scores_validation(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    run = run_job(home, instance, "revalidate")
    (made,) = run.asset_materializations_for_node("nightly_revalidation")
    assert made.metadata["detection/cpm"].value is not None
    assert "lung-nodule v1" in str(made.metadata["nodule"].value)
    # Promoted on findings that `diagnose` stored, and found again by this run, to the last digit.
    baseline = json.loads(home.baseline(key_of(set_of(home, CHAMPION))).read_text())
    assert baseline["made_by"] == "promotion"
    assert str(made.metadata["in_words"].value).startswith(f"As on {baseline['made_at']}")
    checks = {check.check_name: check.passed for check in run.get_asset_check_evaluations()}
    assert checks["revalidation_holds"]


def test_a_crop_that_is_not_its_window_fails_the_check(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
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


def test_nothing_is_trained_where_a_patient_stands_in_two_parts(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    path, certificate = home.manifest(SERIES, "subset0"), home.certificate.read_text()
    sound, table, origin = path.read_bytes(), read_table(path), read_origin(path)
    other = read_table(home.manifest(SERIES, "subset1"))
    patient = other.loc[other["part"] == "train", "patient_id"].iloc[0]
    write_table(table.assign(patient_id=patient, part="test"), path, origin)
    before = versions(home)
    run = (
        build_defs(root=str(home.root))
        .resolve_job_def("train")
        .execute_in_process(instance=instance, raise_on_error=False)
    )
    checks = {check.check_name: check.passed for check in run.get_asset_check_evaluations()}
    failed = json.loads(home.certificate.read_text())
    path.write_bytes(sound)
    home.certificate.write_text(certificate)
    assert not run.success
    assert not checks["nothing_leaks"]
    assert failed["passed"] is False
    assert versions(home) == before


def test_a_model_without_a_certificate_of_its_tables_is_not_trained(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    job = build_defs(root=str(home.root)).resolve_job_def("train")
    certificate = home.certificate.read_text()
    home.certificate.unlink()
    for step in STEPS:
        alone = job.get_subset(asset_selection={dg.AssetKey(f"{step}_model")})
        with pytest.raises(StoreError, match="splits check"):
            alone.execute_in_process(instance=instance)
    home.certificate.write_text(certificate)


def test_the_command_diagnoses_a_phantom_with_the_champions(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult], tmp_path: Path
) -> None:
    scan = sorted(home.raw_subset("subset0").glob("*.mhd"))[0]
    done = CliRunner().invoke(main, ["diagnose", str(scan), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "lung-malignancy v1" in done.output
    assert "Downloading" not in done.output
    header = (tmp_path / "out" / "findings.csv").read_text().splitlines()[0]
    assert header == (
        "series_uid,x_mm,y_mm,z_mm,index,row,column,"
        "diameter_mm,nodule_probability,malignancy_probability,"
        "volume_mm3,longest_axial_mm,mean_hu,density,lung_border_mm"
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
    assert [path.name for path in out.iterdir()] == ["refusal.json"]


def test_a_model_trained_since_is_not_promoted_by_old_findings(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    before = {(model.version, CHAMPION in model.aliases) for model in versions(home)}
    former = find(home, NODULE, CHALLENGER)
    assert former is not None
    hard = {**SHORT, "hard_negatives_from": former.uri}
    config = {**TRAINING, "segmentation_model": SHORT, "nodule_model": hard}
    run_job(home, instance, "train", config=config)
    with fetched(home, model_uri(NODULE, CHALLENGER)) as folder:
        learned_from = read_card(folder).data
    assert learned_from["hard_negatives_from_sha256"] == former.weights_sha256
    with pytest.raises(StoreError, match="must come from the newest models"):
        run_job(home, instance, "evaluate")
    after = {(model.version, CHAMPION in model.aliases) for model in versions(home)}
    assert before == {(1, True)}
    assert after == {(1, True), (2, False)}
