# SPDX-License-Identifier: Apache-2.0
"""The command that opens a web page for one scan at a time."""

from __future__ import annotations

import logging

import click

from lung_pipeline.home import Home


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8421,
    show_default=True,
    help="0: any that is free.",
)
@click.option("--open-to-others", "is_open", is_flag=True, help="Allow a host others can reach.")
@click.option("--name", "names", multiple=True, help="A further name of this machine.")
@click.option("--max-upload-mb", default=2000, show_default=True, help="The largest scan.")
@click.option("--keep-minutes", default=60, show_default=True, help="How long results are kept.")
def serve(
    host: str,
    port: int,
    is_open: bool,
    names: tuple[str, ...],
    max_upload_mb: int,
    keep_minutes: int,
) -> None:
    """Open a page on this machine: drop a scan, see progress, read the report."""
    from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
    from lung_pipeline.serving.job import Limits
    from lung_pipeline.serving.server import serve as serve_page

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("lung_pipeline.serving").setLevel(logging.INFO)
    if is_open:
        click.echo(
            f"Warning: on {host} whoever reaches this machine may send scans, unencrypted and "
            "without a password.",
            err=True,
        )
    click.echo(RESEARCH_ONLY)
    limits = Limits(upload_bytes=max_upload_mb * 1_000_000, keep_s=keep_minutes * 60.0)
    serve_page(
        Home.from_environment(),
        host,
        port,
        limits,
        names=names,
        is_open=is_open,
        tell=lambda address: click.echo(f"open {address}   (Ctrl-C ends it and removes all scans)"),
    )
