# SPDX-License-Identifier: Apache-2.0
"""Commands on the registered models."""

from __future__ import annotations

from pathlib import Path

import click

from lung_pipeline.cli.words import FILE
from lung_pipeline.home import Home


@click.group()
def models() -> None:
    """The registered models."""


@models.command("list")
def models_list() -> None:
    """List all versions with their aliases."""
    from lung_pipeline.tracking.registry import versions

    found = versions(Home.from_environment())
    for model in found:
        click.echo(f"{model.uri:<32} {model.weights_sha256[:12]}  {', '.join(model.aliases)}")
    if not found:
        click.echo("no model yet: train, or `lung-pipeline models import-reference`", err=True)


@models.command("import-reference")
@click.option("--segmentation", type=FILE, required=True, help="The book's U-Net, a .state file.")
@click.option("--nodule", type=FILE, required=True, help="The book's nodule classifier.")
def models_import_reference(segmentation: Path, nodule: Path) -> None:
    """Register the published weights of "Deep Learning with PyTorch" under the alias reference."""
    from lung_pipeline.tracking.reference import import_reference

    for model in import_reference(Home.from_environment(), segmentation, nodule):
        click.echo(f"{model.uri} is now {model.label}, alias reference")
