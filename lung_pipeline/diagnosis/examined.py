# SPDX-License-Identifier: Apache-2.0
"""What looking through one CT gave: findings, their voxels, and what they were found on.

Belongs here: the value that everything downstream is made from: table, report, DICOM, OME-Zarr.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.segmentation.probability_box import ProbabilityBox


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """One series looked through; nothing in it is as large as the volume, but the box may be."""

    findings: tuple[Finding, ...]
    """All findings, those that do not count as nodules included."""

    masks: tuple[FindingMask, ...]
    """The voxels of each finding, in the same order."""

    lungs: Lungs | None
    """Where the lungs lie; None where the whole volume was looked at."""

    probabilities: ProbabilityBox | None = None
    """Probability of nodule tissue within the box that was looked at; None unless asked for."""

    seconds: dict[str, float] = field(default_factory=dict)
    """How long each step took, by its name."""

    finding_of_component: tuple[int, ...] = ()
    """For each component that was classified the place of its finding: two components of one
    nodule have the same."""

    component_of_finding: tuple[int, ...] = ()
    """For each finding the component that it was made of, and that others were merged into."""
