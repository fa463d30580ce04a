# SPDX-License-Identifier: Apache-2.0
"""Where nodules lie, and where things lie that only look like one.

Belongs here: points in the body frame. Does not belong here: shapes, voxels, tables.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.phantom.anatomy import Body, lung_distance
from lung_pipeline.phantom.nodules import Place
from lung_pipeline.phantom.shapes import Point
from lung_pipeline.phantom.vessels import Tree, lung_points

Floats = npt.NDArray[np.float64]

_TRIALS = 160
"""Points among which the first that fits is taken."""

_SUNK = 0.30
"""A nodule at the wall is sunk into it by this part of its radius."""

_GAP_MM = 4.0
"""Between the surfaces of two nodules, and between a nodule and what is not one."""

_VESSEL_MM = (0.55, 2.5)
"""Radii of vessels that carry a nodule."""


def find_place(
    rng: np.random.Generator,
    body: Body,
    vessels: Tree,
    place: Place,
    radius_mm: float,
    taken: list[tuple[Point, float]],
) -> Point | None:
    """A centre for a nodule, or None where nothing is left for one of this size.

    Args:
        rng: what draws.
        body: the chest.
        vessels: the tree that a nodule "vessel" hangs on and a nodule "free" keeps from.
        place: what the nodule touches.
        radius_mm: its radius.
        taken: centres and radii of the nodules that are there already.
    """
    if place == "wall":
        points = _wall_points(rng, body, radius_mm)
    elif place == "vessel":
        points = _vessel_points(rng, body, vessels, radius_mm)
    else:
        points = _free_points(rng, body, vessels, radius_mm)
    points = points[clear_of(points, taken, radius_mm + _GAP_MM)]
    if not len(points):
        return None
    x, y, z = np.round(points[0], 3).tolist()
    return (x, y, z)


def clear_of(
    points: Floats, taken: list[tuple[Point, float]], margin_mm: float
) -> npt.NDArray[np.bool_]:
    """Which points keep a margin from every ball that is there."""
    clear = np.ones(len(points), dtype=np.bool_)
    for centre, radius in taken:
        far2 = ((points - np.asarray(centre)) ** 2).sum(axis=1)
        clear &= far2 > (radius + margin_mm) ** 2
    return clear


def pleural_points(rng: np.random.Generator, body: Body, count: int, depth_mm: float) -> Floats:
    """Points at one depth below the pleura (negative: outside it)."""
    points = lung_points(rng, body, count, 1.0)
    for _ in range(6):
        slope, distance = _slope(body, points)
        points = points - slope * np.clip(distance + depth_mm, -8.0, 8.0)[:, None]
    return points[np.abs(lung_distance(body, *points.T) + depth_mm) < 0.4]


def _wall_points(rng: np.random.Generator, body: Body, radius_mm: float) -> Floats:
    return pleural_points(rng, body, _TRIALS, (1.0 - _SUNK) * radius_mm)


def _free_points(rng: np.random.Generator, body: Body, vessels: Tree, radius_mm: float) -> Floats:
    points = lung_points(rng, body, 4 * _TRIALS, 1.0)
    points = points[lung_distance(body, *points.T) < -(radius_mm + 2.0)]
    middles = 0.5 * (vessels.parts[:, 0:3] + vessels.parts[:, 3:6])
    gap = np.sqrt(((points[:, None] - middles[None]) ** 2).sum(axis=2)) - vessels.parts[:, 6]
    # A large nodule always meets some twig: take those with the most room first.
    room = np.minimum(gap.min(axis=1, initial=np.inf), radius_mm + 3.0)
    return points[np.argsort(-room, kind="stable")]


def _vessel_points(rng: np.random.Generator, body: Body, vessels: Tree, radius_mm: float) -> Floats:
    low, high = _VESSEL_MM
    fit = vessels.parts[(vessels.parts[:, 7] > low) & (vessels.parts[:, 7] < high)]
    fit = fit[rng.permutation(len(fit))[:_TRIALS]]
    axis = fit[:, 3:6] - fit[:, 0:3]
    aside = np.cross(axis, rng.normal(size=axis.shape))
    aside /= np.sqrt((aside**2).sum(axis=1, keepdims=True)) + 1e-9
    points = 0.5 * (fit[:, 0:3] + fit[:, 3:6]) + aside * (0.8 * radius_mm + fit[:, 7:8])
    return points[lung_distance(body, *points.T) < -(radius_mm + 1.0)]


def _slope(body: Body, points: Floats) -> tuple[Floats, Floats]:
    step = 0.5
    distance = lung_distance(body, *points.T)
    moved = [lung_distance(body, *(points + step * axis).T) for axis in np.eye(3)]
    slope = (np.stack(moved, axis=1) - distance[:, None]) / step
    return slope / (np.sqrt((slope**2).sum(axis=1, keepdims=True)) + 1e-9), distance
