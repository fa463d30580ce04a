# SPDX-License-Identifier: Apache-2.0
"""The form of one synthetic chest: where body, lungs, heart and spine end.

The body frame: x to the left, y to the back, z to the head, millimetres, (0, 0, 0) in the middle
of the trunk. Every function takes x, y and z as arrays that broadcast and returns a distance in
mm, negative inside, right to first order near the surface.

Belongs here: forms of organs. Does not belong here: their HU (``tissues``), vessels, nodules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lung_pipeline.phantom.shapes import (
    Array,
    Point,
    cylinder,
    ellipsoid,
    smooth_max,
    smooth_min,
)

Size = Literal["small", "full"]
"""A child-sized trunk for demo and tests, or a grown one; voxels have real sizes in both."""

_SQUARENESS = 1.1
"""Cross term of the outline: 2 is an ellipse, 0 a square with round corners."""

_DOME_FROM, _DOME_TO = -0.10, 0.45
"""Where the cavity begins to narrow and where its apex lies, in parts of the height."""

_WALL_SHARE_MM = {"small": (2.0, 3.5, 10.0), "full": (7.0, 20.0, 22.0)}
"""Thinnest and thickest fat, and what muscle and ribs add below it."""


@dataclass(frozen=True, slots=True)
class Body:
    """One trunk; every length is derived from these few."""

    half_width_mm: float
    """From the midline to the skin at the side."""

    half_depth_mm: float
    """From the middle to the skin at the back."""

    height_mm: float
    """What a scan of the chest covers, from above the apices to below the diaphragm."""

    fat_mm: float
    """Thickness of the fat below the skin."""

    wall_mm: float
    """From the skin to the pleura."""

    rib_pitch_mm: float
    """Distance between ribs."""

    rib_tilt: float
    """How far a rib falls per mm on its way to the front."""

    heart_scale: float
    """Size of the heart, 1 for a middling one."""

    parenchyma_hu: float
    """Mean of aerated lung."""

    @property
    def cavity_half_width_mm(self) -> float:
        """From the midline to the pleura at the side."""
        return self.half_width_mm - self.wall_mm

    @property
    def cavity_half_depth_mm(self) -> float:
        """From the middle to the pleura at the back."""
        return self.half_depth_mm - self.wall_mm

    @property
    def spine_xy_mm(self) -> tuple[float, float]:
        """The axis of the vertebral bodies."""
        return (0.0, 0.76 * self.cavity_half_depth_mm)

    @property
    def spine_radius_mm(self) -> float:
        """The radius of a vertebral body."""
        return 0.125 * self.half_width_mm

    @property
    def heart_centre_mm(self) -> Point:
        """The middle of the heart: left, to the front, low."""
        return (
            0.12 * self.half_width_mm,
            -0.24 * self.half_depth_mm,
            -0.20 * self.height_mm,
        )

    @property
    def heart_radii_mm(self) -> Point:
        """The half axes of the heart."""
        scale = self.heart_scale
        return (
            0.37 * scale * self.half_width_mm,
            0.40 * scale * self.half_depth_mm,
            0.19 * scale * self.height_mm,
        )

    def hilum_mm(self, side: int) -> Point:
        """Where vessels and airways enter a lung; ``side`` is 1 for left, -1 for right."""
        return (
            side * 0.20 * self.half_width_mm,
            0.10 * self.half_depth_mm,
            (0.02 if side > 0 else -0.01) * self.height_mm,
        )


def draw_body(rng: np.random.Generator, size: Size) -> Body:
    """Draw one trunk of a size."""
    width = rng.uniform(58.0, 64.0) if size == "small" else rng.uniform(155.0, 185.0)
    thin, thick, below = _WALL_SHARE_MM[size]
    fat = rng.uniform(thin, thick)
    height = rng.uniform(122.0, 136.0) if size == "small" else rng.uniform(270.0, 330.0)
    depth = rng.uniform(0.78, 0.84) if size == "small" else rng.uniform(0.68, 0.76)
    return Body(
        half_width_mm=round(width, 3),
        half_depth_mm=round(width * depth, 3),
        height_mm=round(height, 3),
        fat_mm=round(fat, 3),
        wall_mm=round(fat + below, 3),
        rib_pitch_mm=round(height / rng.uniform(9.5, 11.5), 3),
        rib_tilt=round(rng.uniform(0.30, 0.50), 3),
        heart_scale=round(rng.uniform(0.88, 1.08), 3),
        parenchyma_hu=round(rng.uniform(-885.0, -840.0), 1),
    )


def skin_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to the skin; shoulders are flatter and narrower than the waist is."""
    rise = np.clip(z * (1.0 / body.height_mm) * 2.5 - 0.4, 0.0, 1.0)
    shrink = 1.0 + 0.10 * rise * rise
    squared, steep = _outline(
        x * shrink, y * (1.0 + 0.12 * rise * rise), body.half_width_mm, body.half_depth_mm
    )
    reach = np.sqrt(squared + 1e-6)
    return (reach - 1.0) * 2.0 * reach / np.sqrt(steep)


def cavity_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to the inner side of the rib cage, which closes in a dome above the apices."""
    squared, steep = _outline(x, y, body.cavity_half_width_mm, body.cavity_half_depth_mm)
    slope = 1.0 / ((_DOME_TO - _DOME_FROM) * body.height_mm)
    rise = np.maximum(z * slope - _DOME_FROM * body.height_mm * slope, 0.0)
    upward = 2.0 * slope * rise
    reach = np.sqrt(squared + rise * rise + 1e-6)
    return (reach - 1.0) * 2.0 * reach / np.sqrt(steep + upward * upward)


def mediastinum_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to what lies between the lungs: great vessels, heart, spine."""
    back = y * (1.0 / (0.9 * body.half_depth_mm)) - 0.1
    # Narrow behind the breastbone and near the apices, widest where the great vessels leave.
    high = np.maximum(z * (1.0 / body.height_mm) - 0.05, 0.0)
    half = body.half_width_mm * np.maximum(0.155 - 0.13 * back * back - 0.45 * high * high, 0.03)
    blend = 0.06 * body.half_width_mm
    between = np.abs(x) - half
    heart = heart_distance(body, x, y, z)
    spine = cylinder(x, y, body.spine_xy_mm, body.spine_radius_mm + 0.015 * body.half_width_mm)
    central = smooth_min(smooth_min(between, heart, blend), spine, blend)
    central = smooth_min(central, arch_distance(body, x, y, z), 0.5 * blend)
    return smooth_min(central, aorta_distance(body, x, y, z), 0.5 * blend)


def heart_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to the heart and what lies below it, down to the diaphragm."""
    middle = body.heart_centre_mm
    # Below its middle the heart keeps its width: it sits on the diaphragm.
    lifted = np.maximum(z, middle[2] - 0.02 * body.height_mm)
    return ellipsoid(x, y, lifted, middle, body.heart_radii_mm)


def aorta_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to the descending aorta, in front of the spine and left of it."""
    wide = body.half_width_mm
    centre = (0.10 * wide, body.spine_xy_mm[1] - 0.14 * wide)
    return np.maximum(cylinder(x, y, centre, 0.065 * wide), z - 0.20 * body.height_mm)


def arch_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to the aortic arch, which bulges into the left lung."""
    wide, deep, tall = body.half_width_mm, body.half_depth_mm, body.height_mm
    centre = (0.05 * wide, 0.08 * deep, 0.19 * tall)
    return ellipsoid(x, y, z, centre, (0.14 * wide, 0.42 * deep, 0.05 * tall))


def diaphragm_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to the diaphragm from above: positive in the belly. One dome a side."""
    wide, deep, tall = body.half_width_mm, body.half_depth_mm, body.height_mm
    across = (np.abs(x) - 0.42 * wide) * (1.0 / (0.60 * wide))
    along = (y + 0.10 * deep) * (1.0 / (0.95 * deep))
    side = np.where(x < 0, 0.025 * tall, 0.0).astype(np.asarray(x).dtype)
    dome = side + tall * (-0.27 - 0.15 * (across * across + along * along))
    slope_x, slope_y = 0.30 * tall / (0.60 * wide), 0.30 * tall / (0.95 * deep)
    steep = 1.0 + (slope_x * across) ** 2 + (slope_y * along) ** 2
    return (np.maximum(dome, -0.46 * tall) - z) / np.sqrt(steep)


def lung_distance(body: Body, x: Array, y: Array, z: Array) -> Array:
    """Distance to the pleura of either lung."""
    return lung_from_parts(
        body,
        cavity_distance(body, x, y, z),
        mediastinum_distance(body, x, y, z),
        diaphragm_distance(body, x, y, z),
    )


def lung_from_parts(body: Body, cavity: Array, mediastinum: Array, diaphragm: Array) -> Array:
    """The lungs are what the cavity leaves beside the mediastinum and above the diaphragm."""
    blend = 0.04 * body.half_width_mm
    return smooth_max(smooth_max(cavity, -mediastinum, blend), diaphragm, 0.5 * blend)


def _outline(x: Array, y: Array, half_x_mm: float, half_y_mm: float) -> tuple[Array, Array]:
    """A trunk's outline: the squared reach (1 on it), and the squared slope of that."""
    u, v = x * (1.0 / half_x_mm), y * (1.0 / half_y_mm)
    uu, vv = u * u, v * v
    squared = np.sqrt(uu * uu + vv * vv + _SQUARENESS * uu * vv + 1e-6)
    slope_x = u * (2.0 * uu + _SQUARENESS * vv) * (1.0 / half_x_mm) / squared
    slope_y = v * (2.0 * vv + _SQUARENESS * uu) * (1.0 / half_y_mm) / squared
    return squared, slope_x * slope_x + slope_y * slope_y + 1e-9
