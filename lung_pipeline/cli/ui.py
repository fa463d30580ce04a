# SPDX-License-Identifier: Apache-2.0
"""The command that opens Dagster and MLflow for a home."""

from __future__ import annotations

from pathlib import Path

import click

from lung_pipeline.cli.words import FOLDER
from lung_pipeline.home import Home

_PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--home", "root", type=FOLDER, help="Instead of LUNG_PIPELINE_HOME.")
@click.option("--dagster-port", type=_PORT, default=3000, show_default=True)
@click.option("--mlflow-port", type=_PORT, default=5000, show_default=True)
def ui(root: Path | None, dagster_port: int, mlflow_port: int) -> None:
    """Open Dagster's and MLflow's pages on this machine: what `make ui` runs."""
    from lung_pipeline.orchestration.servers import serve_pages

    home = Home.at(root) if root else Home.from_environment()
    serve_pages(home, dagster_port, mlflow_port, click.echo)
