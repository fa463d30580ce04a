# SPDX-License-Identifier: Apache-2.0
"""The command that diagnoses one scan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from lung_pipeline import terminal
from lung_pipeline.cli.words import ANY, FOLDER
from lung_pipeline.home import Home


@click.command()
@click.argument("scan", type=ANY)
@click.option("--out", type=FOLDER, required=True, help="Where the results go.")
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
