# SPDX-License-Identifier: Apache-2.0
"""The command that diagnoses one scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lung_pipeline import terminal
from lung_pipeline.cli.words import ANY, FOLDER
from lung_pipeline.home import Home

if TYPE_CHECKING:
    from lung_pipeline.diagnosis.patient import Diagnosis


@click.command()
@click.argument("scan", type=ANY)
@click.option("--out", type=FOLDER, required=True, help="Where the results go.")
@click.option("--rule", help="any-malignant-nodule (default) or noisy-or.")
@click.option("--nodule-threshold", type=float, help="Default: as frozen with the models, or 0.5.")
@click.option("--malignancy-threshold", type=float, help="The same for malignancy.")
@click.option("--readers", type=ANY, help="LIDC's XML of this scan: their verdict stands beside.")
@click.option("--dicom", "has_dicom", is_flag=True, help="Write a DICOM SEG and SR too.")
@click.option(
    "--deidentify",
    "is_deidentified",
    is_flag=True,
    help="With --dicom: leave patient, study and device out of the DICOM files. report.html, "
    "diagnosis.json and the other results keep the name of the series.",
)
@click.option("--ome-zarr", "has_ome_zarr", is_flag=True, help="Write scan.ome.zarr too.")
@click.option("--force", "is_forced", is_flag=True, help="Judge slices thicker than 5 mm too.")
@click.option("--mirrored", "is_mirrored", is_flag=True, help="Look left for right too: slower.")
@click.option("--segmentation", help="models:/ address or folder; default: champion, reference.")
@click.option("--nodule", help="The same for the nodule model.")
@click.option("--malignancy", help="The same for the malignancy model.")
def diagnose(
    scan: Path,
    out: Path,
    rule: str | None,
    nodule_threshold: float | None,
    malignancy_threshold: float | None,
    readers: Path | None,
    has_dicom: bool,
    is_deidentified: bool,
    has_ome_zarr: bool,
    is_forced: bool,
    is_mirrored: bool,
    **models: str | None,
) -> None:
    """Find nodules in one CT: .mhd, .mha, .nii(.gz), .nrrd, a DICOM folder or a .zip of one.

    A scan that cannot be judged is refused with exit code 2, and refusal.json says why.
    """
    if is_deidentified and not has_dicom:
        raise click.UsageError(
            "--deidentify goes with --dicom: it is about the DICOM files alone. report.html and "
            "diagnosis.json keep the name of the series."
        )
    from lung_pipeline.diagnosis.verdict.rules import DEFAULT_RULE
    from lung_pipeline.serving.one_scan import diagnose_into
    from lung_pipeline.serving.wanted import Wanted

    wanted = Wanted(
        rule_name=rule or DEFAULT_RULE,
        nodule_threshold=nodule_threshold,
        malignancy_threshold=malignancy_threshold,
        has_dicom=has_dicom,
        is_deidentified=is_deidentified,
        has_ome_zarr=has_ome_zarr,
        is_forced=is_forced,
        is_mirrored=is_mirrored,
        readers=readers,
        models_instead={step: address for step, address in models.items() if address},
    )
    with terminal.stepwise() as on_progress:
        diagnosis = diagnose_into(scan, out, Home.from_environment(), wanted, on_progress)
    _print(diagnosis, out)


def _print(diagnosis: Diagnosis, out: Path) -> None:
    from lung_pipeline.diagnosis.memory import peak_bytes
    from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
    from lung_pipeline.serving.results import written

    for caution in diagnosis.cautions:
        click.echo(f"Warning: {caution}", err=True)
    nodules = diagnosis.rule.nodules(diagnosis.findings)
    click.echo(f"{diagnosis.verdict}: {len(nodules)} nodules in {len(diagnosis.findings)} findings")
    click.echo(f"rule: {diagnosis.rule.in_words()}")
    for other in diagnosis.verdicts[1:]:
        click.echo(f"by {other.rule.name}: {other.verdict}")
    if diagnosis.readers is not None:
        click.echo(f"by the readers: {diagnosis.readers.verdict}")
    for step, model in diagnosis.models.items():
        click.echo(f"{step}: {model}")
    times = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in diagnosis.seconds.items())
    click.echo(f"times: {times}")
    click.echo(f"peak memory: {peak_bytes() / 1e9:.2f} GB")
    click.echo(f"written to {out}: {', '.join(written(out))}")
    click.echo(RESEARCH_ONLY)
