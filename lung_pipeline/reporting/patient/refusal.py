# SPDX-License-Identifier: Apache-2.0
"""What is written of a scan that is refused: ``refusal.json`` instead of a diagnosis.

Belongs here: the words of the refusal as a file that a program can read. Does not belong here:
refusing, and what else stands in the folder: who writes results clears the former ones first
(``serving.one_scan``), so that a refusal and a diagnosis never stand side by side.
"""

from __future__ import annotations

import json
from pathlib import Path

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY
from lung_pipeline.errors import LungPipelineError
from lung_pipeline.writing import written_whole

REFUSAL_JSON = "refusal.json"
"""The file's name."""


def write_refusal(folder: Path, error: LungPipelineError, scan: Path) -> Path:
    """Write why a scan was refused, whole or not at all; a former refusal is replaced.

    Args:
        folder: where it goes; made where it is absent.
        error: what was raised.
        scan: what was handed in; only its name is written, which for a hospital's folders may still
            be a patient's.

    Returns:
        The file: ``verdict`` ("refused"), ``scan``, ``kind`` (the error's class), ``value``,
        ``place``, ``rule``, ``cure``, all of them in one line as ``message``, and ``notice``.
    """
    record = {
        "verdict": "refused",
        "scan": scan.name,
        "kind": type(error).__name__,
        "value": str(error.value),
        "place": error.place,
        "rule": error.rule,
        "cure": error.cure,
        "message": str(error),
        "notice": RESEARCH_ONLY,
    }
    with written_whole(folder / REFUSAL_JSON) as temporary:
        # Escapes for all but ASCII: a name on disk need not be text in UTF-8.
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="ascii")
    return folder / REFUSAL_JSON
