# SPDX-License-Identifier: Apache-2.0
"""Findings of one nodule become one: the most probable stays as it is.

Belongs here: which findings are one nodule. Does not belong here: how findings are made
(``measuring.py``) and how the pieces of one mask are told apart (``grouping/components.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask


@dataclass(frozen=True, slots=True, eq=False)
class Merging:
    """What is left of the findings of one series, and where each of them went."""

    findings: tuple[Finding, ...]
    """Those that stay, unchanged and in the order they were given."""

    masks: tuple[FindingMask, ...]
    """The voxels of each."""

    kept: tuple[int, ...]
    """For each that stays, its place among those given."""

    survivors: tuple[int, ...]
    """For each given, the place among those that stay of the one it became or is."""


def merged(findings: Sequence[Finding], masks: Sequence[FindingMask]) -> Merging:
    """Merge the findings of each nodule of one series.

    From the most probable on, a finding stays unless its centre lies nearer to that of one that
    stays than half the larger of their two diameters: one then lies within the other's ball, as
    LUNA16 takes a mark within a nodule's radius for a hit on it (Setio et al. 2017). Two nodules
    side by side touch only at the sum of their radii, so both stay. Of equally probable findings
    the larger goes first.

    The one that stays keeps its own mask and figures. Its probabilities were judged around its own
    centre; and were masks united, the larger diameter would reach further findings, so that
    merging twice would not be the same as merging once.

    Args:
        findings: of one series, in any order.
        masks: the voxels of each.
    """
    order = sorted(range(len(findings)), key=lambda place: _rank(findings[place]))
    centers_mm = np.array([(f.x_mm, f.y_mm, f.z_mm) for f in findings]).reshape(-1, 3)
    radii_mm = 0.5 * np.array([finding.diameter_mm for finding in findings])
    became = np.full(len(findings), -1)
    for place in order:
        if became[place] < 0:
            apart_mm = np.linalg.norm(centers_mm - centers_mm[place], axis=1)
            is_same = (apart_mm < np.maximum(radii_mm, radii_mm[place])) & (became < 0)
            became[is_same] = place
            became[place] = place
    kept = [place for place, other in enumerate(became.tolist()) if place == other]
    new_place = {place: number for number, place in enumerate(kept)}
    return Merging(
        findings=tuple(findings[place] for place in kept),
        masks=tuple(masks[place] for place in kept),
        kept=tuple(kept),
        survivors=tuple(new_place[place] for place in became.tolist()),
    )


def _rank(finding: Finding) -> tuple[float, ...]:
    """The most probable first, then the largest; the place decides the rest, not the order."""
    place = (finding.x_mm, finding.y_mm, finding.z_mm)
    return (-finding.nodule_probability, -finding.diameter_mm, *place)
