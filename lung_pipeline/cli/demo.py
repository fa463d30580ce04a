# SPDX-License-Identifier: Apache-2.0
"""Commands that need no data: phantoms, the journey on them, and the book's first chapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lung_pipeline import terminal
from lung_pipeline.cli.words import FILE_TO_WRITE, FOLDER
from lung_pipeline.home import Home


@click.command()
@click.argument("out", type=FOLDER)
@click.option("--subsets", default=3, show_default=True, help="How many subsets.")
@click.option("--scans", default=8, show_default=True, help="Scans in each.")
@click.option("--size", type=click.Choice(["small", "full"]), default="small", show_default=True)
@click.option("--seed", default=0, show_default=True, help="The same seed makes the same bytes.")
def phantom(out: Path, subsets: int, scans: int, size: Any, seed: int) -> None:
    """Write a synthetic LUNA16 folder whose truth is known."""
    from lung_pipeline.phantom.folder import write_luna_folder

    with terminal.counted(subsets * scans, "scans") as step:
        made = write_luna_folder(
            out, num_subsets=subsets, scans_per_subset=scans, size=size, seed=seed, on_scan=step
        )
    click.echo(
        f"{made.scans} scans of {made.patients} patients with {made.nodules} nodules "
        f"({made.malignant_nodules} malignant) and {made.candidates} candidates in {out}"
    )


@click.command()
@click.option("--home", type=FOLDER, default=Path("demo"), show_default=True)
def demo(home: Path) -> None:
    """Run the whole journey on phantoms: the main job, small."""
    from lung_pipeline.orchestration.demo import run_demo

    click.echo(run_demo(Home.at(home), click.echo).in_words())


@click.command()
@click.option("--plot", type=FILE_TO_WRITE, default="primer.png")
def primer(plot: Path) -> None:
    """One neuron learns Fahrenheit from Celsius: the book's first chapter."""
    from lung_pipeline.primer.neuron import learn
    from lung_pipeline.primer.plot import write_plot
    from lung_pipeline.primer.table import as_text

    steps = learn()
    write_plot(steps, plot)
    click.echo(as_text(steps))
    click.echo(f"plot: {plot}")
