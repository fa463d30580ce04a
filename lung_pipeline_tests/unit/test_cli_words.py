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
    monkeypatch.setenv("LUNG_PIPELINE_HOME", "s3://bucket/prefix")
    done = run.invoke(main, ["models", "list"])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "LUNG_PIPELINE_HOME: the home must be a local folder, got s3://bucket" in done.stderr


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
