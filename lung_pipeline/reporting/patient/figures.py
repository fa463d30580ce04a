# SPDX-License-Identifier: Apache-2.0
"""The figures of a finding as a page prints them: a name, a text, and a bar where it is a share.

Belongs here: names, units and decimals. Does not belong here: how a figure is measured
(``diagnosis/steps/measures.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lung_pipeline.diagnosis.findings import Finding

NOT_MEASURED = "not measured"
"""Stands for a figure whose mask was not at hand."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, ready to print."""

    name: str
    """What it is, with its unit."""

    text: str
    """Its value, or why there is none."""

    share: float | None = None
    """The value within 0 and 1 where it is a probability, for a bar."""


def figures_of(finding: Finding, malignancy: str) -> list[Figure]:
    """The figures of a card; ``malignancy`` is its probability as the page words it."""
    probability = finding.nodule_probability
    border_mm = finding.lung_border_mm
    border_name = "Depth in the lung, mm" if not border_mm < 0 else "Outside the lungs by, mm"
    xyz_mm = (finding.x_mm, finding.y_mm, finding.z_mm)
    irc = (finding.index, finding.row, finding.column)
    return [
        Figure("Nodule probability", f"{probability:.3f}", probability),
        Figure("Malignancy probability", malignancy, finding.malignancy_probability),
        Figure("Equivalent diameter, mm", _number(finding.diameter_mm, 1)),
        Figure("Longest axial diameter, mm", _number(finding.longest_axial_mm, 1)),
        Figure("Volume, mm³", _number(finding.volume_mm3, 0)),
        Figure("Kind by density", finding.density or NOT_MEASURED),
        Figure("Mean density, HU", _number(finding.mean_hu, 0)),
        Figure(border_name, _number(abs(border_mm), 1)),
        Figure("Centre x, y, z, mm (LPS)", _numbers(xyz_mm)),
        Figure("Slice, row, column", _numbers(irc)),
    ]


def _number(value: float, num_decimals: int) -> str:
    return NOT_MEASURED if math.isnan(value) else f"{value:.{num_decimals}f}"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)
