# SPDX-License-Identifier: Apache-2.0
"""The whole journey in an object store, beside the same journey on disk: the same bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from bright_models import register_bright_models
from object_store import BUCKET, LocalStore, running_store

from lung_pipeline.annotations.lidc_subset import make_lidc_reads
from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import make_candidates
from lung_pipeline.crops.certify import make_certificate, write_certificate
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.ct.subset import convert_volumes, list_raw
from lung_pipeline.diagnosis.subset import find_in_subset
from lung_pipeline.diagnosis.subset_patients import diagnose_subset
from lung_pipeline.errors import LostStoreError
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import WEIGHTS
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tracking.models import models_by_alias
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION, NODULE, STEPS
from lung_pipeline.tracking.registry import fetched, find, set_alias, versions

pytestmark = pytest.mark.slow

PREFIX = "a/prefix"
SHORT = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4, "device": "cpu"}
TRAINING = {f"{step}_model": SHORT for step in STEPS}
SUBSETS = ("subset0", "subset1")

_OWN = re.compile(r".*\.arrival\.json$")
"""When raw files were last touched: another time for a copy."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    with running_store(tmp_path_factory.mktemp("scratch")) as opened:
        yield opened


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed-out") / "raw"
    write_luna_folder(folder, num_subsets=2, scans_per_subset=4, seed=4)
    return folder


@pytest.fixture(scope="module")
def home(raw: Path, store: LocalStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home in the store, with Dagster's files and MLflow's database beside it."""
    store.upload(raw, f"{PREFIX}/raw")
    databases = tmp_path_factory.mktemp("databases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(databases / "dagster"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{databases}/mlflow.db")
        patch.setenv("LUNG_PIPELINE_HOME", f"s3://{BUCKET}/{PREFIX}")
        yield Home.from_environment()


@pytest.fixture(scope="module")
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        assert tuple(sync_subsets(home, opened)) == SUBSETS
        yield opened


@pytest.fixture(scope="module")
def journey(home: Home, instance: dg.DagsterInstance) -> dict[str, dg.ExecuteInProcessResult]:
    """Ingest and train, then find, judge and score with models of known answers."""
    runs = {f"ingest {s}": run_job(home, instance, "ingest", partition=s) for s in SUBSETS}
    runs["train"] = run_job(home, instance, "train", config=TRAINING)
    register_bright_models(home)
    for step in STEPS:
        model = find(home, step, CHAMPION)
        assert model is not None
        set_alias(home, model, CHALLENGER)
    for subset in SUBSETS:
        runs[f"diagnose {subset}"] = run_job(home, instance, "diagnose", partition=subset)
    runs["evaluate"] = run_job(home, instance, "evaluate")
    return runs


@pytest.fixture(scope="module")
def on_disk(
    raw: Path,
    home: Home,
    journey: dict[str, dg.ExecuteInProcessResult],
    tmp_path_factory: pytest.TempPathFactory,
) -> Home:
    """The same steps in a local folder, by the functions that the assets call."""
    local = Home.at(tmp_path_factory.mktemp("disk"))
    local.raw.symlink_to(raw)
    for subset in SUBSETS:
        list_raw(local, subset)
        convert_volumes(local, subset)
        make_lidc_reads(local, subset)
        make_candidates(local, subset, SplitRule())
        make_crops(local, subset)
    write_certificate(local, make_certificate(local, SUBSETS))
    named = models_by_alias(home, CHALLENGER, "cpu")
    for subset in SUBSETS:
        find_in_subset(local, subset, named.models, named.names)
        diagnose_subset(local, subset)
    return local


def test_every_run_and_every_check_passes(
    journey: dict[str, dg.ExecuteInProcessResult],
) -> None:
    assert all(run.success for run in journey.values())
    checks = [check for run in journey.values() for check in run.get_asset_check_evaluations()]
    assert checks
    assert all(check.passed for check in checks), [c.check_name for c in checks if not c.passed]


def test_every_file_is_that_of_the_home_on_disk(on_disk: Home, store: LocalStore) -> None:
    here = {
        path.relative_to(on_disk.root).as_posix(): path.read_bytes()
        for path in on_disk.root.rglob("*")
        if path.is_file()
    }
    there = store.contents(PREFIX)
    assert {name.split("/")[0] for name in here} >= {"tables", "volumes", "crops", "findings"}
    assert any(name.endswith(".npz") for name in here)
    wanted = {name: content for name, content in here.items() if not _OWN.match(name)}
    assert [name for name in wanted if there.get(name) != wanted[name]] == []


def test_reports_scorecards_and_models_lie_in_the_store(
    home: Home, journey: dict[str, dg.ExecuteInProcessResult], store: LocalStore
) -> None:
    names = list(store.contents(PREFIX))
    for end in ("report.html", "diagnosis.json", "scorecard.json", "scorecard.html"):
        assert any(name.endswith(f"/{end}") for name in names), end
    assert not [name for name in names if name.startswith("trainings/")]
    for model in versions(home):
        (weights,) = (
            n for n in names if n.endswith(f"{model.run_id}/artifacts/model/weights.safetensors")
        )
        assert weights.startswith("mlflow/artifacts/")
        with fetched(home, model.uri) as copy:
            found = (copy / WEIGHTS).read_bytes()
        assert hashlib.sha256(found).hexdigest() == model.weights_sha256
        assert not copy.exists()


def test_a_training_that_lost_its_store_goes_on_to_the_same_weights(
    home: Home,
    instance: dg.DagsterInstance,
    journey: dict[str, dg.ExecuteInProcessResult],
    store: LocalStore,
) -> None:
    undisturbed = next(model for model in versions(home) if model.step == NODULE)
    asked: list[str] = []

    def lose_after_the_first_state(method: str, path: str) -> None:
        if method == "PUT" and "/tensorboard/" in path and f"{PREFIX}/trainings/" in path:
            raise ConnectionResetError

    def watch(method: str, path: str) -> None:
        if method == "GET" and path.endswith("tensors.safetensors"):
            asked.append(path)

    store.on_request = lose_after_the_first_state
    try:
        with pytest.raises(LostStoreError, match="the object store must answer"):
            _train_nodules(home, instance)
        store.on_request = watch
        assert _train_nodules(home, instance).success
    finally:
        store.on_request = lambda method, path: None
    assert asked
    resumed = find(home, NODULE, CHALLENGER)
    assert resumed is not None
    assert resumed.version > undisturbed.version
    assert resumed.weights_sha256 == undisturbed.weights_sha256
    assert not [name for name in store.contents(PREFIX) if name.startswith("trainings/")]


def _train_nodules(home: Home, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_defs(root=str(home.root)).resolve_job_def("train")
    alone = job.get_subset(asset_selection={dg.AssetKey("nodule_model")})
    config = {"ops": {"nodule_model": {"config": SHORT}}}
    return alone.execute_in_process(instance=instance, run_config=config)
