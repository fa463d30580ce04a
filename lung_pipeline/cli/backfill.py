# SPDX-License-Identifier: Apache-2.0
"""The command that asks a running Dagster for a backfill and stays until it ended."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from lung_pipeline.home import Home
from lung_pipeline.orchestration.profiles import PROFILES, run_config

if TYPE_CHECKING:
    from lung_pipeline.orchestration.backfill.following import Progress
    from lung_pipeline.orchestration.backfill.webserver import Webserver


@click.command()
@click.option("--subset", "named", multiple=True, help="This one; may be given several times.")
@click.option("--all", "every", is_flag=True, help="Every subset that is registered or on disk.")
@click.option(
    "--assets",
    "wanted",
    default="data",
    show_default=True,
    help="Assets or groups (data, models, patients, evaluation), by commas; or all.",
)
@click.option("--profile", type=click.Choice(list(PROFILES)), help="Settings of the trainings.")
@click.option("--config-json", help="Settings of any asset, as the Launchpad holds them.")
@click.option(
    "--url", default="http://127.0.0.1:3000", show_default=True, help="Dagster's address."
)
@click.option("--no-wait", is_flag=True, help="Start it and leave.")
@click.pass_context
def backfill(
    ctx: click.Context,
    named: tuple[str, ...],
    every: bool,
    wanted: str,
    profile: str | None,
    config_json: str | None,
    url: str,
    no_wait: bool,
) -> None:
    """Make assets of some subsets, through Dagster's web server and daemon, as its UI does.

    A subset below raw/ that is no partition yet becomes one. Exit code 1: something was not made.
    """
    from lung_pipeline.orchestration.backfill.catalog import read_catalog
    from lung_pipeline.orchestration.backfill.launching import (
        launch,
        refuse_without_daemon,
        register,
    )
    from lung_pipeline.orchestration.backfill.webserver import Webserver

    if every == bool(named):
        raise click.UsageError("Give either --subset NAME or --all.")
    config = _config(profile, config_json)
    webserver = Webserver(url)
    catalog = read_catalog(webserver)
    assets = catalog.assets(wanted)
    subsets = catalog.subsets_named(named, _on_disk())
    refuse_without_daemon(webserver)
    for subset in register(webserver, catalog, subsets):
        click.echo(f"new partition: {subset}")
    backfill_id = launch(webserver, assets, subsets, config)
    click.echo(f"{', '.join(assets)} of {', '.join(subsets)}")
    click.echo(f"backfill {backfill_id}: {webserver.page(f'runs/b/{backfill_id}')}")
    if not no_wait:
        ctx.exit(_followed(webserver, backfill_id))


def _followed(webserver: Webserver, backfill_id: str) -> int:
    """Say how it goes until it ended; returns the exit code."""
    from lung_pipeline.orchestration.backfill.following import follow

    click.echo("Ctrl-C leaves it to Dagster.")
    started, said = time.monotonic(), ""
    for progress in follow(webserver, backfill_id):
        if progress.in_words() != said:
            said = progress.in_words()
            click.echo(f"[{time.monotonic() - started:5.0f} s] {said}")
    return _ended(webserver, progress)


def _ended(webserver: Webserver, progress: Progress) -> int:
    if progress.is_well:
        click.echo("done: everything was made")
        return 0
    click.echo(f"not everything was made ({progress.status.lower()}). {progress.error}".strip())
    for run in progress.failed_runs:
        click.echo(f"failed run: {webserver.page(f'runs/{run}')}")
    return 1


def _on_disk() -> list[str]:
    """The subsets below raw/ of this machine's home; names that no subset may have are left out."""
    from lung_pipeline.ct.subset_names import parted_by_name

    return parted_by_name(Home.from_environment().subsets_on_disk())[0]


def _config(profile: str | None, config_json: str | None) -> dict[str, Any] | None:
    """The run config a person asks for."""
    if profile and config_json:
        raise click.UsageError("Give either --profile or --config-json.")
    if profile:
        return run_config(PROFILES[profile])
    try:
        config = json.loads(config_json or "null")
    except ValueError as error:
        raise click.UsageError(f"--config-json must be JSON: {error}") from error
    if config is not None and not isinstance(config, dict):
        raise click.UsageError('--config-json must be an object: {"ops": {...}}')
    return config
