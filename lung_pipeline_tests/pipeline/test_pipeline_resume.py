# SPDX-License-Identifier: Apache-2.0
"""A training launched through Dagster, killed, and launched again: one run, one model, no loss."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import read_card
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tracking.names import CHALLENGER, NODULE, REGISTERED, model_uri
from lung_pipeline.tracking.registry import fetched, find
from lung_pipeline.tracking.server import connect

pytestmark = pytest.mark.slow

KNOBS = {"epochs": 6, "steps_per_epoch": 6, "batch_size": 4, "device": "cpu"}

_LAUNCH = textwrap.dedent(
    """
    import dagster as dg
    from lung_pipeline.home import Home
    from lung_pipeline.orchestration.build import build_defs
    from lung_pipeline.orchestration.launch import open_instance

    home = Home.from_environment()
    job = build_defs(root=str(home.root)).resolve_job_def("train")
    job = job.get_subset(asset_selection={dg.AssetKey("nodule_model")})
    with open_instance(home) as instance:
        job.execute_in_process(
            instance=instance, run_config={"ops": {"nodule_model": {"config": KNOBS}}}
        )
    """
).replace("KNOBS", repr(KNOBS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One subset of phantoms through its ingest, and the certificate of its split."""
    root = tmp_path_factory.mktemp("resume")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(root / "dagster"))
        patch.setenv("LUNG_PIPELINE_HOME", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        opened = Home.at(root)
        write_luna_folder(opened.raw, num_subsets=1, scans_per_subset=8, seed=4)
        with open_instance(opened) as instance:
            sync_subsets(opened, instance)
            run_job(opened, instance, "ingest", partition="subset0")
            job = build_defs(root=str(root)).resolve_job_def("train")
            certificate = dg.AssetKey("leakage_certificate")
            job.get_subset(asset_selection={certificate}).execute_in_process(instance=instance)
        yield opened


def _killed_after_an_epoch(home: Home) -> None:
    training = subprocess.Popen([sys.executable, "-c", _LAUNCH], env={**os.environ})
    folder = home.training(NODULE, "any").parent
    while not any(folder.glob("*/state")):
        assert training.poll() is None, "the training ended before it could be killed"
        time.sleep(0.02)
    training.send_signal(signal.SIGKILL)
    training.wait()


def _artifacts(home: Home, run_id: str) -> Path:
    return home.mlflow_artifacts / REGISTERED[NODULE] / run_id / "artifacts"


def test_killed_training_goes_on_in_the_same_mlflow_run(home: Home, tmp_path: Path) -> None:
    _killed_after_an_epoch(home)
    (folder,) = home.training(NODULE, "any").parent.iterdir()
    begun = (folder / "mlflow_run_id").read_text()
    client = connect(home)
    assert client.get_run(begun).info.status == "RUNNING"  # nobody was left to say otherwise
    subprocess.run([sys.executable, "-c", _LAUNCH], env={**os.environ}, check=True)
    experiment = client.get_experiment_by_name(REGISTERED[NODULE])
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_id, run.info.status) == (begun, "FINISHED")
    steps = [metric.step for metric in client.get_metric_history(begun, "train/loss")]
    assert sorted(steps) == [1, 2, 3, 4, 5, 6]
    events = EventAccumulator(str(_artifacts(home, begun) / "tensorboard"), {"images": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    newest = find(home, NODULE, CHALLENGER)
    assert newest is not None
    assert (newest.version, newest.run_id) == (1, begun)
    with fetched(home, model_uri(NODULE, CHALLENGER)) as folder:
        assert len(read_card(folder).losses) == 6
    assert not any(home.training(NODULE, "any").parent.iterdir())
