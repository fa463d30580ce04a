# SPDX-License-Identifier: Apache-2.0
"""The command that scores anybody's detections."""

from __future__ import annotations

from pathlib import Path

import click

from lung_pipeline.cli.words import FILE, FOLDER


@click.command()
@click.option("--annotations", type=FILE, required=True, help="The nodules: annotations.csv.")
@click.option("--excluded", type=FILE, help="What counts neither way: annotations_excluded.csv.")
@click.option("--series", type=FILE, required=True, help="All series looked at, one UID a line.")
@click.option("--detections", type=FILE, required=True, help="seriesuid, coordX/Y/Z, probability.")
@click.option("--patients", type=FILE, help="LIDC-IDRI_MetaData.csv; else a series is a patient.")
@click.option("--out", type=FOLDER, required=True, help="Where the results go.")
@click.option("--bootstrap", default=1000, show_default=True, help="Draws; 0: no intervals.")
@click.option("--cap", type=int, help="The most detections a scan that count; default: all.")
def froc(
    annotations: Path,
    excluded: Path | None,
    series: Path,
    detections: Path,
    patients: Path | None,
    out: Path,
    bootstrap: int,
    cap: int | None,
) -> None:
    """Score detections by LUNA16's protocol, with intervals."""
    from lung_pipeline.evaluation.detection.detections import (
        read_patient_of_series,
        read_scored_tables,
    )
    from lung_pipeline.evaluation.detection.froc_scoring import score_detections
    from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
    from lung_pipeline.reporting.scores.froc_files import write_froc
    from lung_pipeline.reporting.scores.froc_words import figures_in_words, warnings_in_words

    tables = read_scored_tables(
        annotations=annotations, series=series, detections=detections, excluded=excluded, cap=cap
    )
    of_series = None if patients is None else read_patient_of_series(patients, tables.series_uids)
    scored = score_detections(tables, of_series, num_resamples=bootstrap)
    files = {
        "annotations": annotations,
        "excluded": excluded,
        "series": series,
        "detections": detections,
        "patients": patients,
    }
    inputs = {name: path for name, path in files.items() if path is not None}
    settings = {"bootstrap": bootstrap, "cap": cap, "seed": RESAMPLING_SEED}
    write_froc(scored, out, inputs=inputs, settings=settings)
    for warning in warnings_in_words(scored):
        click.echo(f"Warning: {warning}", err=True)
    click.echo(figures_in_words(scored.figures))
    click.echo(f"written to {out}: froc.json, froc.csv, froc.png, nodules.csv")
