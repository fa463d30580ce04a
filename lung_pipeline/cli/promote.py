# SPDX-License-Identifier: Apache-2.0
"""The command that lets the newest models stand against the champions."""

from __future__ import annotations

import click

from lung_pipeline.home import Home


@click.command()
@click.option("--force", is_flag=True, help="Promote whatever the comparison says.")
@click.option("--reason", default="", help="Why it is forced; kept with the models.")
def promote(*, force: bool, reason: str) -> None:
    """Make the newest models champions, as one set, if they are clearly better: job evaluate."""
    from lung_pipeline.evaluation.comparison.promotion import refuse_force_without_reason
    from lung_pipeline.orchestration.launch import open_instance, run_job

    if force:
        refuse_force_without_reason(reason)
    home = Home.from_environment()
    settings = {"champion": {"force": force, "reason": reason}}
    with open_instance(home) as instance:
        run = run_job(home, instance, "evaluate", config=settings)
    (made,) = run.asset_materializations_for_node("champion")
    click.echo(made.metadata["decision"].value)
