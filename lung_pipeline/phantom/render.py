# SPDX-License-Identifier: Apache-2.0
"""A plan drawn as voxels.

Large organs are painted a few slices at a time; vessels, airways and nodules each inside their own
box, with several samples along z where slices are thicker than pixels; then noise, then rounding.

Belongs here: the grid and the order of drawing. Does not belong here: what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.phantom.nodules import Nodule
from lung_pipeline.phantom.plan import ScanPlan
from lung_pipeline.phantom.shapes import Array, Point, cone, occupancy
from lung_pipeline.phantom.texture import Field, draw_field, noise_slices
from lung_pipeline.phantom.tissues import Slab, paint_trunk
from lung_pipeline.phantom.vessels import Tree

LOWEST_HU, HIGHEST_HU = -1024, 3071
"""What a scanner's 12 bits hold; the lower one is also the padding."""

_SLAB_VOXELS = 2**18
"""Painted at once: fits a processor's cache."""

_EDGE_PIXELS = 1.2
"""Width of a soft edge in pixels: partial volume and a little of the scanner's blur."""

_VESSEL_HU = 38.0
_BRONCHUS_WALL_HU, _BRONCHUS_HU = -60.0, -960.0
_WALL_SHARE, _THINNEST_WALL_MM = 0.22, 0.55
"""A bronchus' wall: this part of its lumen's radius, and never thinner."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The coordinates of a grid's voxels in the body frame, one line an axis."""

    x: Array
    y: Array
    z: Array

    @classmethod
    def of(cls, plan: ScanPlan) -> Lines:
        """Those of a plan's canonical grid."""
        grid = plan.grid
        z, y, x = (
            np.arange(grid.shape_irc[axis]) * grid.spacing_irc_mm[axis]
            + (grid.origin_xyz_mm[2 - axis] - plan.shift_xyz_mm[2 - axis])
            for axis in range(3)
        )
        return cls(x, y, z)


@dataclass(frozen=True, slots=True)
class Brush:
    """How forms become filled parts of voxels."""

    edge_mm: float
    """Width of a soft edge."""

    slice_mm: float
    """Distance between slices."""

    samples: int
    """Samples along z in one slice."""

    @classmethod
    def of(cls, plan: ScanPlan) -> Brush:
        """The brush that fits a grid: samples along z about as close as pixels."""
        slice_mm, pixel_mm, _ = plan.grid.spacing_irc_mm
        return cls(_EDGE_PIXELS * pixel_mm, slice_mm, max(1, round(slice_mm / pixel_mm)))


Box = tuple[slice, slice, slice]
"""Slices, rows, columns."""


def render(plan: ScanPlan) -> npt.NDArray[np.int16]:
    """Draw a plan on its canonical grid: HU, int16, shape (index, row, column)."""
    rng = np.random.default_rng(np.random.SeedSequence(plan.entropy))
    lines, brush = Lines.of(plan), Brush.of(plan)
    voxels = _painted(plan, lines, brush, rng)
    _add_vessels(voxels, plan.patient.vessels, lines, brush)
    _add_airways(voxels, plan.patient.airways, lines, brush)
    for nodule in plan.patient.nodules:
        _add_nodule(voxels, nodule, lines, brush)
    return _with_noise(voxels, plan, rng)


def _painted(
    plan: ScanPlan, lines: Lines, brush: Brush, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    body = plan.patient.body
    half = (body.half_width_mm * 1.15, body.half_depth_mm * 1.15, 0.6 * body.height_mm)
    patches, grain = draw_field(rng, half, 11.0), draw_field(rng, half, 2.2)
    voxels = np.empty(plan.grid.shape_irc, dtype=np.float32)
    depth = max(1, _SLAB_VOXELS // (voxels.shape[1] * voxels.shape[2]))
    for start in range(0, len(voxels), depth):
        part = slice(start, start + depth)
        slab = _slab(lines, lines.z[part], brush.edge_mm, patches, grain)
        voxels[part] = paint_trunk(body, slab)
    return voxels


def _slab(lines: Lines, z: Array, edge_mm: float, patches: Field, grain: Field) -> Slab:
    return Slab(
        x=lines.x.astype(np.float32)[None, None, :],
        y=lines.y.astype(np.float32)[None, :, None],
        z=z.astype(np.float32)[:, None, None],
        edge_mm=edge_mm,
        patches=patches.at(lines.x, lines.y, z),
        grain=grain.at(lines.x, lines.y, z),
    )


def _add_vessels(voxels: Array, tree: Tree, lines: Lines, brush: Brush) -> None:
    # Pieces overlap at their ends: first the union of all, in 256 steps, then one blending.
    union = np.zeros(voxels.shape, dtype=np.uint8)
    for part in tree.parts:
        box = _box_of_cone(part, lines, brush.edge_mm)
        steps = (_fill_cone(part, box, lines, brush) * 255.0 + 0.5).astype(np.uint8)
        np.maximum(union[box], steps, out=union[box])
    for index, filled in enumerate(union):
        hu = voxels[index]
        hu += np.maximum(np.float32(_VESSEL_HU) - hu, 0.0) * (filled * np.float32(1.0 / 255.0))


def _add_airways(voxels: Array, tree: Tree, lines: Lines, brush: Brush) -> None:
    walls = tree.parts.copy()
    walls[:, 6:] += np.maximum(_WALL_SHARE * walls[:, 6:], _THINNEST_WALL_MM)
    for part in walls:
        box = _box_of_cone(part, lines, brush.edge_mm)
        thicken(voxels[box], _BRONCHUS_WALL_HU, _fill_cone(part, box, lines, brush))
    for part in tree.parts:
        box = _box_of_cone(part, lines, brush.edge_mm)
        voxels[box] += (_BRONCHUS_HU - voxels[box]) * _fill_cone(part, box, lines, brush)


def _add_nodule(voxels: Array, nodule: Nodule, lines: Lines, brush: Brush) -> None:
    centre, reach = np.asarray(nodule.centre_xyz_mm), np.asarray(nodule.form.reach_mm)
    box = _box(centre - reach - brush.edge_mm, centre + reach + brush.edge_mm, lines)
    distance = nodule.form.distance(*_points(box, lines, brush, nodule.centre_xyz_mm))
    thicken(voxels[box], nodule.hu, _over_samples(distance, brush))
    if nodule.core_depth_mm > 0.0:
        core = distance + np.float32(nodule.core_depth_mm)
        thicken(voxels[box], nodule.core_hu, _over_samples(core, brush))


def thicken(voxels: Array, hu: float, filled: Array) -> None:
    """Lay tissue over what is there, in place, never making it less dense."""
    voxels += np.maximum(np.float32(hu) - voxels, 0.0) * filled


def _fill_cone(part: Array, box: Box, lines: Lines, brush: Brush) -> Array:
    return _over_samples(cone(*_points(box, lines, brush, (0.0, 0.0, 0.0)), part), brush)


def _over_samples(distance: Array, brush: Brush) -> Array:
    filled = occupancy(distance, brush.edge_mm)
    slices = filled.shape[0] // brush.samples
    total = filled.reshape(slices, brush.samples, *filled.shape[1:])
    mean = total[:, 0]
    for sample in range(1, brush.samples):
        mean = mean + total[:, sample]
    return mean * np.float32(1.0 / brush.samples)


def _points(box: Box, lines: Lines, brush: Brush, centre: Point) -> tuple[Array, Array, Array]:
    inner = (np.arange(brush.samples) + 0.5) / brush.samples - 0.5
    z = (lines.z[box[0]][:, None] + inner * brush.slice_mm).ravel() - centre[2]
    y, x = lines.y[box[1]] - centre[1], lines.x[box[2]] - centre[0]
    return (
        x.astype(np.float32)[None, None, :],
        y.astype(np.float32)[None, :, None],
        z.astype(np.float32)[:, None, None],
    )


def _box_of_cone(part: Array, lines: Lines, edge_mm: float) -> Box:
    start, stop, reach = part[0:3], part[3:6], part[6:8].max() + edge_mm
    return _box(np.minimum(start, stop) - reach, np.maximum(start, stop) + reach, lines)


def _box(low_xyz: Array, high_xyz: Array, lines: Lines) -> Box:
    """The voxels between two corners, one more at each end; empty where they lie off the grid."""
    parts = []
    for line, low, high in zip(
        (lines.z, lines.y, lines.x), low_xyz[::-1], high_xyz[::-1], strict=True
    ):
        start, stop = np.searchsorted(line, (low, high))
        parts.append(slice(max(int(start) - 1, 0), min(int(stop) + 1, len(line))))
    return (parts[0], parts[1], parts[2])


def _with_noise(voxels: Array, plan: ScanPlan, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    count, rows, columns = voxels.shape
    drawn = np.empty(voxels.shape, dtype=np.int16)
    beyond = _beyond_circle(rows, columns)
    noise = noise_slices(rng, rows, columns, plan.noise_hu)
    for index in range(count):
        rounded = np.rint(voxels[index] + next(noise))
        drawn[index] = np.clip(rounded, LOWEST_HU, HIGHEST_HU).astype(np.int16)
        if plan.padded:
            drawn[index][beyond] = LOWEST_HU
    return drawn


def _beyond_circle(rows: int, columns: int) -> npt.NDArray[np.bool_]:
    row = np.arange(rows)[:, None] - 0.5 * (rows - 1)
    column = np.arange(columns)[None, :] - 0.5 * (columns - 1)
    return row * row + column * column > (0.5 * max(rows, columns)) ** 2
