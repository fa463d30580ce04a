# SPDX-License-Identifier: Apache-2.0
"""Which slices are shown in the colours of the truth, and what is true and found on each.

A readers' mark is a centre and a diameter, so it is drawn as a ball, unless its voxels are given;
a nodule whose mask is not at hand is drawn as a ball too. Belongs here: that choice. Does not
belong here: the colours (``truth_overlay.py``), and which nodule lies on which mark (``truth.py``).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.patient.outline import Plane, on_slice
from lung_pipeline.reporting.patient.shown import Shown
from lung_pipeline.reporting.patient.slices import slice_title
from lung_pipeline.reporting.patient.truth import Mark
from lung_pipeline.reporting.patient.truth_overlay import EDGE_PIXELS, TruthPicture, truth_picture

MOST_TRUTH_VIEWS = 8
"""Pictures of a report, the marks first; one takes about 140 kB."""

_ZOOM_PIXELS = 96
"""Edge of the part that is shown enlarged beside the whole slice."""


@dataclass(frozen=True, slots=True)
class TruthView:
    """One slice in the colours of the truth."""

    title: str
    """Which slice, and which marks and nodules it was chosen for."""

    picture: str
    """The 512 x 512 picture as a ``data:`` address."""

    zoom: tuple[int, int, int]
    """Left, top and edge of the part around the first of them, in the picture's pixels."""

    num_true_positive: int
    """Voxels of the slice that were found and are marked."""

    num_false_positive: int
    """Voxels that were found and are not marked."""

    num_false_negative: int
    """Voxels that are marked and were not found."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of one series."""

    marks: Sequence[tuple[int, Mark]]
    """The readers' marks with their numbers in the report, from 1."""

    masks: Sequence[FindingMask] | None = None
    """The marks' voxels, in any order; None where marks are balls."""


def truth_views(
    voxels_hu: VoxelsHu,
    grid: VoxelGrid,
    original_grid: VoxelGrid | None,
    nodules: Sequence[Shown],
    truth: Truth,
    most: int = MOST_TRUTH_VIEWS,
) -> tuple[TruthView, ...]:
    """The slices through the marks and then through nodules on no mark, each slice once.

    Args:
        voxels_hu: shape (index, row, column), in canonical order.
        grid: where they lie.
        original_grid: the file's, for the numbers of slices; None where it is not known.
        nodules: the nodules of this series.
        truth: the readers' marks of this series.
        most: slices to show.
    """
    places: dict[int, tuple[tuple[float, ...], list[str]]] = {}
    for center_irc, name in _places(grid, nodules, truth):
        index = int(np.clip(np.floor(center_irc[0] + 0.5), 0, len(voxels_hu) - 1))
        places.setdefault(index, (center_irc, []))[1].append(name)
    return tuple(
        _view(
            voxels_hu[index],
            f"{slice_title(index, grid, original_grid)} · {', '.join(names)}",
            found=found_on(index, grid, nodules),
            true=true_on(index, grid, truth),
            center_rc=(center_irc[1], center_irc[2]),
        )
        for index, (center_irc, names) in list(places.items())[:most]
    )


def found_on(index: int, grid: VoxelGrid, nodules: Sequence[Shown]) -> Plane:
    """The voxels of a slice that belong to nodules, shape (row, column)."""
    return _any(grid, [_nodule_on(nodule, index, grid) for nodule in nodules])


def true_on(index: int, grid: VoxelGrid, truth: Truth) -> Plane:
    """The voxels of a slice that the readers marked, shape (row, column)."""
    if truth.masks is not None:
        shape_rc = grid.shape_irc[1:]
        return _any(grid, [on_slice(mask, index, shape_rc) for mask in truth.masks])
    balls = [(grid.xyz_mm_to_irc([m.xyz_mm])[0], m.diameter_mm) for _, m in truth.marks]
    return _any(grid, [ball_on(index, tuple(center), mm, grid) for center, mm in balls])


def ball_on(
    index: int, center_irc: tuple[float, ...], diameter_mm: float, grid: VoxelGrid
) -> Plane:
    """The voxels of a slice whose centres lie in a ball, shape (row, column)."""
    _, num_rows, num_columns = grid.shape_irc
    irc = np.ogrid[index : index + 1, 0:num_rows, 0:num_columns]
    index_mm, row_mm, column_mm = (
        (voxels - center) * spacing_mm
        for voxels, center, spacing_mm in zip(irc, center_irc, grid.spacing_irc_mm, strict=True)
    )
    return np.asarray((index_mm**2 + row_mm**2 + column_mm**2 <= (diameter_mm / 2) ** 2)[0])


def _places(
    grid: VoxelGrid, nodules: Sequence[Shown], truth: Truth
) -> Iterator[tuple[tuple[float, ...], str]]:
    for number, mark in truth.marks:
        found = "missed" if mark.finding_number is None else f"nodule {mark.finding_number}"
        yield tuple(grid.xyz_mm_to_irc([mark.xyz_mm])[0].tolist()), f"mark {number} ({found})"
    hits = {mark.finding_number for _, mark in truth.marks}
    for nodule in nodules:
        if nodule.number not in hits:
            yield nodule.center_irc(grid), f"nodule {nodule.number} (no mark of its own)"


def _nodule_on(nodule: Shown, index: int, grid: VoxelGrid) -> Plane:
    if nodule.mask is None:
        return ball_on(index, nodule.center_irc(grid), nodule.finding.diameter_mm, grid)
    _, num_rows, num_columns = grid.shape_irc
    return on_slice(nodule.mask, index, (num_rows, num_columns))


def _any(grid: VoxelGrid, planes: Sequence[Plane]) -> Plane:
    nothing = np.zeros(grid.shape_irc[1:], dtype=np.bool_)
    return np.logical_or.reduce([nothing, *planes])


def _view(
    slice_hu: VoxelsHu,
    title: str,
    found: Plane,
    true: Plane,
    center_rc: tuple[float, float],
) -> TruthView:
    return TruthView(
        title=title,
        picture=_uri(truth_picture(slice_hu, found, true)),
        zoom=_zoom(center_rc, slice_hu.shape),
        num_true_positive=int(np.count_nonzero(found & true)),
        num_false_positive=int(np.count_nonzero(found & ~true)),
        num_false_negative=int(np.count_nonzero(true & ~found)),
    )


def _zoom(center_rc: tuple[float, float], shape_rc: tuple[int, ...]) -> tuple[int, int, int]:
    """The part of the picture around a point of the slice, wholly within it."""
    scale = EDGE_PIXELS / max(shape_rc)
    from_middle = (np.asarray(center_rc) + 0.5 - np.asarray(shape_rc) / 2) * scale
    corner = np.rint(EDGE_PIXELS / 2 + from_middle - _ZOOM_PIXELS / 2)
    top, left = corner.clip(0, EDGE_PIXELS - _ZOOM_PIXELS).astype(int).tolist()
    return left, top, _ZOOM_PIXELS


def _uri(picture: TruthPicture) -> str:
    """Lossless, because lossy formats smear colours over the voxels beside them."""
    from PIL import Image

    webp = io.BytesIO()
    eight_bits = np.rint(picture * 255).astype(np.uint8)
    Image.fromarray(eight_bits).save(webp, format="WEBP", lossless=True, method=0, quality=0)
    return "data:image/webp;base64," + base64.b64encode(webp.getvalue()).decode("ascii")
