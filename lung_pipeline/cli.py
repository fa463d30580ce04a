# SPDX-License-Identifier: Apache-2.0
"""The command ``lung-pipeline``: parses, calls one function, prints.

Belongs here: words and exit codes. Does not belong here: work. Exit code 0 is success, 2 is bad
input told in one line; a traceback is a fault of ours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lung_pipeline import __version__, terminal
from lung_pipeline.errors import LungPipelineError
from lung_pipeline.home import Home

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FILE_TO_WRITE = click.Path(dir_okay=False, path_type=Path)
_ANY = click.Path(path_type=Path)


class OneLineErrors(click.Group):
    """Tells what a person can put right in one line, with exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our errors become one line on the error stream."""
        try:
            return super().invoke(ctx)
        except LungPipelineError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)
        except OSError as error:
            # A full disk, a folder that may not be written: a person's to put right too.
            if error.filename is None:
                raise
            click.echo(f"Error: {error.filename}: {error.strerror}", err=True)
            ctx.exit(2)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From chest CTs to lung nodules to a patient-level diagnosis.

    Everything lies below one folder: LUNG_PIPELINE_HOME, else ./data. Research use only.
    """


@main.command()
@click.argument("out", type=_FOLDER)
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


@main.command()
@click.option("--home", type=_FOLDER, default=Path("demo"), show_default=True)
def demo(home: Path) -> None:
    """Run the whole journey on phantoms: the main job, small."""
    from lung_pipeline.orchestration.demo import run_demo

    click.echo(run_demo(Home.at(home), click.echo).in_words())


@main.group()
def subsets() -> None:
    """The LUNA subsets: Dagster's partitions."""


@subsets.command("sync")
def subsets_sync() -> None:
    """Make every subset below raw/ a partition."""
    from lung_pipeline.orchestration.launch import open_instance, sync_subsets

    home = Home.from_environment()
    with open_instance(home) as instance:
        new = sync_subsets(home, instance)
    click.echo(f"new: {', '.join(new) or 'none'}; on disk below {home.raw}: ", nl=False)
    click.echo(", ".join(home.subsets_on_disk()) or "none")


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


@main.group()
def splits() -> None:
    """Which patients are learnt from, chosen by and tested on."""


@splits.command("check")
@click.option("--subset", "named", multiple=True, help="Only this one; may be given several times.")
def splits_check(named: tuple[str, ...]) -> None:
    """Certify the split: models are trained only under the certificate this writes."""
    from lung_pipeline.crops import certify

    home = Home.from_environment()
    certificate = certify.make_certificate(home, named or certify.subsets_with_crops(home))
    certify.write_certificate(home, certificate)
    click.echo(certificate.in_words())
    click.echo(f"written to {home.certificate}")
    certify.refuse_failed(home, certificate)


@main.command()
@click.option("--raw", type=_FOLDER, required=True, help="Where LUNA16's tables are.")
@click.option(
    "--rule",
    default="two-of-readers",
    show_default=True,
    help="two-of-readers, mean, median or majority.",
)
@click.option("--out", type=_FILE_TO_WRITE, required=True, help="The table of labels, a csv.")
@click.option("--xml", type=_ANY, help="LIDC-XML-only.zip or its folder; default: in --raw.")
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


@main.command()
@click.argument("scan", type=_ANY)
@click.option("--out", type=_FOLDER, required=True, help="Where the results go.")
@click.option("--segmentation", help="models:/ address or folder; default: champion, reference.")
@click.option("--nodule", help="The same for the nodule model.")
@click.option("--malignancy", help="The same for the malignancy model.")
def diagnose(scan: Path, out: Path, **models: str | None) -> None:
    """Find nodules in one CT: .mhd, .mha, .nii(.gz), .nrrd or a DICOM folder."""
    from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
    from lung_pipeline.diagnosis.scan import diagnose_scan, write_diagnosis
    from lung_pipeline.reporting.html import write_patient_report
    from lung_pipeline.tracking.models import models_in_use

    instead = {step: address for step, address in models.items() if address}
    with terminal.stepwise() as on_progress:
        on_progress("loading models", 0.0)
        named = models_in_use(Home.from_environment(), instead)
        diagnosis, volume = diagnose_scan(scan, named.models, named.names, on_progress)
        on_progress("writing", 0.0)
        write_diagnosis(diagnosis, out)
        write_patient_report(
            out / "report.html",
            diagnosis=diagnosis,
            volumes={volume.series_uid: (volume.voxels_hu, volume.grid)},
            truth=None,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    nodules = diagnosis.rule.nodules(diagnosis.findings)
    click.echo(f"{diagnosis.verdict}: {len(nodules)} nodules in {len(diagnosis.findings)} findings")
    click.echo(f"rule: {diagnosis.rule.in_words()}")
    for step, model in diagnosis.models.items():
        click.echo(f"{step}: {model}")
    click.echo(f"written to {out}: findings.csv, diagnosis.json, report.html")
    click.echo(RESEARCH_ONLY)


@main.group()
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
@click.option("--segmentation", type=_FILE, required=True, help="The book's U-Net, a .state file.")
@click.option("--nodule", type=_FILE, required=True, help="The book's nodule classifier.")
def models_import_reference(segmentation: Path, nodule: Path) -> None:
    """Register the published weights of "Deep Learning with PyTorch" under the alias reference."""
    from lung_pipeline.tracking.reference import import_reference

    for model in import_reference(Home.from_environment(), segmentation, nodule):
        click.echo(f"{model.uri} is now {model.label}, alias reference")


@main.command()
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), default="primer.png")
def primer(plot: Path) -> None:
    """One neuron learns Fahrenheit from Celsius: the book's first chapter."""
    from lung_pipeline.primer.neuron import learn
    from lung_pipeline.primer.plot import write_plot
    from lung_pipeline.primer.table import as_text

    steps = learn()
    write_plot(steps, plot)
    click.echo(as_text(steps))
    click.echo(f"plot: {plot}")
