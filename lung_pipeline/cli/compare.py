# SPDX-License-Identifier: Apache-2.0
"""The command that compares two sets of models, nodule by nodule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lung_pipeline.cli.words import FOLDER
from lung_pipeline.home import Home

if TYPE_CHECKING:
    from lung_pipeline.evaluation.comparison.changed_nodules import ChangedNodule

MOST_PRINTED = 40
"""Nodules of each kind that are printed; all are in the record."""


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--part",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="Of which part the scorecard of an alias is taken.",
)
@click.option("--out", type=FOLDER, help="Where the files go; default: beside the scorecards.")
def compare(a: str, b: str, part: str, out: Path | None) -> None:
    """Compare two scored sets of models: B (what is new) beside A (what there was).

    A and B are champion, challenger or reference, names of scorecards below the home, or folders.
    Both must have been scored on the same patients and tables.
    """
    from lung_pipeline.orchestration.comparing import compare_scorecards
    from lung_pipeline.reporting.scores.comparison_words import headline, lines

    comparison, page = compare_scorecards(Home.from_environment(), a, b, part, out)
    click.echo(f"A  {comparison.a.name}\nB  {comparison.b.name}")
    click.echo(headline(comparison))
    click.echo()
    row = "{:<47} {:>12} {:>12} {:>12}  {:<18} {}"
    click.echo(row.format("", "A", "B", "B less A", "95 % interval", "B is"))
    for line in lines(comparison):
        figures = (line.name, line.a, line.b, line.difference, line.interval, line.meaning)
        click.echo(row.format(*figures))
    _print_nodules("won (B finds, A does not)", comparison.won)
    _print_nodules("lost (A finds, B does not)", comparison.lost)
    click.echo(f"\nwritten to {page.parent}: comparison.json, {page.name}")


def _print_nodules(title: str, nodules: Sequence[ChangedNodule]) -> None:
    from lung_pipeline.reporting.scores.comparison_words import kind, place, score

    click.echo(f"\n{len(nodules)} {title}")
    for one in nodules[:MOST_PRINTED]:
        click.echo(
            f"  {one.candidate_id}  {one.diameter_mm:.1f} mm  {kind(one)}  {place(one)}  "
            f"A {score(one.score_a)}, B {score(one.score_b)}"
        )
    if len(nodules) > MOST_PRINTED:
        click.echo(f"  and {len(nodules) - MOST_PRINTED} more, in comparison.json")
