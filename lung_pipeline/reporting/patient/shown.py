# SPDX-License-Identifier: Apache-2.0
"""The findings of a report in the order and under the numbers it shows them by.

Belongs here: order, numbers, and each finding's own mask. Does not belong here: words and pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.diagnosis.steps.masks import FindingMask

MOST_CARDS = 12
"""More nodules than this follow as a table: nobody reads thirty cards."""

MasksOf = Mapping[str, Sequence[FindingMask]]
"""For each series UID the masks of its findings, in their order in the diagnosis."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One finding of the report."""

    finding: Finding
    """The finding."""

    number: int | None
    """Its number among the nodules, from 1; None where it does not count as one."""

    mask: FindingMask | None
    """Its voxels; None where they are not at hand."""

    @property
    def has_card(self) -> bool:
        """Whether it has a card of its own, with pictures."""
        return self.number is not None and self.number <= MOST_CARDS

    def center_irc(self, grid: VoxelGrid) -> tuple[float, float, float]:
        """Where it lies in the canonical array; its own index, row, column are the file's."""
        finding = self.finding
        index, row, column = grid.xyz_mm_to_irc([[finding.x_mm, finding.y_mm, finding.z_mm]])[0]
        return float(index), float(row), float(column)


def in_order(diagnosis: Diagnosis, masks: MasksOf | None) -> tuple[Shown, ...]:
    """All findings: nodules first, the most suspicious first, then the others, by probability.

    Raises:
        ValueError: a series has another number of masks than of findings.
    """
    pairs = list(_with_masks(diagnosis, masks or {}))
    are_nodules = {id(finding) for finding in diagnosis.rule.nodules(diagnosis.findings)}
    nodules = sorted(
        (pair for pair in pairs if id(pair[0]) in are_nodules), key=_most_suspicious_first
    )
    others = sorted(
        (pair for pair in pairs if id(pair[0]) not in are_nodules),
        key=lambda pair: -pair[0].nodule_probability,
    )
    return (
        *(Shown(finding, number, mask) for number, (finding, mask) in enumerate(nodules, start=1)),
        *(Shown(finding, None, mask) for finding, mask in others),
    )


def _with_masks(
    diagnosis: Diagnosis, masks: MasksOf
) -> Iterable[tuple[Finding, FindingMask | None]]:
    for uid in dict.fromkeys(finding.series_uid for finding in diagnosis.findings):
        findings = [finding for finding in diagnosis.findings if finding.series_uid == uid]
        yield from zip(findings, masks.get(uid, [None] * len(findings)), strict=True)


def _most_suspicious_first(pair: tuple[Finding, FindingMask | None]) -> tuple[float, float]:
    malignancy = pair[0].malignancy_probability
    return (math.inf if malignancy is None else -malignancy, -pair[0].nodule_probability)
