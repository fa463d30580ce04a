# SPDX-License-Identifier: Apache-2.0
"""Commands on the disk that a home takes."""

from __future__ import annotations

import click

from lung_pipeline.home import Home


@click.group()
def home() -> None:
    """The disk: what takes it, and what may go."""


@home.command("usage")
def home_usage() -> None:
    """Print files and bytes by stage, and bytes a scan."""
    from lung_pipeline.housekeeping.usage import usage_of

    opened = Home.from_environment()
    usage = usage_of(opened)
    click.echo(f"{opened.root}")
    click.echo(f"{'stage':<14}{'files':>9}{'size':>12}{'a scan':>12}{'of scans':>10}")
    for stage in usage.stages:
        each = "" if stage.bytes_per_scan is None else _size(stage.bytes_per_scan)
        scans = "" if stage.num_scans is None else str(stage.num_scans)
        size = _size(stage.num_bytes)
        click.echo(f"{stage.stage:<14}{stage.num_files:>9}{size:>12}{each:>12}{scans:>10}")
    click.echo(f"{'together':<14}{usage.num_files:>9}{_size(usage.num_bytes):>12}")
    if usage.free_bytes is not None:
        click.echo(f"{'free':<14}{'':>9}{_size(usage.free_bytes):>12}")


@home.command("prune")
@click.option("--check", is_flag=True, help="Only tell.")
@click.option(
    "--unchanged-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="What was written since stays.",
)
def home_prune(check: bool, unchanged_hours: float) -> None:
    """Remove what no current artefact needs; each is told with its size."""
    from lung_pipeline.housekeeping.prune import prune

    opened, num_bytes = Home.from_environment(), 0
    told = prune(
        opened,
        is_to_remove=not check,
        unchanged_s=3600 * unchanged_hours,
        tell=lambda sentence: click.echo(sentence, err=True),
    )
    for one in told:
        num_bytes += one.num_bytes
        click.echo(f"{_size(one.num_bytes):>10}  {one.name}: {one.why}")
    done = "may go" if check else "removed"
    click.echo(f"{done}: {_size(num_bytes)}" if num_bytes else "Nothing to remove.")


def _size(num_bytes: float) -> str:
    """Decimal units, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.2f} TB"
