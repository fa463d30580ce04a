# SPDX-License-Identifier: Apache-2.0
"""Two trainings of one seed, each in a process of its own: the same weights, the same figures."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from lung_pipeline.home import Home
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tracking.names import REGISTERED, STEPS
from lung_pipeline.tracking.registry import versions
from lung_pipeline.tracking.server import connect

pytestmark = pytest.mark.slow

SHORT = {"epochs": 2, "steps_per_epoch": 3, "batch_size": 6, "device": "cpu", "seed": 11}
KNOBS = {
    "segmentation_model": SHORT,
    "nodule_model": {**SHORT, "average_decay": 0.9},
    "malignancy_model": SHORT,
}
OF_THE_MACHINE = ("speed/", "memory/")
"""Figures of time and memory are no figures of the model."""

_LAUNCH = textwrap.dedent(
    f"""
    from lung_pipeline.home import Home
    from lung_pipeline.orchestration.launch import open_instance, run_job

    home = Home.from_environment()
    with open_instance(home) as instance:
        run_job(home, instance, "train", config={KNOBS!r})
    """
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Two subsets of phantoms through their ingest, then two trainings."""
    root = tmp_path_factory.mktemp("repeat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(root / "dagster"))
        patch.setenv("LUNG_PIPELINE_HOME", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        opened = Home.at(root)
        write_luna_folder(opened.raw, num_subsets=2, scans_per_subset=4, seed=4)
        with open_instance(opened) as instance:
            sync_subsets(opened, instance)
            for subset in opened.subsets_on_disk():
                run_job(opened, instance, "ingest", partition=subset)
        for _ in range(2):
            subprocess.run([sys.executable, "-c", _LAUNCH], env={**os.environ}, check=True)
        yield opened


@pytest.mark.parametrize("step", STEPS)
def test_two_trainings_of_one_seed_give_the_same_weights_and_figures(
    home: Home, step: str, tmp_path: Path
) -> None:
    one, two = (version for version in versions(home) if version.step == step)
    assert one.run_id != two.run_id
    assert one.weights_sha256 == two.weights_sha256
    first, second = (_history(home, version.run_id) for version in (one, two))
    assert first == second
    assert {name for name, _ in first} >= {"train/loss", "validation/loss"}


def test_the_metrics_are_of_this_training_in_its_own_experiment(home: Home) -> None:
    client = connect(home)
    for step in STEPS:
        experiment = client.get_experiment_by_name(REGISTERED[step])
        statuses = [r.info.status for r in client.search_runs([experiment.experiment_id])]
        assert statuses == ["FINISHED", "FINISHED"]


def _history(home: Home, run_id: str) -> dict[tuple[str, int], float]:
    """Every figure of every epoch, but for those of time and memory."""
    client = connect(home)
    names = client.get_run(run_id).data.metrics
    return {
        (name, metric.step): metric.value
        for name in names
        if not name.startswith(OF_THE_MACHINE)
        for metric in client.get_metric_history(run_id, name)
    }
