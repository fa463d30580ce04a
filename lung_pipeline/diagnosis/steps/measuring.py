# SPDX-License-Identifier: Apache-2.0
"""From components and what the models say of them to findings with all their figures.

Belongs here: putting a finding together. Does not belong here: measuring a mask (``measures.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.classifying import Sureness
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.steps.measures import measured
from lung_pipeline.grouping.components import Component


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The scan that findings lie in."""

    series_uid: str
    """Its name."""

    voxels_hu: VoxelsHu
    """Its voxels in canonical order."""

    grid: VoxelGrid
    """Where they lie."""

    original_grid: VoxelGrid
    """The grid of the file; findings name its voxels."""

    lungs: Lungs | None
    """Where the lungs lie; None where nobody looked for them."""


def findings_of_components(
    series: Series,
    components: Sequence[Component],
    masks: Sequence[FindingMask],
    sureness: Sureness,
) -> list[Finding]:
    """One finding for each component, in their order."""
    if not components:
        return []
    centers_irc = np.array([component.center_irc for component in components])
    centers_xyz_mm = series.grid.irc_to_xyz_mm(centers_irc)
    in_file_irc = series.original_grid.xyz_mm_to_irc(centers_xyz_mm)
    depths_mm = [math.nan] * len(components)
    if series.lungs is not None:
        depths_mm = series.lungs.depth_mm(centers_irc).tolist()
    malignancy: list[float | None] = [None] * len(components)
    if sureness.malignancy is not None:
        malignancy = list(sureness.malignancy.tolist())
    return [
        _finding(series, *of_one)
        for of_one in zip(
            components,
            masks,
            centers_xyz_mm.tolist(),
            in_file_irc.tolist(),
            sureness.nodule.tolist(),
            malignancy,
            depths_mm,
            strict=True,
        )
    ]


def _finding(
    series: Series,
    component: Component,
    mask: FindingMask,
    xyz_mm: list[float],
    in_file_irc: list[float],
    nodule_probability: float,
    malignancy_probability: float | None,
    lung_border_mm: float,
) -> Finding:
    of_mask = measured(mask, series.voxels_hu, series.grid.spacing_irc_mm)
    x_mm, y_mm, z_mm = xyz_mm
    index, row, column = in_file_irc
    return Finding(
        series_uid=series.series_uid,
        x_mm=x_mm,
        y_mm=y_mm,
        z_mm=z_mm,
        index=index,
        row=row,
        column=column,
        diameter_mm=component.diameter_mm,
        nodule_probability=nodule_probability,
        malignancy_probability=malignancy_probability,
        volume_mm3=component.volume_mm3,
        longest_axial_mm=of_mask.longest_axial_mm,
        mean_hu=of_mask.mean_hu,
        density=of_mask.density,
        lung_border_mm=lung_border_mm,
    )
