# SPDX-License-Identifier: Apache-2.0
"""Trees that branch from the hilum to the periphery: vessels, and the airways beside them.

A tree grows toward points spread in the lung, nearest first, each joined to the node that makes
the shortest way back; radii follow from the twigs inward by Murray's law (r^k of a parent is the
sum over its children; C. D. Murray, PNAS 1926, k = 3; about 2.4 gives
the central arteries their width).

Belongs here: centre lines and radii. Does not belong here: voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.phantom.anatomy import Body, Size, heart_distance, lung_distance
from lung_pipeline.phantom.shapes import Point

Floats = npt.NDArray[np.float64]

_MURRAY = 2.45
_WAY_BACK = 0.20
"""What a mm along the tree costs, beside a mm of new vessel: 0 makes bushes, 1 makes stars."""

_TWIGS = {"small": 90, "full": 380}
"""Twigs of one tree; a lung has two, arteries and veins."""

_TWIG_MM = {"small": (0.42, 0.54), "full": (0.48, 0.60)}
"""Radius of the thinnest twigs."""

_STEP_MM = 7.0
"""Length of a straight piece."""

_BRONCHI = 6
"""Twigs of a lung's airways: about the segments a CT shows open."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Rounded cones that meet end to end."""

    parts: Floats
    """Shape (n, 8), body frame, mm: x, y, z of the thick end, of the thin end, both radii."""

    forks_xyz_mm: Floats
    """Shape (m, 3): where two pieces or more leave one."""


def draw_vessels(rng: np.random.Generator, body: Body, size: Size) -> Tree:
    """Arteries and veins of both lungs."""
    trees = []
    for side in (1, -1):
        for drop in (0.05, -0.07):
            x, y, z = body.hilum_mm(side)
            root = (x, y - 0.5 * drop * body.half_depth_mm, z + drop * body.height_mm)
            trees.append(_grow(rng, body, root, _TWIGS[size], rng.uniform(*_TWIG_MM[size])))
    return _joined(trees)


def draw_airways(rng: np.random.Generator, body: Body) -> Tree:
    """Trachea, main bronchi and the first branches in the lung; radii are those of the lumen."""
    bore = 0.048 * body.half_width_mm
    top = (0.0, 0.02 * body.half_depth_mm, 0.55 * body.height_mm)
    carina = (0.0, 0.10 * body.half_depth_mm, 0.12 * body.height_mm)
    trunk = [(*top, *carina, bore, bore)]
    trees = []
    for side in (1, -1):
        hilum = body.hilum_mm(side)
        trunk.append((*carina, *hilum, 0.75 * bore, 0.62 * bore))
        trees.append(_grow(rng, body, hilum, _BRONCHI, 0.26 * bore, reach=0.55))
    return _joined([Tree(np.asarray(trunk), np.asarray([carina])), *trees])


def lung_points(rng: np.random.Generator, body: Body, count: int, depth_mm: float) -> Floats:
    """Points spread evenly over both lungs, at least ``depth_mm`` below the pleura."""
    half = np.array([body.half_width_mm, body.half_depth_mm, 0.5 * body.height_mm])
    kept: list[Floats] = []
    while sum(len(part) for part in kept) < count:
        points = rng.uniform(-half, half, size=(4 * count + 64, 3))
        kept.append(points[lung_distance(body, *points.T) < -depth_mm])
    return np.concatenate(kept)[:count]


def _grow(
    rng: np.random.Generator,
    body: Body,
    root: Point,
    twigs: int,
    twig_mm: float,
    reach: float = 1.0,
) -> Tree:
    start = np.asarray(root)
    goals = lung_points(rng, body, 3 * twigs + 40, 2.0)
    goals = goals[np.sign(goals[:, 0]) == np.sign(start[0])][:twigs]
    goals = start + (goals - start) * reach
    goals = goals[_beside_the_heart(body, start, goals)]
    goals = goals[np.argsort(((goals - start) ** 2).sum(axis=1), kind="stable")]
    nodes, parents = _connect(rng, start, goals)
    return _with_radii(nodes, parents, twig_mm)


def _beside_the_heart(body: Body, start: Floats, goals: Floats) -> npt.NDArray[np.bool_]:
    """Which goals are reached from the start without crossing the heart."""
    clear = np.ones(len(goals), dtype=np.bool_)
    for part in (0.3, 0.5, 0.7, 1.0):
        clear &= heart_distance(body, *(start + (goals - start) * part).T) > 0.0
    return clear


def _connect(rng: np.random.Generator, root: Floats, goals: Floats) -> tuple[Floats, list[int]]:
    nodes, parents, way = [root], [-1], [0.0]
    for goal in goals:
        known = np.asarray(nodes)
        far = np.sqrt(((known - goal) ** 2).sum(axis=1))
        at = int(np.argmin(far + _WAY_BACK * np.asarray(way)))
        count = max(1, round(float(far[at]) / _STEP_MM))
        origin, length = known[at], float(far[at])
        bend = rng.normal(0.0, 0.07 * length, size=3)
        for step in range(1, count + 1):
            part = step / count
            point = origin + (goal - origin) * part + bend * (4.0 * part * (1.0 - part))
            parents.append(at if step == 1 else len(nodes) - 1)
            way.append(way[at] + length * part)
            nodes.append(np.round(point, 4))
    return np.asarray(nodes), parents


def _with_radii(nodes: Floats, parents: list[int], twig_mm: float) -> Tree:
    flow = np.zeros(len(nodes))
    children = np.bincount(parents[1:], minlength=len(nodes))
    flow[children == 0] = twig_mm**_MURRAY
    for node in range(len(nodes) - 1, 0, -1):  # children stand behind their parents
        flow[parents[node]] += flow[node]
    radius = np.round(flow ** (1.0 / _MURRAY), 4)
    stop = np.arange(1, len(nodes))
    start = np.asarray(parents[1:])
    thick = np.minimum(radius[start], 1.25 * radius[stop])
    parts = np.column_stack([nodes[start], nodes[stop], np.round(thick, 4), radius[stop]])
    return Tree(parts, nodes[children > 1])


def _joined(trees: list[Tree]) -> Tree:
    return Tree(
        np.concatenate([tree.parts for tree in trees]),
        np.concatenate([tree.forks_xyz_mm for tree in trees]),
    )
