# SPDX-License-Identifier: Apache-2.0
"""One run a training: it ends FINISHED or FAILED, with its numbers and files below the home."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lung_pipeline.home import Home
from lung_pipeline.tracking.runs import Run, run
from lung_pipeline.tracking.server import connect, experiment_id, tracking_uri

EXPERIMENT = "lung-nodule"


def _finished(home: Home, name: str = "plain") -> Run:
    with run(home, EXPERIMENT, name) as opened:
        pass
    return opened


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_run_that_ends_well_is_finished_and_keeps_what_it_was_given(mlflow_home: Home) -> None:
    parameters = {"seed": 7, "subsets": ["subset0", "subset1"]}
    tags = {"git.commit": "abc", "dagster.asset": "nodule_model"}
    with run(mlflow_home, EXPERIMENT, "first", parameters=parameters, tags=tags) as opened:
        during = opened.client.get_run(opened.run_id)
    after = opened.client.get_run(opened.run_id)
    assert (during.info.status, after.info.status) == ("RUNNING", "FINISHED")
    assert after.info.run_name == "first"
    assert after.data.params == {"seed": "7", "subsets": "['subset0', 'subset1']"}
    assert tags.items() <= after.data.tags.items()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_run_whose_block_raises_is_failed_and_the_error_goes_on(
    mlflow_home: Home, error: type[BaseException]
) -> None:
    opened: list[Run] = []

    def train() -> None:
        with run(mlflow_home, EXPERIMENT, "doomed") as doomed:
            opened.append(doomed)
            doomed.log_metrics({"train/loss": 2.0}, step=1)
            raise error

    with pytest.raises(error):
        train()
    kept = opened[0].client.get_run(opened[0].run_id)
    assert kept.info.status == "FAILED"
    assert kept.data.metrics == {"train/loss": 2.0}


def test_run_whose_parameters_are_refused_is_failed(mlflow_home: Home) -> None:
    client = connect(mlflow_home)
    with (
        pytest.raises(Exception, match="Invalid"),
        run(mlflow_home, EXPERIMENT, "refused", parameters={"no*star": 1}),
    ):
        pass
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert [r.info.status for r in client.search_runs([experiment.experiment_id])] == ["FAILED"]


def test_metrics_are_kept_for_each_step(mlflow_home: Home) -> None:
    with run(mlflow_home, EXPERIMENT, "steps") as opened:
        for step, loss in enumerate([0.5, 0.25, float("nan")], start=1):
            opened.log_metrics({"train/loss": loss, "seconds": 1}, step=step)
        opened.log_metrics({"detection/cpm": 0.75})
    history = opened.client.get_metric_history(opened.run_id, "train/loss")
    assert [entry.step for entry in history] == [1, 2, 3]
    assert [entry.value for entry in history[:2]] == [0.5, 0.25]
    assert math.isnan(history[2].value)
    assert opened.client.get_run(opened.run_id).data.metrics["detection/cpm"] == 0.75


def test_files_and_folders_lie_below_the_home_and_not_in_the_current_folder(
    mlflow_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "made" / "deep").mkdir(parents=True)
    (tmp_path / "made" / "deep" / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with run(mlflow_home, EXPERIMENT, "files") as opened:
        opened.log_folder(tmp_path / "made", "scorecard")
        opened.log_file(tmp_path / "b.txt")
        opened.log_file(tmp_path / "b.txt", "curves")
    kept = mlflow_home.mlflow_artifacts / EXPERIMENT / opened.run_id / "artifacts"
    files = {p.relative_to(kept).as_posix(): p.read_text() for p in kept.rglob("*") if p.is_file()}
    assert files == {"scorecard/deep/a.txt": "a", "b.txt": "b", "curves/b.txt": "b"}
    assert _names_in(elsewhere) == []


def test_experiment_is_made_once(mlflow_home: Home) -> None:
    first, second = _finished(mlflow_home), _finished(mlflow_home)
    client = connect(mlflow_home)
    assert experiment_id(client, mlflow_home, EXPERIMENT) == (
        client.get_run(first.run_id).info.experiment_id
    )
    assert client.get_run(second.run_id).info.experiment_id == (
        client.get_run(first.run_id).info.experiment_id
    )


def test_address_is_the_file_below_the_home_unless_the_environment_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.at(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(home) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert tracking_uri(home) == "http://tracker:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert tracking_uri(home) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


def test_file_that_the_environment_names_is_used_and_the_home_keeps_the_artifacts(
    mlflow_home: Home, another_mlflow_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{another_mlflow_home.mlflow_database}")
    kept = _finished(mlflow_home)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert connect(another_mlflow_home).get_run(kept.run_id).info.status == "FINISHED"
    assert connect(mlflow_home).get_experiment_by_name(EXPERIMENT) is None
    assert kept.artifact_uri.startswith(mlflow_home.mlflow_artifacts.as_uri())


FIRST_TOUCH = """
import multiprocessing, os, sys
import filelock, mlflow
from lung_pipeline.home import Home
from lung_pipeline.tracking.runs import run

def touch(barrier, home, environment):
    os.environ.update(environment)
    barrier.wait()
    with run(Home.at(home), "lung-nodule", "racing") as opened:
        opened.log_metrics({"a": 1.0})

# MLflow is imported once, then the process is doubled: both are at the start at the same time.
forking = multiprocessing.get_context("fork")
barrier = forking.Barrier(2)
shared = {"MLFLOW_TRACKING_URI": f"sqlite:///{Home.at('home0').mlflow_database}"}
given = [("home0", {}), ("home1", shared)]
racers = [forking.Process(target=touch, args=(barrier, *each)) for each in given]
for racer in racers:
    racer.start()
for racer in racers:
    racer.join()
sys.exit(any(racer.exitcode for racer in racers))
"""


def test_two_processes_that_first_touch_one_database_together_both_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # The second has another home and is pointed to the database of the first.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_TOUCH],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**clean, "MLFLOW_DISABLE_TELEMETRY": "true"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    client = connect(Home.at(tmp_path / "home0"))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert [(r.info.status, r.data.metrics) for r in runs] == [("FINISHED", {"a": 1.0})] * 2
    assert _names_in(tmp_path) == ["home0", "home1"]


def test_naming_a_model_imports_no_mlflow() -> None:
    code = (
        "import sys, os; import lung_pipeline.tracking.names as names;"
        "assert names.model_uri('nodule', 'champion') == 'models:/lung-nodule@champion';"
        "import lung_pipeline.tracking.registry, lung_pipeline.tracking.runs;"
        "print([name for name in ('mlflow', 'torch', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_telemetry_is_off(mlflow_home: Home) -> None:
    connect(mlflow_home)
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()


def test_interrupted_run_goes_on_as_the_same_run(mlflow_home: Home) -> None:
    opened: list[Run] = []

    def train() -> None:
        with run(mlflow_home, EXPERIMENT, "first", parameters={"seed": 1}) as doomed:
            opened.append(doomed)
            doomed.log_metrics({"train/loss": 2.0}, step=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    (begun,) = opened
    again = {"parameters": {"seed": 1}, "tags": {"dagster.run_id": "second"}}
    with run(mlflow_home, EXPERIMENT, "other name", **again, run_id=begun.run_id) as resumed:
        assert resumed.run_id == begun.run_id
        assert resumed.client.get_run(resumed.run_id).info.status == "RUNNING"
        assert resumed.logged_steps("train/loss") == {1}
        resumed.log_metrics({"train/loss": 1.0}, step=2)
    kept = resumed.client.get_run(resumed.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.tags["dagster.run_id"] == "second"
    assert resumed.logged_steps("train/loss") == {1, 2}
    assert resumed.logged_steps("never/logged") == set()


def test_run_that_is_gone_is_begun_anew(mlflow_home: Home) -> None:
    deleted = _finished(mlflow_home)
    deleted.client.delete_run(deleted.run_id)
    for gone in (deleted.run_id, "0" * 32):
        with run(mlflow_home, EXPERIMENT, "anew", run_id=gone) as opened:
            assert opened.run_id != gone


@pytest.mark.slow
def test_process_killed_while_it_makes_the_database_leaves_none_that_is_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home.at(tmp_path)
    code = (
        "import os, sys; import mlflow.store.db.utils as of_mlflow\n"
        "from lung_pipeline.home import Home; from lung_pipeline.tracking.server import connect\n"
        "of_mlflow._upgrade_db = lambda engine: os._exit(9)\n"
        "connect(Home.at(sys.argv[1]))"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert died.returncode == 9
    assert not home.mlflow_database.exists()
    assert _names_in(home.mlflow_database.parent) != ["artifacts", "mlflow.lock"]
    assert connect(home).search_experiments()
    assert _names_in(home.mlflow_database.parent) == ["artifacts", "mlflow.db", "mlflow.lock"]
