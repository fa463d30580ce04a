# SPDX-License-Identifier: Apache-2.0
"""A diagnosis as files: ``diagnosis.json``, and its findings as a table that any program opens.

Belongs here: their names and how they are written; without torch, for whoever only names them.
"""

from __future__ import annotations

import json
from pathlib import Path

from lung_pipeline.annotations.csv_formulas import without_formulas
from lung_pipeline.diagnosis.findings import findings_table
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.writing import written_whole

FINDINGS_CSV, DIAGNOSIS_JSON = "findings.csv", "diagnosis.json"
"""What is written."""


def write_diagnosis(diagnosis: Diagnosis, folder: Path) -> None:
    """Write ``findings.csv`` and ``diagnosis.json``, each whole or not at all."""
    with written_whole(folder / FINDINGS_CSV) as temporary:
        table = without_formulas(findings_table(diagnosis.findings))
        table.to_csv(temporary, index=False, float_format="%.4f")
    with written_whole(folder / DIAGNOSIS_JSON) as temporary:
        temporary.write_text(json.dumps(diagnosis.as_json(), indent=2) + "\n")
