# SPDX-License-Identifier: Apache-2.0
"""Distances to simple bodies, in mm: negative inside, positive outside, broadcast over arrays.

Belongs here: geometry of single forms. Does not belong here: which form is which organ. Only
``+ - * /``, square root, minimum and maximum are used on voxels: each is rounded in one way on
every processor, so one seed makes the same bytes everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""Floats, 32 bits where voxels are drawn and 64 where points are planned."""

Point = tuple[float, float, float]
"""A point or a length along each axis, (x, y, z), in mm."""

_CENTRE = 1e-6
"""Keeps the distance to an ellipsoid defined at its centre; far below any voxel."""


def occupancy(distance_mm: Array, edge_mm: float) -> Array:
    """The filled part of a voxel, 0 to 1, whose centre lies at a distance from the surface."""
    return np.clip(0.5 - distance_mm * (1.0 / edge_mm), 0.0, 1.0)


def smooth_min(first: Array, second: Array, blend_mm: float) -> Array:
    """The union of two forms, the crease between them filled over ``blend_mm``."""
    share = np.clip(0.5 + (second - first) * (0.5 / blend_mm), 0.0, 1.0)
    return second + (first - second) * share - blend_mm * share * (1.0 - share)


def smooth_max(first: Array, second: Array, blend_mm: float) -> Array:
    """The intersection of two forms, its edge rounded over ``blend_mm``."""
    return -smooth_min(-first, -second, blend_mm)


def ellipsoid(x: Array, y: Array, z: Array, centre: Point, radii: Point) -> Array:
    """Distance to an ellipsoid, right to first order at its surface (I. Quilez's bound)."""
    u, v, w = ((p - c) * (1.0 / r) for p, c, r in zip((x, y, z), centre, radii, strict=True))
    uu, vv, ww = u * u, v * v, w * w
    far = uu + vv + ww
    a, b, c = (1.0 / (radius * radius) for radius in radii)
    steep = uu * a + vv * b + ww * c
    reach = np.sqrt(far + _CENTRE)
    return reach * (reach - 1.0) / np.sqrt(steep + _CENTRE / min(radii) ** 2)


def cylinder(x: Array, y: Array, centre_xy: tuple[float, float], radius_mm: float) -> Array:
    """Distance to an upright cylinder without ends."""
    dx, dy = x - centre_xy[0], y - centre_xy[1]
    return np.sqrt(dx * dx + dy * dy) - radius_mm


def cone(x: Array, y: Array, z: Array, part: Array) -> Array:
    """Distance to a rounded cone: x, y, z of both ends, then the radius at each, in ``part``.

    With both ends in one place it is a ball, exactly.
    """
    x0, y0, z0, x1, y1, z1, start_mm, stop_mm = (float(value) for value in part)
    ax, ay, az = x1 - x0, y1 - y0, z1 - z0
    px, py, pz = x - x0, y - y0, z - z0
    length2 = ax * ax + ay * ay + az * az
    if length2 == 0.0:
        return np.sqrt(px * px + py * py + pz * pz) - start_mm
    along = np.clip((px * ax + py * ay + pz * az) * (1.0 / length2), 0.0, 1.0)
    px, py, pz = px - along * ax, py - along * ay, pz - along * az
    return np.sqrt(px * px + py * py + pz * pz) - (start_mm + along * (stop_mm - start_mm))
