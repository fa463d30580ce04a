# SPDX-License-Identifier: Apache-2.0
"""One scan that stands in no subset: looked through, judged, and the two files that tell of it.

Belongs here: looking and judging, in this order, of a volume that passed the gate. Does not belong
here: reading and the gate (``ct``), which models, and how it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.findings import findings_table
from lung_pipeline.diagnosis.patient import Diagnosis, diagnosis_of
from lung_pipeline.diagnosis.pipeline import examine
from lung_pipeline.diagnosis.verdict.operating_point import Judging
from lung_pipeline.diagnosis.verdict.readers import readers_of_scan
from lung_pipeline.diagnosis.verdict.rules import DEFAULT_RULE
from lung_pipeline.home import written_whole

if TYPE_CHECKING:
    from lung_pipeline.ct.lungs import Lungs
    from lung_pipeline.ct.quality import Caution
    from lung_pipeline.diagnosis.examined import Examined
    from lung_pipeline.diagnosis.models import NamedModels

FINDINGS_CSV, DIAGNOSIS_JSON = "findings.csv", "diagnosis.json"
"""What is written."""


def diagnose_volume(
    volume: CtVolume,
    lungs: Lungs | None,
    cautions: Sequence[Caution],
    named: NamedModels,
    *,
    rule_name: str = DEFAULT_RULE,
    judging: Judging | None = None,
    readers: Path | None = None,
    keeps_probabilities: bool = False,
    is_mirrored: bool = False,
    on_progress: Callable[[str, float], None] = lambda step, share: None,
) -> tuple[Diagnosis, Examined]:
    """Look through a volume and judge it; returns the diagnosis and what it rests on.

    Args:
        volume: the scan; the patient is called by its series, the only name that is known.
        lungs: where to look; None: everywhere.
        cautions: what the gate said of the scan.
        named: the models, with what was frozen for them.
        rule_name: whose verdict is the patient's; both rules' stand in the diagnosis.
        judging: thresholds of a person's own; names its rule itself.
        readers: LIDC's XML of the scan, or a folder or archive that holds it; None: not at hand.
        keeps_probabilities: whether the segmentation's probabilities are wanted.
        is_mirrored: whether the models see everything left for right as well.
        on_progress: told the step at work and the share of it that is done, 0 to 1.

    Raises:
        SettingError: no such rule, or a threshold that is no probability.
        AnnotationError: readers' XML that cannot be read, or is not about this series.
        ModelError: a network gave what is no probability.
    """
    asked = judging or Judging(rule_name)
    # Before the minutes of work: a mistyped name costs nothing then.
    marked = None if readers is None else readers_of_scan(readers, volume.series_uid)
    examined = examine(
        volume.voxels_hu,
        volume.grid,
        volume.original_grid,
        volume.series_uid,
        named.models,
        lungs=lungs,
        on_progress=on_progress,
        keeps_probabilities=keeps_probabilities,
        is_mirrored=is_mirrored,
    )
    diagnosis = diagnosis_of(
        volume.series_uid,
        examined.findings,
        inputs_sha256={volume.series_uid: volume.source_sha256},
        models=named.names,
        frozen=named.frozen,
        judging=asked,
        readers=marked,
        cautions=[caution.in_words() for caution in cautions],
        seconds=examined.seconds,
    )
    return replace(diagnosis, is_mirrored=is_mirrored), examined


def write_diagnosis(diagnosis: Diagnosis, folder: Path) -> None:
    """Write ``findings.csv`` and ``diagnosis.json``, each whole or not at all."""
    with written_whole(folder / FINDINGS_CSV) as temporary:
        findings_table(diagnosis.findings).to_csv(temporary, index=False, float_format="%.4f")
    with written_whole(folder / DIAGNOSIS_JSON) as temporary:
        temporary.write_text(json.dumps(diagnosis.as_json(), indent=2) + "\n")
