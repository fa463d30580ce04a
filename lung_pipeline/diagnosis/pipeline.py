# SPDX-License-Identifier: Apache-2.0
"""One CT in, its findings out: segment, group, classify, measure, merge.

Belongs here: the order of the steps. Does not belong here: the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.diagnosis.examined import Examined
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.steps.classifying import how_sure
from lung_pipeline.diagnosis.steps.grouped import Grouped
from lung_pipeline.diagnosis.steps.masks import FindingMask, masks_of
from lung_pipeline.diagnosis.steps.measuring import Series, findings_of_components
from lung_pipeline.diagnosis.steps.merging import merged
from lung_pipeline.diagnosis.steps.parts import parts_to_look_at
from lung_pipeline.diagnosis.stopwatch import Stopwatch
from lung_pipeline.grouping.components import Component, components_of, label_parted
from lung_pipeline.learning.memory import keep_freed_memory
from lung_pipeline.segmentation.inference import segment
from lung_pipeline.segmentation.probability_box import ProbabilityBox

MASK_THRESHOLD = 0.5
"""A voxel is marked from this probability on."""

OUTSIDE_MM = 3.0
"""A finding whose ball ends farther outside the lungs than this is none; the border is right to
about a cell. The ball, not the centre: that of a large mass at the wall may lie outside."""


def examine(
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    original_grid: VoxelGrid,
    series_uid: str,
    models: Models,
    *,
    lungs: Lungs | None = None,
    on_progress: Callable[[str, float], None] = lambda step, share: None,
    on_grouped: Callable[[Grouped], None] | None = None,
    keeps_probabilities: bool = False,
    is_mirrored: bool = False,
) -> Examined:
    """Find what may be a nodule in a CT, and how sure the models are.

    Args:
        voxels_hu: the CT in canonical order, shape (index, row, column).
        grid: where its voxels lie.
        original_grid: the grid of the file it came from; findings name its voxels.
        series_uid: the series' name, carried into the findings.
        models: one for each step.
        lungs: where to look; None looks everywhere, and nothing is too far outside.
        on_progress: told the step at work and the share of it that is done, 0 to 1.
        on_grouped: shown what was grouped; it must keep none of the arrays, which are large. Where
            nobody looks on, probabilities make room for the labels.
        keeps_probabilities: whether they are handed out, for who stores them.
        is_mirrored: each model sees everything left for right as well.
    """
    keep_freed_memory()
    watch = Stopwatch(on_progress)
    with watch.step("segmenting") as on_share:
        parts = parts_to_look_at(grid.shape_irc, lungs)
        if not parts:
            return Examined((), (), lungs, seconds=watch.seconds)
        wishes: Any = {"precision": models.precision, "is_mirrored": is_mirrored}
        probabilities = segment(models.segmentation, voxels_hu, parts, on_share, **wishes)
    with watch.step("grouping"):
        marked = FindingMask(probabilities.start_irc, probabilities.values >= MASK_THRESHOLD)
        kept = probabilities if keeps_probabilities or on_grouped is not None else None
        del probabilities
        components, masks = _group(marked, kept, voxels_hu, grid, lungs, on_grouped)
    with watch.step("classifying", f"classifying {len(components)} candidates") as on_share:
        centers_irc = [component.center_irc for component in components]
        sureness = how_sure(
            models, voxels_hu, centers_irc, grid.spacing_irc_mm, on_share, is_mirrored=is_mirrored
        )
    with watch.step("measuring"):
        series = Series(series_uid, voxels_hu, grid, original_grid, lungs)
        findings = findings_of_components(series, components, masks, sureness)
        merging = merged(findings, masks)
    return Examined(
        findings=merging.findings,
        masks=merging.masks,
        lungs=lungs,
        probabilities=kept if keeps_probabilities else None,
        seconds=watch.seconds,
        finding_of_component=merging.survivors,
        component_of_finding=merging.kept,
    )


def _group(
    marked: FindingMask,
    probabilities: ProbabilityBox | None,
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    lungs: Lungs | None,
    on_grouped: Callable[[Grouped], None] | None,
) -> tuple[list[Component], tuple[FindingMask, ...]]:
    """The components and their voxels; labels are gone before classifiers need the memory."""
    labels, count = label_parted(marked.voxels, grid.spacing_irc_mm)
    start_irc, spacing_irc_mm = marked.start_irc, grid.spacing_irc_mm
    found = components_of(labels, count, voxels_hu[marked.box], spacing_irc_mm, start_irc)
    components = found if lungs is None else _near(lungs, found)
    if on_grouped is not None and probabilities is not None:
        on_grouped(Grouped(probabilities, labels, components))
    return components, masks_of(labels, start_irc, [one.label for one in components])


def _near(lungs: Lungs, components: list[Component]) -> list[Component]:
    """Those whose ball reaches the lungs."""
    depths_mm = lungs.depth_mm([component.center_irc for component in components])
    return [
        component
        for component, depth_mm in zip(components, depths_mm.tolist(), strict=True)
        if depth_mm + component.diameter_mm / 2 >= -OUTSIDE_MM
    ]
