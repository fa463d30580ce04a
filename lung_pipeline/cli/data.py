# SPDX-License-Identifier: Apache-2.0
"""Commands on what is learnt from: subsets, the split, the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lung_pipeline.cli.words import ANY, FILE_TO_WRITE, FOLDER
from lung_pipeline.home import Home


@click.group()
def subsets() -> None:
    """The LUNA subsets: Dagster's partitions."""


@subsets.command("sync")
def subsets_sync() -> None:
    """Make every subset below raw/ a partition."""
    from lung_pipeline.ct.subset_names import parted_by_name
    from lung_pipeline.orchestration.launch import open_instance, sync_subsets

    home = Home.from_environment()
    with open_instance(home) as instance:
        new = sync_subsets(home, instance)
    fit, unfit = parted_by_name(home.subsets_on_disk())
    click.echo(f"new: {', '.join(new) or 'none'}; on disk below {home.raw}: ", nl=False)
    click.echo(", ".join(fit) or "none")
    for name in unfit:
        # LUNA16's own masks of the lungs lie in such a folder: no reason to stop.
        click.echo(
            f"left alone: {name!r}; a subset is named by lowercase letters, digits and '_'. "
            "If it is one, rename its folder.",
            err=True,
        )


@subsets.command("list")
def subsets_list() -> None:
    """List the subsets that are partitions."""
    from lung_pipeline.orchestration.launch import open_instance
    from lung_pipeline.orchestration.partitions import known_subsets

    home = Home.from_environment()
    with open_instance(home) as instance:
        known = known_subsets(instance)
    for subset in known:
        click.echo(subset)
    if not known:
        click.echo("no subset yet: lung-pipeline subsets sync", err=True)


@click.group()
def splits() -> None:
    """Which patients are learnt from, chosen by and tested on."""


@splits.command("check")
@click.option("--subset", "named", multiple=True, help="Only this one; may be given several times.")
def splits_check(named: tuple[str, ...]) -> None:
    """Certify the split: models are trained only under the certificate this writes."""
    from lung_pipeline.crops import certify
    from lung_pipeline.locks import data_of, held

    home = Home.from_environment()
    subsets = named or tuple(certify.subsets_with_crops(home))
    with held(home, read=[data_of(subset) for subset in subsets], tell=_told):
        certificate = certify.make_certificate(home, subsets)
    certify.write_certificate(home, certificate)
    click.echo(certificate.in_words())
    click.echo(f"written to {home.certificate}")
    certify.refuse_failed(home, certificate)


def _told(sentence: str) -> None:
    click.echo(sentence, err=True)


@click.command()
@click.option("--raw", type=FOLDER, required=True, help="Where LUNA16's tables are.")
@click.option(
    "--rule",
    default="two-of-readers",
    show_default=True,
    help="two-of-readers, mean, median or majority.",
)
@click.option("--out", type=FILE_TO_WRITE, required=True, help="The table of labels, a csv.")
@click.option("--xml", type=ANY, help="LIDC-XML-only.zip or its folder; default: in --raw.")
@click.option("--threshold", type=float, help="Of mean and median; default 3.")
@click.option("--ties", help="left out, malignant or benign; default left out.")
@click.option("--threes", help="Ratings of 3: counted or ignored.")
def label(raw: Path, rule: str, out: Path, xml: Path | None, **settings: Any) -> None:
    """Label LUNA16's nodules from the readers' own XML, by a rule that has a name."""
    from lung_pipeline.annotations.label import label, refuse_to_replace_source, write_labels
    from lung_pipeline.annotations.rules import rule_named

    refuse_to_replace_source(raw, out)
    labels = label(raw, rule_named(rule, **settings), xml)
    write_labels(labels, out)
    click.echo(labels.in_words())
    click.echo(f"written to {out}")


@click.command()
@click.argument("told", nargs=-1, required=True)
def whose(told: tuple[str, ...]) -> None:
    """Tell what names in Dagster stand for, such as name-0a1b2c3d4e.

    Dagster and MLflow are told no patient's name and no scan's file; only who can read the home
    can find them again.
    """
    from lung_pipeline.orchestration.private_names import names_behind

    for name, behind in names_behind(Home.from_environment(), told).items():
        click.echo(f"{name}: {', '.join(behind) or 'nobody in this home'}")
