# SPDX-License-Identifier: Apache-2.0
"""What a person asks of one scan, by the command's options or on the page.

Belongs here: the wishes. Does not belong here: fulfilling them (``one_scan.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lung_pipeline.diagnosis.verdict.operating_point import Judging
from lung_pipeline.diagnosis.verdict.rules import DEFAULT_RULE


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks of one scan."""

    rule_name: str = DEFAULT_RULE
    """By which rule the patient is judged."""

    nodule_threshold: float | None = None
    """A finding counts as a nodule from here on; None: as frozen with the models, else 0.5."""

    malignancy_threshold: float | None = None
    """A nodule counts as malignant from here on; None: as frozen with the models, else 0.5."""

    has_dicom: bool = False
    """Whether a DICOM segmentation and measurements are written."""

    is_deidentified: bool = False
    """Whether the DICOM files leave out who the patient is; all else keeps the series' name."""

    has_ome_zarr: bool = False
    """Whether volume, findings and probabilities are written as OME-Zarr."""

    is_forced: bool = False
    """Whether a scan with slices that are too thick is judged all the same."""

    is_mirrored: bool = False
    """Whether the models see everything left for right as well, in twice the time."""

    readers: Path | None = None
    """The readers' XML of this scan, or what holds it."""

    models_instead: Mapping[str, str] = field(default_factory=dict)
    """For some steps the address of a model to use instead of the one in use."""

    @property
    def judging(self) -> Judging:
        """Rule and thresholds; ``SettingError`` where there is no such rule or probability."""
        return Judging(self.rule_name, self.nodule_threshold, self.malignancy_threshold)
