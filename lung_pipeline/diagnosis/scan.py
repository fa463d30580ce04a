# SPDX-License-Identifier: Apache-2.0
"""One file in, one diagnosis out: a scan that stands in no subset, judged where it lies.

Belongs here: reading, finding, judging, and the two files that tell of it. Does not belong here:
which models, and how it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.findings import findings_table
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.diagnosis.pipeline import find_nodules
from lung_pipeline.home import written_whole

FINDINGS_CSV, DIAGNOSIS_JSON = "findings.csv", "diagnosis.json"
"""What is written."""


def diagnose_scan(
    scan: Path,
    models: Models,
    named: Mapping[str, str],
    on_progress: Callable[[str, float], None] = lambda step, share: None,
) -> tuple[Diagnosis, CtVolume]:
    """Read a scan and judge it; returns the diagnosis and the volume it was made from.

    Raises:
        LungPipelineError: the scan cannot be read whole, or is no CT.
    """
    on_progress("reading", 0.0)
    volume = read_ct(scan)
    findings = find_nodules(
        volume.voxels_hu, volume.grid, volume.original_grid, volume.series_uid, models, on_progress
    )
    rule = Rule()
    diagnosis = Diagnosis(
        patient_id=volume.series_uid,
        series_uids=(volume.series_uid,),
        verdict=rule.verdict(findings),
        rule=rule,
        findings=tuple(findings),
        models=dict(named),
        inputs_sha256={volume.series_uid: volume.source_sha256},
    )
    return diagnosis, volume


def write_diagnosis(diagnosis: Diagnosis, folder: Path) -> None:
    """Write ``findings.csv`` and ``diagnosis.json``, each whole or not at all."""
    with written_whole(folder / FINDINGS_CSV) as temporary:
        findings_table(diagnosis.findings).to_csv(temporary, index=False, float_format="%.4f")
    with written_whole(folder / DIAGNOSIS_JSON) as temporary:
        temporary.write_text(json.dumps(diagnosis.as_json(), indent=2) + "\n")
