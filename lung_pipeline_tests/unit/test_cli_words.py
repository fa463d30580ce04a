# SPDX-License-Identifier: Apache-2.0
"""The command: exit codes and the one plain line on bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lung_pipeline.cli import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return CliRunner()


def test_without_a_command_the_help_names_all_of_them(run: CliRunner) -> None:
    text = run.invoke(main, ["--help"]).output
    for command in (
        "backfill",
        "phantom",
        "demo",
        "subsets",
        "splits",
        "label",
        "diagnose",
        "froc",
        "models",
        "primer",
        "serve",
    ):
        assert command in text


def test_a_command_that_does_not_exist_is_exit_code_2(run: CliRunner) -> None:
    assert run.invoke(main, ["fly"]).exit_code == 2


def test_the_primer_prints_the_published_table_and_writes_its_plot(
    run: CliRunner, tmp_path: Path
) -> None:
    plot = tmp_path / "primer.png"
    done = run.invoke(main, ["primer", "--plot", str(plot)])
    assert done.exit_code == 0
    for figure in (
        "4480",
        "227.982250",
        "1.980511",
        "13.953147",
        "0.009562",
        "31.883127",
        "121.94",
    ):
        assert figure in done.output
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_bad_home_is_one_line_and_exit_code_2(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUNG_PIPELINE_HOME", "gs://bucket/prefix")
    done = run.invoke(main, ["models", "list"])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "LUNG_PIPELINE_HOME: the home must be a local folder or s3://BUCKET" in done.stderr


def test_too_few_phantoms_are_refused(run: CliRunner, tmp_path: Path) -> None:
    done = run.invoke(main, ["phantom", str(tmp_path / "out"), "--subsets", "0"])
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")


def test_subsets_on_disk_become_partitions_once(run: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "home" / "raw" / "subset0").mkdir(parents=True)
    (tmp_path / "home" / "raw" / "subset0" / "scan.mhd").write_text("")
    assert "new: subset0" in run.invoke(main, ["subsets", "sync"]).output
    assert "new: none" in run.invoke(main, ["subsets", "sync"]).output
    assert run.invoke(main, ["subsets", "list"]).output.strip() == "subset0"


def test_a_folder_that_is_no_subset_by_its_name_is_told_and_stops_nothing(
    run: CliRunner, tmp_path: Path
) -> None:
    for name in ("subset0", "seg-lungs-LUNA16"):
        (tmp_path / "home" / "raw" / name).mkdir(parents=True)
        (tmp_path / "home" / "raw" / name / "scan.mhd").write_text("")
    done = run.invoke(main, ["subsets", "sync"])
    assert done.exit_code == 0
    assert "new: subset0" in done.stdout
    assert "left alone: 'seg-lungs-LUNA16'" in done.stderr
    assert run.invoke(main, ["subsets", "list"]).output.strip() == "subset0"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Give either --subset NAME or --all"),
        (["--all", "--subset", "subset0"], "Give either --subset NAME or --all"),
        (["--all", "--profile", "tiny"], "'demo', 'laptop', 'gpu'"),
        (["--all", "--profile", "demo", "--config-json", "{}"], "either --profile or"),
        (["--all", "--config-json", "{"], "must be JSON"),
        (["--all", "--config-json", "[]"], "must be an object"),
        (["--all", "--url", "file:///etc/passwd"], "http:// or https://"),
    ],
)
def test_a_backfill_that_makes_no_sense_is_exit_code_2(
    run: CliRunner, arguments: list[str], told: str
) -> None:
    done = run.invoke(main, ["backfill", *arguments])
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr
