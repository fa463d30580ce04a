# SPDX-License-Identifier: Apache-2.0
"""What readers say of a nodule: whether they mark it, and LIDC's nine characteristics.

The chance of a malignancy of 4 or 5 grows with size and spiculation, so that the share of
malignant nodules in each range of diameters is near that of LUNA16 (2 % below 5 mm, 30 % at
7.5 mm, 54 % at 9 mm, 81 % at 12 mm, 95 % above 15 mm; 378 of 1,182 in all).

Belongs here: opinions. Does not belong here: truth (``nodules``) and XML (``lidc_xml``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lung_pipeline.phantom.nodules import Kind, Shape

NUM_READERS = 4
"""LIDC had four; a nodule of LUNA16 was marked by at least three."""

_MISSED = 0.12
"""How often one of the four misses a nodule."""

_SUSPECT_FROM, _MALIGNANT_TO = 4, 2
"""Malignant: at least two readers gave 4 or 5 (the rule of the book's table)."""

_AT_8_MM, _PER_DOUBLING = 3.15, 1.30
"""Mean rating of a smooth 8 mm nodule, and what doubling its diameter adds."""

_FORM_ADDS: dict[Shape, float] = {"round": 0.0, "lobulated": 0.20, "spiculated": 0.80}
_KIND_ADDS: dict[Kind, float] = {
    "solid": 0.0,
    "part_solid": 0.30,
    "ground_glass": -0.35,
    "calcified": -1.70,
}
_CASE_SPREAD, _READER_SPREAD = 0.55, 0.55
"""Spread of ratings between alike nodules, and between readers of one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's opinion of one nodule: LIDC's characteristics, and how wide they draw."""

    reader: int
    """Number of the reader, from 0."""

    malignancy: int
    """1 highly unlikely to 5 highly suspicious."""

    subtlety: int
    calcification: int
    sphericity: int
    margin: int
    lobulation: int
    spiculation: int
    texture: int

    bias_mm: float
    """The reader's contour lies so far outside the surface."""


def draw_readings(
    rng: np.random.Generator, kind: Kind, shape: Shape, diameter_mm: float
) -> tuple[Reading, ...]:
    """Three or four readers' opinions of one nodule."""
    mean = _AT_8_MM + _PER_DOUBLING * math.log2(diameter_mm / 8.0)
    mean += _FORM_ADDS[shape] + _KIND_ADDS[kind] + float(rng.normal(0.0, _CASE_SPREAD))
    readers = list(range(NUM_READERS))
    if rng.random() < NUM_READERS * _MISSED:
        readers.remove(int(rng.integers(NUM_READERS)))
    return tuple(_draw_reading(rng, reader, mean, kind, shape, diameter_mm) for reader in readers)


def is_malignant(malignancies: tuple[int, ...]) -> bool:
    """At least two readers gave 4 or 5."""
    return sum(rating >= _SUSPECT_FROM for rating in malignancies) >= _MALIGNANT_TO


def _draw_reading(
    rng: np.random.Generator,
    reader: int,
    mean: float,
    kind: Kind,
    shape: Shape,
    diameter_mm: float,
) -> Reading:
    def rating(value: float, spread: float = 0.5) -> int:
        return min(max(round(value + float(rng.normal(0.0, spread))), 1), 5)

    texture = {"ground_glass": 1.2, "part_solid": 3.0}.get(kind, 5.0)
    return Reading(
        reader=reader,
        malignancy=rating(mean, _READER_SPREAD),
        subtlety=rating(2.5 + 0.2 * diameter_mm),
        calcification=3 if kind == "calcified" else 6,
        sphericity=rating(4.6 if shape == "round" else 3.2),
        margin=rating(2.3 if shape == "spiculated" else 4.5),
        lobulation=rating(3.8 if shape == "lobulated" else 1.2),
        spiculation=rating(4.2 if shape == "spiculated" else 1.2),
        texture=rating(texture, 0.4),
        bias_mm=round(float(rng.normal(0.15, 0.20)), 4),
    )
