# SPDX-License-Identifier: Apache-2.0
"""Findings of a series whose nodules are known, with what each stage did to each nodule.

A finding hits a nodule when it lies nearer to its centre than half its diameter (LUNA16's rule;
Setio et al. 2017, doi:10.1016/j.media.2017.06.015). A nodule that is hit belongs to the hit of
highest nodule probability; one that is not, to the component that holds most of its voxels.

Belongs here: looking on while findings are made. Does not belong here: making them
(``pipeline.py``), and judging what was seen (``evaluation``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.pipeline import MASK_THRESHOLD, examine
from lung_pipeline.diagnosis.steps.grouped import Grouped
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.traces.surroundings import tissue_shares
from lung_pipeline.diagnosis.traces.trace import NO_COMPONENT, AnnotatedNodule, TracedNodule

_NOWHERE = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class TracedSeries:
    """One series with known nodules."""

    findings: list[Finding]
    """As ``examine`` gives them."""

    nodules: list[TracedNodule]
    """The way of each annotated nodule, in the order they were given."""

    tissue_shares: npt.NDArray[np.float64]
    """What lies around each finding (``surroundings.py``), shape (n,)."""

    masks: tuple[FindingMask, ...] = ()
    """The voxels of each finding, in the same order."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """What segmentation and grouping left of one nodule."""

    highest_probability: float
    """The highest probability within the radius; 0 where the nodule lies off the scan."""

    num_marked: int
    """Marked voxels within the radius."""

    num_kept: int
    """Those that grouping kept."""

    component: int
    """The component with most voxels within the radius, the first of equals; or none. Once
    findings are known, the place of the finding it became."""


_UNSEEN = Tissue(0.0, 0, 0, NO_COMPONENT)
"""Of a nodule in a scan where nothing was looked at."""


def find_and_trace(
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    original_grid: VoxelGrid,
    series_uid: str,
    models: Models,
    nodules: Sequence[AnnotatedNodule],
    lungs: Lungs | None = None,
) -> TracedSeries:
    """The findings of ``examine`` and what was seen while they were made."""
    tissues = [_UNSEEN] * len(nodules)
    shares = np.empty(0)

    def look(grouped: Grouped) -> None:
        nonlocal shares, tissues
        tissues = [tissue_of(nodule, grouped, grid) for nodule in nodules]
        shares = tissue_shares(grouped, voxels_hu, grid.spacing_irc_mm)

    found = examine(
        voxels_hu, grid, original_grid, series_uid, models, lungs=lungs, on_grouped=look
    )
    # A component that was merged into another's finding shares that finding.
    became = (*found.finding_of_component, NO_COMPONENT)
    tissues = [replace(tissue, component=became[tissue.component]) for tissue in tissues]
    ways = traced(series_uid, grid.spacing_irc_mm[0], nodules, tissues, found.findings)
    around = shares[list(found.component_of_finding)]
    return TracedSeries(list(found.findings), ways, around, found.masks)


def unseen(
    series_uid: str, slice_spacing_mm: float, nodules: Sequence[AnnotatedNodule]
) -> list[TracedNodule]:
    """The ways of the nodules of a series that could not be looked at: lost at the first stage."""
    return traced(series_uid, slice_spacing_mm, nodules, [_UNSEEN] * len(nodules), [])


def tissue_of(nodule: AnnotatedNodule, grouped: Grouped, grid: VoxelGrid) -> Tissue:
    """Look at the voxels whose centres lie within a nodule's radius, and at the one that holds it.

    No more of the volume is touched than a box around the nodule.
    """
    box, inside = ball_in(grid, nodule.xyz_mm, nodule.diameter_mm / 2)
    probabilities, labels = (values[inside] for values in grouped.part(box))
    # What grouping left out as too small has a label, but no place among the components.
    place = {component.label: number for number, component in enumerate(grouped.components)}
    found, voxels = np.unique(labels[np.isin(labels, list(place))], return_counts=True)
    return Tissue(
        highest_probability=float(probabilities.max(initial=0.0)),
        num_marked=int((probabilities >= MASK_THRESHOLD).sum()),
        num_kept=int((labels > 0).sum()),
        component=place[int(found[voxels.argmax()])] if len(found) else NO_COMPONENT,
    )


def traced(
    series_uid: str,
    slice_spacing_mm: float,
    nodules: Sequence[AnnotatedNodule],
    tissues: Sequence[Tissue],
    findings: Sequence[Finding],
) -> list[TracedNodule]:
    """The whole way of each nodule of one series.

    Args:
        series_uid: the series.
        slice_spacing_mm: distance between its slices.
        nodules: its annotated nodules.
        tissues: what ``tissue_of`` saw of each.
        findings: all findings of the series; a tissue's component is its place among them.
    """
    places = np.array([(f.x_mm, f.y_mm, f.z_mm) for f in findings]).reshape(-1, 3)
    scores = np.array([f.nodule_probability for f in findings])
    hits = [_best_hit(nodule, places, scores) for nodule in nodules]
    ended = [
        tissue.component if hit == NO_COMPONENT else hit
        for tissue, hit in zip(tissues, hits, strict=True)
    ]
    num_sharing = {**Counter(ended), NO_COMPONENT: 0}
    return [
        TracedNodule(
            candidate_id=nodule.candidate_id,
            series_uid=series_uid,
            x_mm=nodule.xyz_mm[0],
            y_mm=nodule.xyz_mm[1],
            z_mm=nodule.xyz_mm[2],
            diameter_mm=nodule.diameter_mm,
            slice_spacing_mm=slice_spacing_mm,
            highest_probability=tissue.highest_probability,
            num_marked=tissue.num_marked,
            num_kept=tissue.num_kept,
            component=component,
            num_nodules_of_component=num_sharing[component],
            is_hit=hit != NO_COMPONENT,
            **_of_finding(None if component == NO_COMPONENT else findings[component]),
        )
        for nodule, tissue, component, hit in zip(nodules, tissues, ended, hits, strict=True)
    ]


def ball_in(
    grid: VoxelGrid, center_xyz_mm: tuple[float, float, float], radius_mm: float
) -> tuple[tuple[slice, ...], npt.NDArray[np.bool_]]:
    """A box of the grid around a point, and which of its voxels lie in the ball.

    The voxel that holds the point belongs to the ball even if the centre of none does: of a 3 mm
    nodule between slices that are 5 mm apart. A ball off the grid has no voxel.
    """
    (center_irc,) = grid.xyz_mm_to_irc([center_xyz_mm])
    reach_irc = radius_mm / np.asarray(grid.spacing_irc_mm)
    start_irc = np.clip(np.floor(center_irc - reach_irc), 0, grid.shape_irc).astype(np.int64)
    stop_irc = np.clip(np.ceil(center_irc + reach_irc) + 1, 0, grid.shape_irc).astype(np.int64)
    box = tuple(slice(*ends) for ends in zip(start_irc.tolist(), stop_irc.tolist(), strict=True))
    voxels_irc = np.stack(
        np.meshgrid(*(np.arange(b.start, b.stop) for b in box), indexing="ij"), -1
    )
    offsets_mm = (voxels_irc - center_irc) * grid.spacing_irc_mm
    holds = (voxels_irc == np.floor(center_irc + 0.5)).all(axis=-1)
    return box, ((offsets_mm**2).sum(axis=-1) < radius_mm**2) | holds


def _best_hit(
    nodule: AnnotatedNodule, places: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]
) -> int:
    """The surest finding within the radius, the nearer of equals; ``NO_COMPONENT`` if none is."""
    distance_mm2 = ((places - np.asarray(nodule.xyz_mm)) ** 2).sum(axis=1)
    hits = np.flatnonzero(distance_mm2 < (nodule.diameter_mm / 2) ** 2)
    best_first = hits[np.lexsort((distance_mm2[hits], -scores[hits]))]
    return int(best_first[0]) if len(best_first) else NO_COMPONENT


def _of_finding(finding: Finding | None) -> dict[str, float]:
    """The columns that tell of the finding a nodule ended in."""
    if finding is None:
        names = ("x_mm", "y_mm", "z_mm", "diameter_mm")
        unknown = dict.fromkeys((f"finding_{name}" for name in names), _NOWHERE)
        return {**unknown, "nodule_probability": _NOWHERE, "malignancy_probability": _NOWHERE}
    malignancy = finding.malignancy_probability
    return {
        "finding_x_mm": finding.x_mm,
        "finding_y_mm": finding.y_mm,
        "finding_z_mm": finding.z_mm,
        "finding_diameter_mm": finding.diameter_mm,
        "nodule_probability": finding.nodule_probability,
        "malignancy_probability": _NOWHERE if malignancy is None else malignancy,
    }
