# SPDX-License-Identifier: Apache-2.0
"""Nights over a phantom's champions: what changes between two of them, and who hears of it.

Each test puts back what it changed, so that their order does not matter: making the champions and
the first night takes longer than all nights after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
import torch

from lung_pipeline.annotations.subset import CANDIDATES
from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.ct.store import open_volume, write_volume
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import LungPipelineError
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import WEIGHTS, ModelCard, write_model
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.launch import open_instance, run_job
from lung_pipeline.orchestration.partitions import add_subsets
from lung_pipeline.orchestration.resources import HomeResource
from lung_pipeline.orchestration.sensors import alert_of_failed_run
from lung_pipeline.segmentation.unet import UNet
from lung_pipeline.tables import read_origin, read_table, write_table
from lung_pipeline.tracking.names import CHAMPION, NODULE, SEGMENTATION
from lung_pipeline.tracking.provenance import COMMIT_VARIABLE
from lung_pipeline.tracking.registry import ModelVersion, fetched, register
from lung_pipeline.tracking.runs import run
from lung_pipeline.tracking.server import connect
from lung_pipeline.tracking.sets import key_of, set_of

pytestmark = pytest.mark.slow

SUBSET, VALIDATION_SCAN = "subset0", "1.2.826.0.1.3680043.10.9016.1.1.0.2"
SEED = 2
"""With these weights an untrained model finds some nine things in the scan."""


@pytest.fixture(scope="module")
def home(
    phantom_home: Home, _empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """Phantoms of subset0 with two tiny champions."""
    made = Home.at(tmp_path_factory.mktemp("nights") / "home")
    shutil.copytree(phantom_home.root, made.root, copy_function=os.link)
    made.mlflow_database.parent.mkdir(parents=True)
    shutil.copyfile(_empty_mlflow, made.mlflow_database)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DAGSTER_HOME", str(made.root / "dagster"))
        patch.setenv(COMMIT_VARIABLE, "0a1b2c")
        torch.manual_seed(SEED)
        _champion(made, SEGMENTATION, UNet(depth=2, first_filters=1))
        _champion(made, NODULE, CropClassifier(first_channels=1))
        yield made


def _champion(home: Home, step: str, model: UNet | CropClassifier) -> ModelVersion:
    folder = home.root / "scratch" / step
    card = ModelCard(type(model).__name__, model.architecture, f"{step} of a test")
    card = write_model(folder, model, card)
    with run(home, f"lung-{step}", "training") as opened:
        return register(opened, step, folder, card.weights_sha256, CHAMPION)


@pytest.fixture(scope="module")
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        add_subsets(opened, [SUBSET])
        yield opened


class Nights:
    """Runs of the job `revalidate`, as the schedule would start them."""

    def __init__(self, home: Home, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance
        self.job = build_defs(root=str(home.root)).resolve_job_def("revalidate")
        self.cursor: str | None = None
        self.first = self.pass_by()
        self.alerts_of(self.first)

    def pass_by(self, **config: Any) -> dict[str, Any]:
        """A night; what its record says, with the run and its checks."""
        done = self.job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                "ops": {"nightly_revalidation": {"config": config}},
            },
        )
        checks = {check.check_name: check for check in done.get_asset_check_evaluations()}
        errors = [
            event.step_failure_data.error.cause or event.step_failure_data.error
            for event in done.all_events
            if event.is_step_failure and event.step_failure_data.error
        ]
        record = json.loads(self.home.last_night.read_text())
        sentences = [one["sentence"] for one in record["drifts"]]
        return {
            "run": done,
            "checks": checks,
            "errors": [error.message.strip() for error in errors],
            "sentences": sentences,
            "record": record,
        }

    def alerts_of(self, night: dict[str, Any]) -> list[str]:
        """What the sensor tells of a night; it is evaluated tick by tick, as the daemon does."""
        resources = {"home": HomeResource(root=str(self.home.root))}
        while True:
            context = dg.build_sensor_context(
                instance=self.instance, cursor=self.cursor, resources=resources
            )
            told = alert_of_failed_run.evaluate_tick(context)
            self.cursor = told.cursor
            if not told.dagster_run_reactions:
                break
        alerts = [json.loads(path.read_text()) for path in self.home.alerts.glob("*.json")]
        return [alert["in_words"] for alert in alerts if alert["run_id"] == night["run"].run_id]


@pytest.fixture(scope="module")
def nights(home: Home, instance: dg.DagsterInstance) -> Nights:
    return Nights(home, instance)


@contextlib.contextmanager
def _changed(path: Path, change: Callable[[Path], None]) -> Iterator[None]:
    """A file or folder that is changed for a while."""
    # Not beside it: a file more in a model's folder is a change, too.
    kept = path.parents[1] / f"kept {path.name}"
    path.rename(kept)
    if kept.is_dir():
        shutil.copytree(kept, path)
    else:
        shutil.copyfile(kept, path)
    try:
        change(path)
        yield
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        kept.rename(path)


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _weights(home: Home, step: str) -> tuple[ModelVersion, Path]:
    model = set_of(home, CHAMPION)[step]
    with fetched(home, model.uri) as folder:
        return model, folder / WEIGHTS


def test_first_night_keeps_a_baseline_and_says_so(home: Home, nights: Nights) -> None:
    assert nights.first["run"].success
    assert nights.first["record"]["kept_because"] == "there was none"
    assert "kept as the baseline of this set (there was none)" in nights.first["record"]["in_words"]
    kept = json.loads(home.baseline(key_of(set_of(home, CHAMPION))).read_text())
    assert kept["made_by"] == "there was none"
    assert kept["subsets"] == [SUBSET]
    assert kept["findings_per_scan"] > 0
    assert set(kept["libraries"]) == {"torch", "numpy", "scipy", "SimpleITK", "lung_pipeline"}
    assert kept["inputs"]["num_slices"] == [100.0] * 5
    assert kept["figures"]["data/num_series"] == 1
    assert f"candidates of {SUBSET}" in kept["tables"]


def test_nothing_changed_passes_twice_with_the_same_figures(nights: Nights) -> None:
    second, third = nights.pass_by(), nights.pass_by()
    for night in (second, third):
        assert night["run"].success
        assert {name: check.passed for name, check in night["checks"].items()} == {
            "revalidation_holds": True,
            "computed_as_at_promotion": True,
        }
        assert night["sentences"] == []
        assert night["record"]["kept_because"] == ""
        assert night["record"]["figures"] == nights.first["record"]["figures"]
        assert nights.alerts_of(night) == []


@pytest.mark.parametrize("step", [SEGMENTATION, NODULE])
def test_one_byte_of_the_weights_fails_the_night_and_says_which(
    home: Home, nights: Nights, step: str
) -> None:
    model, path = _weights(home, step)
    with _changed(path, _flip_a_byte):
        night = nights.pass_by()
    assert not night["run"].success
    holds = night["checks"]["revalidation_holds"]
    assert not holds.passed
    (sentence,) = night["sentences"]
    assert holds.metadata["faults"].value == sentence
    assert sentence.startswith(
        f"The {step} model {model.label} changed on disk: the file weights.safetensors has the "
        "SHA-256 "
    )
    assert f"instead of {model.weights_sha256[:12]}" in sentence
    assert not night["record"]["is_scored"]
    (alert,) = nights.alerts_of(night)
    assert sentence in alert
    assert "Traceback" not in alert
    assert nights.pass_by()["run"].success


def test_weights_and_card_changed_together_fail_the_night_too(home: Home, nights: Nights) -> None:
    model, path = _weights(home, NODULE)

    def retrain(folder: Path) -> None:
        torch.manual_seed(99)
        another = CropClassifier(first_channels=1)
        write_model(folder, another, ModelCard("CropClassifier", another.architecture, "forged"))

    with _changed(path.parent, retrain):
        night = nights.pass_by()
    assert not night["checks"]["revalidation_holds"].passed
    assert len(night["sentences"]) == 2
    assert all(model.label in sentence for sentence in night["sentences"])


def test_one_row_less_in_the_validation_table_fails_the_night_and_says_which(
    home: Home, nights: Nights
) -> None:
    path = home.manifest(CANDIDATES, SUBSET)
    table, origin = read_table(path), read_origin(path)
    num_rows = int((table["part"] == "validation").sum())
    negatives = table[(table["part"] == "validation") & ~table["is_nodule"]]

    def drop_one(changed: Path) -> None:
        write_table(table.drop(index=negatives.index[0]), changed, origin)

    with _changed(path, drop_one):
        night = nights.pass_by()
    assert not night["run"].success
    assert night["sentences"] == [
        f"The validation table candidates of {SUBSET} has one row less: {num_rows - 1} instead of "
        f"{num_rows}."
    ]
    assert not night["checks"]["revalidation_holds"].passed
    (alert,) = nights.alerts_of(night)
    assert night["sentences"][0] in alert


def test_one_nodule_less_moves_the_figures_too(home: Home, nights: Nights) -> None:
    path = home.manifest(CANDIDATES, SUBSET)
    table, origin = read_table(path), read_origin(path)
    nodules = table[(table["part"] == "validation") & table["is_nodule"]]
    with _changed(path, lambda p: write_table(table.drop(index=nodules.index[0]), p, origin)):
        night = nights.pass_by()
    assert "one row less" in night["sentences"][0]
    assert any(s.startswith("data/num_nodules is ") for s in night["sentences"])


def test_row_of_a_patient_who_is_learned_from_does_not_matter(home: Home, nights: Nights) -> None:
    path = home.manifest(CANDIDATES, SUBSET)
    table, origin = read_table(path), read_origin(path)
    learned = table[(table["part"] == "train") & ~table["is_nodule"]]
    with _changed(path, lambda p: write_table(table.drop(index=learned.index[0]), p, origin)):
        assert nights.pass_by()["sentences"] == []


def test_voxels_changed_in_the_store_are_told_as_input(home: Home, nights: Nights) -> None:
    def brighten(path: Path) -> None:
        stored = open_volume(path)
        voxels_hu = np.clip(stored.read_all() + 150, -1000, 1000).astype(np.int16)
        write_volume(
            CtVolume(
                series_uid=stored.series_uid,
                voxels_hu=voxels_hu,
                grid=stored.grid,
                original_grid=stored.original_grid,
                source_sha256=stored.source_sha256,
            ),
            path,
        )

    with _changed(home.volume(SUBSET, VALIDATION_SCAN), brighten):
        night = nights.pass_by()
        forgiven = nights.pass_by(hu_histogram=1.0, lung_share=1.0)
    assert "in another bin of the HU histogram" in night["sentences"][0]
    assert "look like lung" in night["sentences"][1]
    assert forgiven["sentences"] == night["sentences"][2:]
    assert not night["run"].success


def test_changed_library_warns_while_the_figures_hold(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Python's own metadata say of a package: the first on the path is believed.
    installed = tmp_path / "SimpleITK-99.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: SimpleITK\nVersion: 99.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(COMMIT_VARIABLE, "ffffff")
    night = nights.pass_by()
    assert night["run"].success
    assert night["checks"]["revalidation_holds"].passed
    warned = night["checks"]["computed_as_at_promotion"]
    assert not warned.passed
    assert warned.severity == dg.AssetCheckSeverity.WARN
    was = night["record"]["drifts"][0]["was"]
    assert warned.metadata["faults"].value.splitlines() == [
        f"The library is another: SimpleITK is 99.1 instead of {was}.",
        "The library is another: lung_pipeline is ffffff instead of 0a1b2c.",
    ]
    assert nights.alerts_of(night) == []


def test_another_number_of_threads_warns(nights: Nights) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    night = nights.pass_by()
    torch.set_num_threads(threads)
    assert night["run"].success
    (sentence,) = night["sentences"]
    assert sentence.startswith("The device is another: threads is ")


def _edit_baseline(path: Path) -> None:
    path.write_text(path.read_text().replace("0a1b2c", "0a1b2d"))


@pytest.mark.parametrize(
    ("change", "said"),
    [(_edit_baseline, "got the SHA-256 "), (Path.unlink, "got no file")],
    ids=["edited", "lost"],
)
def test_damaged_baseline_fails_the_night_in_one_sentence(
    home: Home, nights: Nights, change: Callable[[Path], None], said: str
) -> None:
    path = home.baseline(key_of(set_of(home, CHAMPION)))
    with _changed(path, change):
        night = nights.pass_by()
    assert not night["run"].success
    (error,) = night["errors"]
    assert said in error
    assert "the baseline must be the one that was kept" in error
    (alert,) = nights.alerts_of(night)
    assert "the baseline must be the one that was kept" in alert


def test_subset_that_is_added_later_is_not_scored(
    nights: Nights, instance: dg.DagsterInstance
) -> None:
    add_subsets(instance, ["subset1"])
    night = nights.pass_by()
    instance.delete_dynamic_partition("luna_subset", "subset1")
    assert night["sentences"] == []
    assert night["record"]["subsets"] == [SUBSET]


def test_other_subsets_are_refused_until_the_baseline_is_renewed_with_a_reason(
    home: Home, nights: Nights
) -> None:
    night = nights.pass_by(subsets=["subset1"])
    assert "a night scores what the baseline froze (subset0), got subset1" in night["errors"][0]
    path = home.baseline(key_of(set_of(home, CHAMPION)))
    before = path.read_bytes()
    renewed = nights.pass_by(renew_baseline="a new converter")
    assert renewed["run"].success
    assert renewed["record"]["kept_because"] == "renewed: a new converter"
    assert path.read_bytes() != before
    after = nights.pass_by()
    assert (after["sentences"], after["record"]["kept_because"]) == ([], "")


def test_renewal_does_not_accept_changed_weights(home: Home, nights: Nights) -> None:
    model, path = _weights(home, NODULE)
    with _changed(path, _flip_a_byte):
        night = nights.pass_by(renew_baseline="whatever lies there")
    assert not night["run"].success
    (error,) = night["errors"]
    assert f"weights.safetensors of the nodule model {model.label}" in error
    assert "the weights on disk must have the hash they were registered with" in error
    (alert,) = nights.alerts_of(night)
    assert model.label in alert


def test_mlflow_keeps_the_record_of_a_night(home: Home, nights: Nights) -> None:
    night = nights.pass_by()
    client = connect(home)
    experiment = client.get_experiment_by_name("lung-evaluation")
    (newest, *_) = client.search_runs(
        [experiment.experiment_id], order_by=["attributes.start_time DESC"]
    )
    assert newest.data.tags["dagster.run_id"] == night["run"].run_id
    assert newest.data.tags["revalidation"] == night["record"]["in_words"]
    assert newest.data.metrics == pytest.approx(night["record"]["figures"])
    (kept,) = Path(newest.info.artifact_uri.removeprefix("file://")).glob("last_night.json")
    assert json.loads(kept.read_text()) == night["record"]


def test_no_champion_is_told_in_words(
    another_mlflow_home: Home, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(LungPipelineError, match="there must be a champion to look at, got none"):
        run_job(another_mlflow_home, instance, "revalidate")
