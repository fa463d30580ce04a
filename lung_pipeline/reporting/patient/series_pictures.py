# SPDX-License-Identifier: Apache-2.0
"""All pictures of a report, series by series, so that each volume is read once and let go.

Belongs here: which pictures a report has. Does not belong here: how each is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.reporting.overlay import data_uri
from lung_pipeline.reporting.patient.cards import View, card_views, overview_picture
from lung_pipeline.reporting.patient.outline import NODULE, layer_uri, on_slice, outline_layer
from lung_pipeline.reporting.patient.shown import MasksOf, Shown
from lung_pipeline.reporting.patient.slices import MOST_SLICES, SliceStack, nearest_index, stack_of
from lung_pipeline.reporting.patient.truth import Mark
from lung_pipeline.reporting.patient.truth_views import (
    MOST_TRUTH_VIEWS,
    Truth,
    TruthView,
    truth_views,
)

Volumes = Mapping[str, tuple[VoxelsHu, VoxelGrid]]
"""For each series UID its voxels and grid, in canonical order."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole slice through the largest finding."""

    number: int | None
    """The nodule's number; None where it does not count as one."""

    view: View
    """The slice, with the outlines on it where masks are at hand."""


@dataclass(slots=True)
class Pictures:
    """The pictures of a report, gathered series by series."""

    cards: dict[int, tuple[View, ...]] = field(default_factory=dict)
    """Of each nodule with a card, by its number."""

    slice_ids: dict[int, str] = field(default_factory=dict)
    """For each nodule on a stack of slices the place of its slice on the page."""

    overview: Overview | None = None
    """The slice through the largest finding."""

    stacks: list[SliceStack] = field(default_factory=list)
    """The slices of each series."""

    truth: list[TruthView] = field(default_factory=list)
    """Slices in the colours of the truth; none where it is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """What may be known beside the findings."""

    original_grids: Mapping[str, VoxelGrid] = field(default_factory=dict)
    """The files' own grids, by series."""

    marks: Sequence[Mark] | None = None
    """The readers' marks; None where the truth is not known."""

    true_masks: MasksOf = field(default_factory=dict)
    """The voxels of the readers' marks, by series; where absent marks are drawn as balls."""


def gather(
    shown: Sequence[Shown],
    volumes: Volumes,
    series_uids: Sequence[str],
    beside: Beside,
    *,
    shows_slices: bool,
) -> Pictures:
    """Make the pictures of all series; one whose volume is not at hand has none."""
    nodules = [s for s in shown if s.number is not None]
    largest = max(nodules or shown, key=lambda s: s.finding.diameter_mm, default=None)
    pictures = Pictures()
    for place, uid in enumerate(series_uids):
        of_series = [s for s in shown if s.finding.series_uid == uid]
        if uid not in volumes or not (of_series or shows_slices or beside.marks):
            continue
        voxels_hu, grid = volumes[uid]
        for s in of_series:
            if s.number is not None and s.has_card:
                pictures.cards[s.number] = card_views(s, voxels_hu, grid)
        if largest in of_series and largest is not None:
            pictures.overview = _overview(largest, of_series, voxels_hu, grid)
        original_grid = beside.original_grids.get(uid)
        if shows_slices:
            most = MOST_SLICES // len(series_uids)
            stack = stack_of(voxels_hu, grid, original_grid, of_series, (place, uid), most)
            pictures.stacks.append(stack)
            pictures.slice_ids |= {tick.number: tick.slice_id for tick in stack.ticks}
        pictures.truth += _truth(voxels_hu, grid, of_series, uid, beside, len(pictures.truth))
    return pictures


def _overview(
    largest: Shown, of_series: Sequence[Shown], voxels_hu: VoxelsHu, grid: VoxelGrid
) -> Overview:
    picture = data_uri(overview_picture(largest, voxels_hu, grid))
    index, shape_rc = nearest_index(largest, grid), voxels_hu.shape[1:]
    masks = [
        (on_slice(s.mask, index, shape_rc), NODULE)
        for s in of_series
        if s.mask is not None and (s.number is not None or s is largest)
    ]
    layer = layer_uri(outline_layer(masks, shape_rc)) if masks else None
    return Overview(largest.number, View("whole slice", "axial", picture, layer))


def _truth(
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    of_series: Sequence[Shown],
    uid: str,
    beside: Beside,
    num_shown: int,
) -> tuple[TruthView, ...]:
    if beside.marks is None:
        return ()
    numbered = enumerate(beside.marks, start=1)
    marks = [(number, mark) for number, mark in numbered if mark.series_uid == uid]
    return truth_views(
        voxels_hu,
        grid,
        beside.original_grids.get(uid),
        [s for s in of_series if s.number is not None],
        Truth(marks, beside.true_masks.get(uid)),
        MOST_TRUTH_VIEWS - num_shown,
    )
