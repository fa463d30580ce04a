# SPDX-License-Identifier: Apache-2.0
"""Two runs at one subset, as processes: who must wait waits, and all is as after one run."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from lung_pipeline.annotations.subset import candidates_fingerprint
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import read_card
from lung_pipeline.locks import data_of, held
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tables import read_table
from lung_pipeline.tracking.names import CHALLENGER, NODULE, REGISTERED, model_uri
from lung_pipeline.tracking.registry import fetched
from lung_pipeline.tracking.server import connect

pytestmark = pytest.mark.slow

SUBSET, DEADLINE_S = "subset0", 900

KNOBS = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 4, "device": "cpu"}

_LAUNCH = textwrap.dedent(
    """
    import json, sys
    import dagster as dg
    from lung_pipeline.home import Home
    from lung_pipeline.orchestration.build import build_defs
    from lung_pipeline.orchestration.launch import open_instance

    job, asset, partition, config = sys.argv[1:]
    home = Home.from_environment()
    definition = build_defs(root=str(home.root)).resolve_job_def(job)
    if asset:
        definition = definition.get_subset(asset_selection={dg.AssetKey(asset)})
    with open_instance(home) as instance:
        definition.execute_in_process(
            instance=instance, partition_key=partition or None, run_config=json.loads(config)
        )
    """
)


class Launched:
    """A run in a process of its own, whose log is read while it lasts."""

    def __init__(self, job: str, asset: str = "", partition: str = "", config: str = "{}") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, job, asset, partition, config],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def until_it_says(self, words: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not any(words in line for line in self.lines):
            ended = self.process.poll() is not None
            assert not ended, "".join(self.lines)
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def ends_well(self) -> None:
        self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.returncode == 0, "".join(self.lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One subset of phantoms through one ingest, and the certificate of its split."""
    root = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(root / "dagster"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        home = Home.at(root / "home")
        write_luna_folder(home.raw, num_subsets=1, scans_per_subset=8, seed=4)
        with open_instance(home) as instance:
            sync_subsets(home, instance)
            run_job(home, instance, "ingest", partition=SUBSET)
            job = build_defs(root=str(home.root)).resolve_job_def("train")
            certificate = dg.AssetKey("leakage_certificate")
            job.get_subset(asset_selection={certificate}).execute_in_process(instance=instance)
        yield home


def _own(home: Home, undisturbed: Home, *parts: str) -> None:
    """Parts of the undisturbed home for one test, which registers its subset anew."""
    for part in parts:
        shutil.copytree(undisturbed.root / part, home.root / part)
    with open_instance(home) as instance:
        sync_subsets(home, instance)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Home.from_environment()


def _bytes_of(home: Home) -> dict[str, str]:
    """Every file that the ingest writes, by the hash of its bytes."""
    files = [
        path
        for part in ("volumes", "tables", "crops")
        for path in sorted((home.root / part).rglob("*"))
        if path.is_file() and path != home.certificate
    ]
    return {
        str(path.relative_to(home.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_two_ingests_of_one_subset_make_what_one_makes(home: Home, undisturbed: Home) -> None:
    _own(home, undisturbed, "raw")
    both: list[Launched] = []
    try:
        # Held until both are at the door, so that they go through it together.
        with held(home, write=[data_of(SUBSET)]):
            both += [Launched("ingest", partition=SUBSET) for _ in range(2)]
            for one in both:
                one.until_it_says(f"waits for another run that uses the data of {SUBSET}")
        for one in both:
            one.ends_well()
    finally:
        for one in both:
            one.kill()
    assert _bytes_of(home) == _bytes_of(undisturbed)
    with open_instance(home) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 2


def test_ingest_waits_for_a_training_that_reads_its_crops(home: Home, undisturbed: Home) -> None:
    _own(home, undisturbed, "raw", "volumes", "tables", "crops")
    learned_from = candidates_fingerprint(home, [SUBSET])
    num_before = len(read_table(home.manifest("candidates", SUBSET)))
    knobs = str({"ops": {"nodule_model": {"config": KNOBS}}}).replace("'", '"')
    training = Launched("train", "nodule_model", config=knobs)
    ingest = None
    try:
        _stopped_after_an_epoch(home, training)
        _fewer_negatives(home)
        ingest = Launched("ingest", partition=SUBSET)
        ingest.until_it_says(f"waits for another run that uses the data of {SUBSET}")
        assert candidates_fingerprint(home, [SUBSET]) == learned_from
        training.process.send_signal(signal.SIGCONT)
        training.ends_well()
        ingest.ends_well()
    finally:
        for one in (training, ingest):
            if one is not None:
                one.kill()
    with fetched(home, model_uri(NODULE, CHALLENGER)) as folder:
        card = read_card(folder)
    assert card.data["candidates"] == learned_from
    assert candidates_fingerprint(home, [SUBSET]) != learned_from
    num_crops = len(read_table(home.crops(SUBSET) / "index.parquet"))
    assert num_crops == len(read_table(home.manifest("candidates", SUBSET))) < num_before
    client = connect(home)
    experiment = client.get_experiment_by_name(REGISTERED[NODULE])
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == [
        "FINISHED"
    ]


def _stopped_after_an_epoch(home: Home, training: Launched) -> None:
    """So that it is under way for as long as the test needs, however fast the machine is."""
    folder = home.training(NODULE, "any").parent
    deadline = time.monotonic() + DEADLINE_S
    while not any(folder.glob("*/state")):
        assert training.process.poll() is None, "".join(training.lines)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    training.process.send_signal(signal.SIGSTOP)


def _fewer_negatives(home: Home) -> None:
    path = home.raw / "candidates.csv"
    head, *rows = path.read_text().splitlines()
    negatives = [number for number, row in enumerate(rows) if row.endswith(",0")]
    # Not one alone: it may lie in a nodule, and so be none of the candidates anyway.
    del rows[negatives[0] : negatives[len(negatives) // 2]]
    path.write_text("\n".join([head, *rows]) + "\n")
