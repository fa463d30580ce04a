# SPDX-License-Identifier: Apache-2.0
"""The command that finds and cures what a kill, a full disk or an upgrade left over."""

from __future__ import annotations

import click

from lung_pipeline.home import Home

_QUIET_S = 30.0
"""As ``processes_of_runs.QUIET_S``, which is not imported for a page of help."""


@click.command()
@click.option("--check", is_flag=True, help="Only tell; exit code 1 where something is found.")
@click.option("--run", "given_up", default="", help="A run of another machine known to be dead.")
@click.option(
    "--quiet-seconds",
    type=click.FloatRange(min=0),
    default=_QUIET_S,
    show_default=True,
    help="How long a run without a process must have logged nothing.",
)
@click.pass_context
def doctor(ctx: click.Context, check: bool, given_up: str, quiet_seconds: float) -> None:
    """Find and cure what is left over of killed runs: in Dagster, in MLflow, and on disk."""
    from lung_pipeline.orchestration.doctor.examination import examine

    home = Home.from_environment()
    found = 0
    for one in examine(home, is_to_cure=not check, quiet_s=quiet_seconds, given_up=given_up):
        found += 1
        click.echo(one.ailment.in_words + (" (done)" if one.is_cured else ""))
    if not found:
        click.echo(f"Healthy: nothing is left over in {home.root} and its databases.")
    if check and found:
        ctx.exit(1)
