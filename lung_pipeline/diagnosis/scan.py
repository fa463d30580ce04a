# SPDX-License-Identifier: Apache-2.0
"""One scan that stands in no subset: looked through and judged.

Belongs here: looking and judging, in this order, of a volume that passed the gate. Does not belong
here: reading and the gate (``ct``), which models, and how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.patient import Diagnosis, diagnosis_of
from lung_pipeline.diagnosis.pipeline import examine
from lung_pipeline.diagnosis.verdict.operating_point import DEFAULT_JUDGING, Judging
from lung_pipeline.diagnosis.verdict.readers import readers_of_scan

if TYPE_CHECKING:
    from lung_pipeline.ct.lungs import Lungs
    from lung_pipeline.ct.quality import Caution
    from lung_pipeline.diagnosis.examined import Examined
    from lung_pipeline.diagnosis.models import NamedModels


def diagnose_volume(
    volume: CtVolume,
    lungs: Lungs | None,
    cautions: Sequence[Caution],
    named: NamedModels,
    *,
    judging: Judging = DEFAULT_JUDGING,
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
        judging: which rule's verdict is the patient's, and a person's own thresholds; the verdicts
            of all rules stand in the diagnosis.
        readers: LIDC's XML of the scan, or a folder or archive that holds it; None: not at hand.
        keeps_probabilities: whether the segmentation's probabilities are wanted.
        is_mirrored: whether the models see everything left for right as well.
        on_progress: told the step at work and the share of it that is done, 0 to 1.

    Raises:
        AnnotationError: readers' XML that cannot be read, or is not about this series.
        ModelError: a network gave what is no probability.
    """
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
        judging=judging,
        readers=marked,
        cautions=[caution.in_words() for caution in cautions],
        seconds=examined.seconds,
    )
    return replace(diagnosis, is_mirrored=is_mirrored), examined
