# SPDX-License-Identifier: Apache-2.0
"""Places that one reader took for something: LUNA16's excluded findings.

They are not nodules, yet a system that names them is neither right nor wrong. Most are marks
without a size (LIDC's non-nodules, diameter -1); a few were drawn as a nodule by one reader.

Belongs here: which look-alikes are doubtful. Does not belong here: tables and XML.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lung_pipeline.phantom.nodules import Form
from lung_pipeline.phantom.plan import ScanPlan
from lung_pipeline.phantom.ratings import NUM_READERS, Reading, draw_readings
from lung_pipeline.phantom.shapes import Point

NO_DIAMETER = -1.0
"""What LUNA16 writes for a mark without a size."""

_EVERY, _DRAWN = 6, 4
"""Every sixth look-alike is doubtful; of these every fourth was drawn as a nodule."""

_STREAM = 3
"""Number of this random stream."""


@dataclass(frozen=True, slots=True, eq=False)
class Doubtful:
    """One excluded finding."""

    centre_xyz_mm: Point
    """In patient space."""

    diameter_mm: float
    """What the one reader drew, or -1."""

    form: Form
    """The ball that was drawn; a point's where nothing was."""

    reading: Reading | None
    """The one reader's opinion; None for a mark without a size."""


def doubtful_places(plan: ScanPlan) -> tuple[Doubtful, ...]:
    """The excluded findings of a series, the same at every call."""
    rng = np.random.default_rng(np.random.SeedSequence((*plan.entropy, _STREAM)))
    points = plan.to_patient_space(plan.patient.look_alikes_xyz_mm[::_EVERY])
    return tuple(_draw(rng, point, number) for number, point in enumerate(points.tolist()))


def marks_without_size(plan: ScanPlan) -> list[tuple[int, Doubtful, tuple[int, int, int]]]:
    """The marks that are only a point: who set each, the place, the voxel of the file.

    In the order in which the readers' XML has them, as in LUNA16's table of excluded findings.
    """
    marks = [
        (number % NUM_READERS, place, plan.file_grid.voxel_of([place.centre_xyz_mm])[0].tolist())
        for number, place in enumerate(doubtful_places(plan))
        if place.reading is None
    ]
    return sorted(((reader, place, tuple(at)) for reader, place, at in marks), key=lambda m: m[0])


def _draw(rng: np.random.Generator, point: list[float], number: int) -> Doubtful:
    centre = (point[0], point[1], point[2])
    drawn = number % _DRAWN == 0
    diameter = round(float(rng.uniform(3.0, 5.5)), 4) if drawn else NO_DIAMETER
    radius = max(0.5 * diameter, 0.0)
    form = Form(np.array([[0, 0, 0, 0, 0, 0, radius, radius]]), 0.0, (1.0, 1.0, 1.0))
    if not drawn:
        return Doubtful(centre, diameter, form, None)
    opinions = draw_readings(rng, "solid", "round", diameter)
    return Doubtful(centre, diameter, form, opinions[int(rng.integers(NUM_READERS - 1))])
