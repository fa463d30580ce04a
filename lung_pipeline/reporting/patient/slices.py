# SPDX-License-Identifier: Apache-2.0
"""The slices of a series to page through, from head to feet, with the outlines of what was found.

Belongs here: which slices are shown, what they are called, and what is marked on them. Does not
belong here: how a slice is encoded (``slice_pictures.py``), and how one pages (``templates/``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.reporting.overlay import LUNG_WINDOW_HU
from lung_pipeline.reporting.patient.outline import (
    NODULE,
    OTHER,
    layer_uri,
    on_slice,
    outline_layer,
)
from lung_pipeline.reporting.patient.shown import Shown
from lung_pipeline.reporting.patient.slice_pictures import affordable_quality, slice_uri

MOST_SLICES = 300
"""Of a report; of more every second one is shown, or every third, and those through a nodule."""

_ALONG_AN_AXIS = 0.5
"""Voxels of the file that one canonical slice is away from the next, at least, along one axis."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A nodule's place on the slider."""

    number: int
    """The nodule's number in the report."""

    slice_id: str
    """Where its slice stands on the page."""

    share: float
    """How far along the slider, 0 at the first slice shown and 1 at the last."""


@dataclass(frozen=True, slots=True)
class SliceView:
    """One slice as the page shows it."""

    slice_id: str
    """Where it stands on the page."""

    title: str
    """Which slice it is, and where in the patient."""

    numbers: tuple[int, ...]
    """The nodules that it cuts, or lies nearest to."""

    is_central: bool
    """Whether it is the slice through the middle of a nodule."""

    picture: str
    """The slice as a ``data:`` address."""

    layer: str | None
    """The outlines as a ``data:`` address; None where there are none."""


@dataclass(frozen=True, slots=True)
class SliceStack:
    """The slices of one series."""

    series_uid: str
    """Of which series."""

    slices: tuple[SliceView, ...]
    """From head to feet."""

    ticks: tuple[Tick, ...]
    """The nodules on the slider."""

    start: int
    """Which of them is shown first: through the most suspicious nodule, else the middle one."""

    every: int
    """1 where all slices are shown, else every how many."""

    num_slices: int
    """How many the series has."""

    aspect: float
    """Width of a slice over its height, in mm."""

    window_hu: tuple[float, float]
    """From black to white."""


def stack_of(
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    original_grid: VoxelGrid | None,
    shown: Sequence[Shown],
    series: tuple[int, str],
    most: int = MOST_SLICES,
) -> SliceStack:
    """The slices of a series.

    Args:
        voxels_hu: shape (index, row, column), in canonical order.
        grid: where they lie.
        original_grid: the file's; None where slices cannot be called as the file counts them.
        shown: the findings of this series.
        series: its place in the report from 0, and its UID.
        most: slices to show, those through nodules not counted.
    """
    place, uid = series
    central = {s.number: nearest_index(s, grid) for s in shown if s.number is not None}
    every, indices = shown_indices(len(voxels_hu), set(central.values()), most)
    quality = affordable_quality(voxels_hu, indices)
    slices = tuple(
        SliceView(
            slice_id=slice_id(place, index),
            title=slice_title(index, grid, original_grid),
            numbers=_numbers(shown, central, index),
            is_central=index in central.values(),
            picture=slice_uri(voxels_hu, index, quality),
            layer=_layer(shown, index, voxels_hu.shape),
        )
        for index in indices
    )
    at = {index: position for position, index in enumerate(indices)}
    _, row_mm, column_mm = grid.spacing_irc_mm
    return SliceStack(
        series_uid=uid,
        slices=slices,
        ticks=tuple(
            Tick(number, slice_id(place, index), at[index] / max(1, len(indices) - 1))
            for number, index in central.items()
        ),
        start=at[min(central.items())[1]] if central else len(indices) // 2,
        every=every,
        num_slices=len(voxels_hu),
        aspect=voxels_hu.shape[2] * column_mm / (voxels_hu.shape[1] * row_mm),
        window_hu=LUNG_WINDOW_HU,
    )


def shown_indices(num_slices: int, always: Collection[int], most: int) -> tuple[int, list[int]]:
    """Every how many slices are shown, and which, the one nearest to the head first."""
    every = -(-num_slices // max(1, most))
    return every, sorted({*range(0, num_slices, every), *always}, reverse=True)


def nearest_index(shown: Shown, grid: VoxelGrid) -> int:
    """The slice through the middle of a finding; of one beyond the volume the first or last."""
    index = np.floor(shown.center_irc(grid)[0] + 0.5)
    return int(np.clip(index, 0, grid.shape_irc[0] - 1))


def slice_id(place: int, index: int) -> str:
    """What a slice is called on the page: no UID, which may hold anything."""
    return f"slice-{place}-{index}"


def slice_title(index: int, grid: VoxelGrid, original_grid: VoxelGrid | None) -> str:
    """The number of a slice as the file counts, from 0, and where its middle lies."""
    _, num_rows, num_columns = grid.shape_irc
    middle_irc = (index, (num_rows - 1) / 2, (num_columns - 1) / 2)
    z_mm = grid.irc_to_xyz_mm([middle_irc])[0, 2]
    number = None if original_grid is None else file_slice(index, grid, original_grid)
    if number is None:
        return f"Slice {index}, counted from the feet from 0 · z {z_mm:.1f} mm"
    return f"Slice {number} of the file, from 0 · z {z_mm:.1f} mm"


def file_slice(index: int, grid: VoxelGrid, original_grid: VoxelGrid) -> int | None:
    """The file's number of a canonical slice; None where the file was not cut axially."""
    here, next_one = original_grid.xyz_mm_to_irc(
        grid.irc_to_xyz_mm([(index, 0, 0), (index + 1, 0, 0)])
    )[:, 0]
    if abs(next_one - here) < _ALONG_AN_AXIS:
        return None
    return int(np.floor(here + 0.5))


def _numbers(shown: Sequence[Shown], central: dict[int, int], index: int) -> tuple[int, ...]:
    return tuple(
        s.number
        for s in shown
        if s.number is not None and (central[s.number] == index or _is_cut(s, index))
    )


def _is_cut(shown: Shown, index: int) -> bool:
    if shown.mask is None:
        return False
    first = index - shown.mask.start_irc[0]
    return 0 <= first < len(shown.mask.voxels) and bool(shown.mask.voxels[first].any())


def _layer(shown: Sequence[Shown], index: int, shape: tuple[int, ...]) -> str | None:
    shape_rc = (shape[1], shape[2])
    masks = [
        (on_slice(s.mask, index, shape_rc), OTHER if s.number is None else NODULE)
        for s in shown
        if s.mask is not None and _is_cut(s, index)
    ]
    return layer_uri(outline_layer(masks, shape_rc)) if masks else None
