# SPDX-License-Identifier: Apache-2.0
"""What each organ measures in HU, and the order in which organs are laid over one another.

Belongs here: tissue of the trunk without vessels, airways and nodules. Does not belong here:
forms (``anatomy``), grids and noise (``render``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lung_pipeline.phantom.anatomy import (
    Body,
    aorta_distance,
    arch_distance,
    cavity_distance,
    diaphragm_distance,
    heart_distance,
    lung_from_parts,
    mediastinum_distance,
    skin_distance,
)
from lung_pipeline.phantom.shapes import Array, cylinder, ellipsoid, occupancy

AIR_OUTSIDE_HU = -1000.0
TABLE_HU = -350.0
SKIN_HU, FAT_HU, MUSCLE_HU = 10.0, -102.0, 52.0
BLOOD_HU, LIVER_HU, SPLEEN_HU, GAS_HU = 42.0, 60.0, 48.0, -950.0
CORTEX_HU, MARROW_HU, CARTILAGE_HU, DISC_HU, CORD_HU = 620.0, 200.0, 110.0, 85.0, 22.0

_SKIN_MM = 1.8
"""Thickness of the skin."""

_GRAVITY_HU = 22.0
"""Lung at the back is denser than lung in the middle by this (a patient lies on the back)."""

_PATCHES_HU, _GRAIN_HU = 12.0, 15.0
"""Unevenness of parenchyma over centimetres and over millimetres (unresolved vessels)."""

_FISSURE_HU = 75.0
"""What a fissure adds where it fills a voxel's width."""


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Some slices to be painted: coordinates that broadcast, and unevenness on their grid."""

    x: Array
    y: Array
    z: Array
    edge_mm: float
    """Width of a soft edge: a little over a pixel."""

    patches: Array
    """A random field that changes over centimetres."""

    grain: Array
    """One that changes over millimetres."""


def paint_trunk(body: Body, slab: Slab) -> Array:
    """HU of a trunk without vessels, airways, nodules and noise; shape (z, y, x), float32."""
    x, y, z, edge = slab.x, slab.y, slab.z, slab.edge_mm
    skin, cavity = skin_distance(body, x, y, z), cavity_distance(body, x, y, z)
    middle, belly = mediastinum_distance(body, x, y, z), diaphragm_distance(body, x, y, z)
    hu = np.full(skin.shape, AIR_OUTSIDE_HU, dtype=np.float32)
    _lay(hu, TABLE_HU, occupancy(_table_distance(body, x, y), edge))
    _lay(hu, SKIN_HU, occupancy(skin, edge))
    _lay(hu, FAT_HU + 6.0 * slab.patches, occupancy(skin + _SKIN_MM, edge))
    muscle = occupancy(skin + body.fat_mm + 0.12 * body.fat_mm * slab.patches, edge)
    _lay(hu, MUSCLE_HU + 8.0 * slab.patches, muscle)
    _paint_wall(hu, body, slab, cavity, muscle)
    _paint_belly(hu, body, slab, occupancy(np.maximum(cavity, -belly), edge))
    inside = occupancy(np.maximum(cavity, belly), edge)
    _lay(hu, FAT_HU + 15.0 * slab.patches, inside)
    _paint_middle(hu, body, slab, inside)
    _paint_spine(hu, body, slab, muscle)
    lung = occupancy(lung_from_parts(body, cavity, middle, belly), edge)
    _lay(hu, _parenchyma(body, slab), lung)
    return hu


def _table_distance(body: Body, x: Array, y: Array) -> Array:
    """Distance to the thin, hollow top of the scanner's table."""
    wide, deep = body.half_width_mm, body.half_depth_mm
    lift = y - 1.02 * deep + (0.10 / wide) * x * x
    shells = np.minimum(np.abs(lift) - 0.5, np.abs(lift - 0.10 * deep) - 0.5)
    return np.maximum(shells, np.abs(x) - 0.75 * wide)


def _lay(hu: Array, over: Array | float, filled: Array) -> None:
    """Lay a tissue over what is there, in place."""
    hu += (over - hu) * filled


def _parenchyma(body: Body, slab: Slab) -> Array:
    even = body.parenchyma_hu + (_GRAVITY_HU / body.half_depth_mm) * slab.y
    uneven = even + _PATCHES_HU * slab.patches + _GRAIN_HU * slab.grain
    # The oblique fissure falls from the back to the front.
    bent = (0.10 / body.half_width_mm) * slab.x * slab.x + 0.20 * np.abs(slab.x)
    plane = (slab.z - 0.75 * slab.y + bent) * 0.78 + 1.2 * slab.patches
    return uneven + _FISSURE_HU * occupancy(np.abs(plane) - 0.35, slab.edge_mm)


def _paint_wall(hu: Array, body: Body, slab: Slab, cavity: Array, muscle: Array) -> None:
    """Ribs, seen as the rings they are; sternum; shoulder blades where there is room."""
    room = body.wall_mm - body.fat_mm
    half_mm, height_mm, at_mm = 0.20 * room, 0.21 * body.rib_pitch_mm, 0.34 * room
    if room > 15.0:
        _lay(hu, FAT_HU, 0.8 * occupancy(np.abs(cavity - 0.62 * room) - 0.8, slab.edge_mm) * muscle)
        _paint_blades(hu, body, slab, cavity - 0.80 * room, muscle)
    turn = (slab.z - body.rib_tilt * slab.y) * (1.0 / body.rib_pitch_mm)
    along = (turn - np.rint(turn)) * (body.rib_pitch_mm / height_mm)
    deep = (cavity - at_mm) * (1.0 / half_mm)
    rib = (np.sqrt(deep * deep + along * along + 1e-6) - 1.0) * half_mm
    rib = np.maximum(rib, slab.z - 0.40 * body.height_mm)
    bony = occupancy(-slab.y - 0.62 * body.half_depth_mm, 6.0)
    _paint_bone(hu, rib, slab.edge_mm, muscle, bony)
    front = -body.cavity_half_depth_mm - 0.35 * room
    radii = (0.085 * body.half_width_mm, 0.22 * room, 0.24 * body.height_mm)
    centre = (0.0, front, 0.12 * body.height_mm)
    _paint_bone(hu, ellipsoid(slab.x, slab.y, slab.z, centre, radii), slab.edge_mm, muscle, 1.0)


def _paint_blades(hu: Array, body: Body, slab: Slab, shell: Array, muscle: Array) -> None:
    across = (slab.y - 0.45 * body.half_depth_mm) * (1.0 / (0.38 * body.half_depth_mm))
    upward = (slab.z - 0.24 * body.height_mm) * (1.0 / (0.19 * body.height_mm))
    rim = np.sqrt(across * across + upward * upward) - 1.0
    blade = np.maximum(np.abs(shell) - 2.6, rim * 0.19 * body.height_mm)
    blade = np.maximum(blade, 0.30 * body.half_width_mm - np.abs(slab.x))
    _paint_bone(hu, blade, slab.edge_mm, muscle, 1.0)


def _paint_bone(
    hu: Array, distance: Array, edge_mm: float, within: Array, bony: Array | float
) -> None:
    """Cortex around marrow; where ``bony`` falls to 0 the bone goes over into cartilage."""
    shell, core = occupancy(distance, edge_mm), occupancy(distance + 1.4, 1.5 * edge_mm)
    _lay(hu, CARTILAGE_HU + (CORTEX_HU - CARTILAGE_HU) * bony, shell * within)
    _lay(hu, CARTILAGE_HU + (MARROW_HU - CARTILAGE_HU) * bony, core * within)


def _paint_belly(hu: Array, body: Body, slab: Slab, below: Array) -> None:
    """Liver on the right; spleen, fat and the stomach's gas on the left."""
    left = occupancy(-slab.x + 0.10 * body.half_width_mm, 4.0)
    fat = occupancy(0.9 - slab.patches, 0.5) * left
    soft = LIVER_HU + (SPLEEN_HU - LIVER_HU) * left + 6.0 * slab.patches
    _lay(hu, soft + (FAT_HU - soft) * fat, below)
    wide, deep, tall = body.half_width_mm, body.half_depth_mm, body.height_mm
    centre = (0.40 * wide, -0.20 * deep, -0.37 * tall)
    gas = ellipsoid(slab.x, slab.y, slab.z, centre, (0.20 * wide, 0.22 * deep, 0.05 * tall))
    _lay(hu, GAS_HU, occupancy(gas, slab.edge_mm) * below)


def _paint_middle(hu: Array, body: Body, slab: Slab, inside: Array) -> None:
    """Heart and the great vessels, in fat."""
    x, y, z, edge = slab.x, slab.y, slab.z, slab.edge_mm
    wide, deep, tall = body.half_width_mm, body.half_depth_mm, body.height_mm
    heart = heart_distance(body, x, y, z)
    _lay(hu, BLOOD_HU, occupancy(heart + 0.012 * wide, edge) * inside)
    upper = occupancy(z - 0.20 * tall, 2.0) * occupancy(-0.12 * tall - z, 2.0)
    for centre, radius in (
        ((-0.030 * wide, -0.26 * deep), 0.088 * wide),  # ascending aorta
        ((-0.095 * wide, -0.06 * deep), 0.052 * wide),  # superior vena cava
        ((0.075 * wide, -0.20 * deep), 0.070 * wide),  # pulmonary trunk
    ):
        _lay(hu, BLOOD_HU, occupancy(cylinder(x, y, centre, radius), edge) * upper * inside)
    _lay(hu, BLOOD_HU, occupancy(arch_distance(body, x, y, z), edge) * inside)
    _lay(hu, BLOOD_HU, occupancy(aorta_distance(body, x, y, z), edge) * inside)
    gullet = cylinder(x, y, (0.02 * wide, body.spine_xy_mm[1] - 0.19 * wide), 0.042 * wide)
    _lay(hu, MUSCLE_HU - 12.0, occupancy(gullet, edge) * inside)


def _paint_spine(hu: Array, body: Body, slab: Slab, muscle: Array) -> None:
    """Vertebral bodies with discs between them, the canal behind, arches and spinous processes."""
    x, y, edge = slab.x, slab.y, slab.edge_mm
    _, middle = body.spine_xy_mm
    radius = body.spine_radius_mm
    turn = slab.z * (1.0 / body.rib_pitch_mm)
    gap = np.abs(turn - np.rint(turn)) * body.rib_pitch_mm - 0.40 * body.rib_pitch_mm
    vertebra = cylinder(x, y, (0.0, middle), radius)
    _lay(hu, DISC_HU, occupancy(vertebra, edge) * muscle)
    _paint_bone(hu, np.maximum(vertebra, gap), edge, muscle, 1.0)
    canal = cylinder(x, y, (0.0, middle + 1.38 * radius), 0.45 * radius)
    process = np.maximum(
        np.abs(x) - 0.16 * radius, np.abs(y - middle - 2.4 * radius) - 0.8 * radius
    )
    wings = np.maximum(np.abs(y - middle - 1.5 * radius) - 0.2 * radius, np.abs(x) - 1.3 * radius)
    arch = np.minimum(np.minimum(canal - 0.22 * radius, process), wings)
    _paint_bone(hu, np.maximum(arch, gap + 0.0 * x), edge, muscle, 1.0)
    _lay(hu, CORD_HU, occupancy(canal, edge))
