# SPDX-License-Identifier: Apache-2.0
"""An MLflow that does not answer, or an address of none: one line of each command, no password."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lung_pipeline.cli import main

_FORM = "got another form"


@pytest.mark.parametrize("command", ["doctor --check", "models list"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql+psycopg2://u:secret@127.0.0.1:1/x", "u:***@127.0.0.1:1/x: the server it"),
        ("postgresql+psycopg2://u:secret@127.0.0.1:abc/x", _FORM),
        ("http://127.0.0.1:1", "http://127.0.0.1:1: the server it names must answer"),
        ("http://u:secret@127.0.0.1:abc", _FORM),
        ("http://u:secret@[::1", _FORM),
        ("http://", _FORM),
        ("mysql://u:secret@host/x", "got 'mysql:...'"),
        ("mlruns", _FORM),
    ],
)
def test_what_does_not_answer_is_told_in_one_line_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, address: str, said: str
) -> None:
    line = _only_line(tmp_path, monkeypatch, command, address)
    assert "MLFLOW_TRACKING_URI" in line
    assert said in line
    assert "secret" not in line


@pytest.mark.parametrize("command", ["doctor --check", "models list"])
def test_file_that_is_no_database_is_told_in_one_line_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    file = tmp_path / "mlflow.db"
    file.write_text("no database at all")
    line = _only_line(tmp_path, monkeypatch, command, f"sqlite:///{file}")
    assert f"{file}: MLflow's file must be a SQLite database" in line
    assert file.read_text() == "no database at all"


def _only_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, address: str) -> str:
    """What a command prints before it ends as for bad input, which is not "something is found"."""
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 2, done.output
    (line,) = done.output.splitlines()
    return line
