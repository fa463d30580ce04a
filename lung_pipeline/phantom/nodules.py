# SPDX-License-Identifier: Apache-2.0
"""One nodule: what it is made of, its shape, and the shape's exact volume and centre.

A shape is a union of rounded cones (balls where both ends meet), blended, stretched along the
axes by factors whose product is one: stretching then changes neither volume nor centre. A single
ball is known exactly; other unions are measured once on a fine grid, and scaled and shifted so
that the volume is that of a ball of the wanted diameter and the centre lies at zero.

Belongs here: forms and densities of nodules. Does not belong here: where they lie (``placing``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from lung_pipeline.phantom.shapes import Array, Point, cone, occupancy, smooth_min

Kind = Literal["solid", "part_solid", "ground_glass", "calcified"]
Shape = Literal["round", "lobulated", "spiculated"]
Place = Literal["free", "wall", "vessel"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHAPES: tuple[Shape, ...] = get_args(Shape)
PLACES: tuple[Place, ...] = get_args(Place)

Floats = npt.NDArray[np.float64]

_T = TypeVar("_T")

SMALLEST_MM, LARGEST_MM = 3.25, 30.0
"""LUNA16's annotations begin at 3.25 mm; a mass begins at 30 mm."""

LARGEST_IN_SMALL_MM = 20.0
"""What fits into the lungs of a small body."""

_BEYOND_SMALLEST_MM, _SPREAD = 3.30, 1.0
"""3.25 + lognormal(log 3.30, 1.0): quartiles 4.9, 6.4, 9.5 mm; LUNA16 has 5.1, 6.4, 9.7."""

_FAINT_FROM_MM = 5.5
"""Part-solid and ground-glass nodules are not seen when smaller than this."""

_MEASURING_STEPS = 44
"""Cells a side of the grid on which a shape is measured: volume right to half a percent."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A shape around zero, in mm."""

    parts: Floats
    """Rounded cones, shape (n, 8), as ``shapes.cone`` takes them."""

    blend_mm: float
    """Over which the creases between them are filled; 0 for none."""

    stretch: Point
    """Factors along x, y and z; their product is one."""

    @property
    def reach_mm(self) -> Point:
        """A box (half sizes) that holds the shape."""
        ends = np.abs(self.parts[:, :6]).reshape(-1, 2, 3) + self.parts[:, 6:, None]
        x, y, z = (ends.max(axis=(0, 1)) * self.stretch + self.blend_mm).tolist()
        return (x, y, z)

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Distance in mm of points relative to the centre: negative inside."""
        u, v, w = (p * (1.0 / s) for p, s in zip((x, y, z), self.stretch, strict=True))
        union = cone(u, v, w, self.parts[0])
        for part in self.parts[1:]:
            other = cone(u, v, w, part)
            blended = self.blend_mm > 0.0
            union = smooth_min(union, other, self.blend_mm) if blended else np.minimum(union, other)
        return union


@dataclass(frozen=True, slots=True, eq=False)
class Nodule:
    """One nodule of one patient."""

    kind: Kind
    shape: Shape
    place: Place
    centre_xyz_mm: Point
    """Centre of the shape in the body frame."""

    diameter_mm: float
    """Of the ball of equal volume."""

    form: Form
    """The shape around its centre."""

    hu: float
    """Density; of the shell where there is a core."""

    core_hu: float
    """Density of the core, which a solid or ground-glass nodule has not (then it equals hu)."""

    core_depth_mm: float
    """The core begins so far below the surface."""

    @property
    def volume_mm3(self) -> float:
        """The volume of the whole shape."""
        return float(np.pi / 6.0 * self.diameter_mm**3)


def draw_diameter(rng: np.random.Generator, largest_mm: float) -> float:
    """Draw a diameter as LUNA16's are spread, up to the largest that fits."""
    while True:
        beyond = _BEYOND_SMALLEST_MM * float(np.exp(rng.normal(0.0, _SPREAD)))
        if SMALLEST_MM + beyond <= largest_mm:
            return round(SMALLEST_MM + beyond, 4)


def draw_kind(rng: np.random.Generator, diameter_mm: float) -> Kind:
    """Most are solid; small ones are never faint and large ones never calcified through."""
    faint = 0.11 if diameter_mm >= _FAINT_FROM_MM else 0.0
    chalky = 0.12 if diameter_mm < 12.0 else 0.02
    return pick(rng, KINDS, (1.0 - 2.0 * faint - chalky, faint, faint, chalky))


def draw_shape(rng: np.random.Generator, kind: Kind, diameter_mm: float) -> Shape:
    """Spicules and lobes come with size; calcified nodules are round."""
    if kind == "calcified":
        return "round"
    grown = min(max((diameter_mm - 5.0) / 10.0, 0.0), 1.0)
    spiculated, lobulated = 0.05 + 0.40 * grown, 0.15 + 0.20 * grown
    return pick(rng, SHAPES, (1.0 - spiculated - lobulated, lobulated, spiculated))


def draw_form(rng: np.random.Generator, shape: Shape, diameter_mm: float) -> Form:
    """Draw a shape whose volume is that of a ball of the diameter, with its centre at zero."""
    stretch = _draw_stretch(rng)
    if shape == "round":
        ball = np.array([[0, 0, 0, 0, 0, 0, 0.5 * diameter_mm, 0.5 * diameter_mm]])
        return Form(ball, 0.0, stretch)
    parts, blend = _draw_lobes(rng) if shape == "lobulated" else _draw_spicules(rng)
    volume, centre = measure(Form(parts, blend, (1.0, 1.0, 1.0)))
    scale = 0.5 * diameter_mm / (volume * 3.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
    parts = (parts - np.concatenate([centre, centre, [0.0, 0.0]])) * scale
    return Form(np.round(parts, 5), round(blend * scale, 5), stretch)


def draw_densities(
    rng: np.random.Generator, kind: Kind, diameter_mm: float
) -> tuple[float, float, float]:
    """Draw HU of the shell, HU of the core, and how deep the core begins in mm."""
    if kind == "part_solid":
        return (
            round(rng.uniform(-620.0, -480.0), 1),
            round(rng.uniform(-20.0, 50.0), 1),
            round(diameter_mm * rng.uniform(0.18, 0.28), 4),
        )
    low, high = {"solid": (0.0, 60.0), "ground_glass": (-620.0, -460.0)}.get(kind, (250.0, 700.0))
    hu = round(rng.uniform(low, high), 1)
    return hu, hu, 0.0


def measure(form: Form) -> tuple[float, Floats]:
    """Volume and centre of a shape of unit scale, counted on a fine grid with soft edges."""
    half = max(form.reach_mm) + 0.1
    step = 2.0 * half / _MEASURING_STEPS
    line = (np.arange(_MEASURING_STEPS) + 0.5) * step - half
    x, y, z = line[None, None, :], line[None, :, None], line[:, None, None]
    filled = occupancy(form.distance(x, y, z), step)
    total = float(filled.sum())
    centre = np.array([float((filled * axis).sum()) / total for axis in (x, y, z)])
    return total * step**3, centre


def pick(rng: np.random.Generator, values: tuple[_T, ...], odds: tuple[float, ...]) -> _T:
    """One of a few values, each with its odds (their sum is one)."""
    edges = np.cumsum(odds)
    return values[min(int(np.searchsorted(edges, rng.random(), side="right")), len(values) - 1)]


def _draw_stretch(rng: np.random.Generator) -> Point:
    first, second = (round(float(value), 3) for value in rng.uniform(0.88, 1.12, size=2))
    return (first, second, 1.0 / (first * second))


def _draw_lobes(rng: np.random.Generator) -> tuple[Floats, float]:
    count = int(rng.integers(3, 6))
    offset = _directions(rng, count) * rng.uniform(0.45, 0.75, size=(count, 1))
    radius = rng.uniform(0.45, 0.70, size=count)
    lobes = np.column_stack([offset, offset, radius, radius])
    core = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7, 0.7]])
    return np.concatenate([core, lobes]), 0.15


def _draw_spicules(rng: np.random.Generator) -> tuple[Floats, float]:
    count = int(rng.integers(14, 24))
    directions = _directions(rng, count)
    tips = directions * rng.uniform(1.45, 2.10, size=(count, 1))
    thick, thin = np.full(count, 0.23), np.full(count, 0.04)
    spicules = np.column_stack([directions * 0.7, tips, thick, thin])
    core = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.95, 0.95]])
    return np.concatenate([core, spicules]), 0.10


def _directions(rng: np.random.Generator, count: int) -> Floats:
    vectors = rng.normal(size=(count, 3))
    return vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True))
