# SPDX-License-Identifier: Apache-2.0
"""One CT in, its findings out: segment, group, classify.

Belongs here: the order of the steps. Does not belong here: the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lung_pipeline.classification.inference import classify
from lung_pipeline.crops.windows import cut_window
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.grouping.components import Component, Labels, components_of, label_parted
from lung_pipeline.segmentation.inference import Probabilities, segment

MASK_THRESHOLD = 0.5
"""A voxel is marked from this probability on."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """What stands between the network's probabilities and the findings, for who wants to look."""

    probabilities: Probabilities
    """Probability of nodule tissue."""

    labels: Labels
    """What was marked and kept, shape as the probabilities."""

    components: list[Component]
    """Those large enough to be findings, in the findings' order."""


def find_nodules(
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    original_grid: VoxelGrid,
    series_uid: str,
    models: Models,
    on_progress: Callable[[str, float], None] = lambda step, share: None,
    on_grouped: Callable[[Grouped], None] = lambda grouped: None,
) -> list[Finding]:
    """Find what may be a nodule in a CT, and how sure the models are.

    Args:
        voxels_hu: the CT in canonical order, shape (index, row, column).
        grid: where its voxels lie.
        original_grid: the grid of the file it came from; findings name its voxels.
        series_uid: the series' name, carried into the findings.
        models: one for each step.
        on_progress: told the step at work and the share of it that is done, 0 to 1.
        on_grouped: shown what was grouped; it must keep none of the arrays, which are large.
    """
    probabilities = segment(
        models.segmentation, voxels_hu, lambda share: on_progress("segmenting", share)
    )
    on_progress("grouping", 0.0)
    components = _group(probabilities, voxels_hu, grid, on_grouped)
    if not components:
        return []
    on_progress(f"classifying {len(components)} candidates", 0.0)
    centers_irc = np.asarray([component.center_irc for component in components])
    nearest = np.floor(centers_irc + 0.5).astype(np.int64)
    crops_hu = np.stack([cut_window(voxels_hu, center) for center in nearest])
    nodule = classify(models.nodule, crops_hu).tolist()
    malignant: list[float | None] = [None] * len(components)
    if models.malignancy is not None:
        malignant = list(classify(models.malignancy, crops_hu).tolist())
    centers_xyz_mm = grid.irc_to_xyz_mm(centers_irc)
    return [
        _finding(series_uid, xyz_mm, original_grid, component, *probabilities)
        for xyz_mm, component, *probabilities in zip(
            centers_xyz_mm, components, nodule, malignant, strict=True
        )
    ]


def _group(
    probabilities: Probabilities,
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    on_grouped: Callable[[Grouped], None],
) -> list[Component]:
    """The components; their labels are gone before the classifiers need the memory."""
    labels, count = label_parted(probabilities >= MASK_THRESHOLD, grid.spacing_irc_mm)
    components = components_of(labels, count, voxels_hu, grid.spacing_irc_mm)
    on_grouped(Grouped(probabilities, labels, components))
    return components


def _finding(
    series_uid: str,
    xyz_mm: np.ndarray,
    original_grid: VoxelGrid,
    component: Component,
    nodule_probability: float,
    malignancy_probability: float | None,
) -> Finding:
    x_mm, y_mm, z_mm = (float(value) for value in xyz_mm)
    index, row, column = (float(v) for v in original_grid.xyz_mm_to_irc([xyz_mm])[0])
    return Finding(
        series_uid=series_uid,
        x_mm=x_mm,
        y_mm=y_mm,
        z_mm=z_mm,
        index=index,
        row=row,
        column=column,
        diameter_mm=component.diameter_mm,
        nodule_probability=nodule_probability,
        malignancy_probability=malignancy_probability,
    )
