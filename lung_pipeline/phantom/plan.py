# SPDX-License-Identifier: Apache-2.0
"""What will be in a scan, without drawing it: grid, body, vessels, nodules, look-alikes.

A plan depends only on (seed, subset number, scan number, size). A patient's chest is drawn from
the numbers of the patient, so that two series of one patient show the same nodules on two grids.

Belongs here: which random stream decides what, and the rule of who is whose. Does not belong
here: voxels and files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import AxesChange, VoxelGrid
from lung_pipeline.errors import SettingError
from lung_pipeline.phantom.anatomy import Body, Size, draw_body
from lung_pipeline.phantom.nodules import (
    LARGEST_IN_SMALL_MM,
    LARGEST_MM,
    PLACES,
    Nodule,
    draw_densities,
    draw_diameter,
    draw_form,
    draw_kind,
    draw_shape,
    pick,
)
from lung_pipeline.phantom.placing import clear_of, find_place, pleural_points
from lung_pipeline.phantom.ratings import Reading, draw_readings
from lung_pipeline.phantom.shapes import Point
from lung_pipeline.phantom.vessels import Tree, draw_airways, draw_vessels, lung_points

Floats = npt.NDArray[np.float64]

MOST_SCANS = 100
"""Scans in one subset: patients are numbered subset * 100 + scan + 1."""

MOST_SUBSETS = 10_000
"""Keeps every UID within DICOM's 64 characters."""

UID_ROOT = "1.2.826.0.1.3680043.10.9016"
"""A branch of our own below the free root of Medical Connections; no real series has it."""

_SIZE_CODE: dict[Size, int] = {"small": 1, "full": 2}
_IN_PLANE = {"small": 192, "full": 512}
_SLICE_MM = {"small": (1.0, 2.0), "full": (0.7, 2.5)}
_PATIENT, _SERIES = 1, 2
"""Numbers of the two random streams."""

_NUM_NODULES = (0, 1, 2, 3, 4, 5)
_NUM_NODULES_ODDS = (0.06, 0.28, 0.28, 0.20, 0.12, 0.06)
_PLACE_ODDS = (0.45, 0.25, 0.30)


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """One chest, in the body frame."""

    patient_id: str
    body: Body
    vessels: Tree
    airways: Tree
    nodules: tuple[Nodule, ...]
    readings: tuple[tuple[Reading, ...], ...]
    """For each nodule, its readers' opinions."""

    look_alikes_xyz_mm: Floats
    """Shape (n, 3): points on vessels, at the pleura and in the lung that are no nodule."""


@dataclass(frozen=True, slots=True, eq=False)
class ScanPlan:
    """One series: a patient on a grid."""

    series_uid: str
    subset: int
    scan: int
    size: Size
    patient: Patient
    grid: VoxelGrid
    """In canonical order, as ``render`` draws it."""

    axes: AxesChange
    """How the file's axes run, seen from the canonical ones."""

    shift_xyz_mm: Point
    """Add this to the body frame to come to patient space."""

    noise_hu: float
    """Standard deviation of the noise."""

    padded: bool
    """Whether the corners beyond the scanner's circle hold padding."""

    entropy: tuple[int, ...]
    """Seeds the voxels' texture and noise."""

    @property
    def file_grid(self) -> VoxelGrid:
        """The grid as the file has it."""
        return self.axes.turn_grid(self.grid)

    def to_patient_space(self, points_xyz_mm: Floats) -> Floats:
        """Move points, shape (n, 3), from the body frame to patient space."""
        points = np.asarray(points_xyz_mm, dtype=np.float64).reshape(-1, 3)
        return np.round(points + np.asarray(self.shift_xyz_mm), 6)


def plan_scan(seed: int, subset: int, scan: int, size: Size) -> ScanPlan:
    """Plan one series; pure and quick (tens of milliseconds for a small one).

    Raises:
        SettingError: a negative number, or more scans in a subset than patients have numbers for.
    """
    _check(seed, subset, scan)
    patient = plan_patient(seed, *patient_of(subset, scan), size)
    entropy = (seed, _SIZE_CODE[size], subset, scan, _SERIES)
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    shift = np.round(rng.uniform((-15.0, -210.0, -420.0), (15.0, 60.0, 300.0)), 3).tolist()
    grid = _draw_grid(rng, patient.body, size, shift)
    return ScanPlan(
        series_uid=f"{UID_ROOT}.{seed}.{_SIZE_CODE[size]}.{subset}.{scan}",
        subset=subset,
        scan=scan,
        size=size,
        patient=patient,
        grid=grid,
        axes=AxesChange((0, 1, 2), _flips(subset, scan)),
        shift_xyz_mm=(shift[0], shift[1], shift[2]),
        noise_hu=round(float(rng.uniform(14.0, 30.0)), 2),
        padded=bool(rng.random() < 0.4),
        entropy=(*entropy, 1),
    )


def plan_patient(seed: int, subset: int, scan: int, size: Size) -> Patient:
    """Plan one chest, named by the place of its first series."""
    entropy = (seed, _SIZE_CODE[size], subset, scan, _PATIENT)
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    body = draw_body(rng, size)
    vessels, airways = draw_vessels(rng, body, size), draw_airways(rng, body)
    nodules = _draw_nodules(rng, body, vessels, size)
    return Patient(
        patient_id=f"PHANTOM-{subset * MOST_SCANS + scan + 1:04d}",
        body=body,
        vessels=vessels,
        airways=airways,
        nodules=nodules,
        readings=tuple(draw_readings(rng, n.kind, n.shape, n.diameter_mm) for n in nodules),
        look_alikes_xyz_mm=_draw_look_alikes(rng, body, vessels, nodules),
    )


def patient_of(subset: int, scan: int) -> tuple[int, int]:
    """The (subset, scan) of the first series of a series' patient: mostly its own.

    Every fifth scan is a second series: in even subsets of the scan before it, in odd subsets of
    a scan two places earlier in the subset before. No patient has three.
    """
    if scan % 5 != 4:
        return subset, scan
    return (subset, scan - 1) if subset % 2 == 0 else (subset - 1, scan - 2)


def _flips(subset: int, scan: int) -> tuple[bool, bool, bool]:
    turn = (subset + scan) % 8
    if turn == 1:
        return (False, True, True)  # as LUNA16 has them: x and y
    return (True, False, False) if turn == 5 else (False, False, False)


def _draw_grid(rng: np.random.Generator, body: Body, size: Size, shift: list[float]) -> VoxelGrid:
    side = _IN_PLANE[size]
    pixel = round(2.0 * body.half_width_mm * rng.uniform(1.02, 1.12) / side, 6)
    thin, thick = _SLICE_MM[size]
    slice_mm = max(rng.uniform(thin, thick), body.height_mm / 400.0)
    slice_mm = round(slice_mm * 20.0) / 20.0 if size == "small" else round(slice_mm, 2)
    count = min(max(round(body.height_mm / slice_mm), 64), 400)
    spacing = (slice_mm, pixel, pixel)
    half = [0.5 * (n - 1) * s for n, s in zip((count, side, side), spacing, strict=True)]
    jitter = rng.uniform(-1.0, 1.0, size=3) * (0.5 * slice_mm, 0.5, 0.5)
    z, y, x = (round(shift[2 - k] - half[k] + float(jitter[k]), 6) for k in range(3))
    return VoxelGrid((count, side, side), spacing, (x, y, z))


def _draw_nodules(
    rng: np.random.Generator, body: Body, vessels: Tree, size: Size
) -> tuple[Nodule, ...]:
    largest = LARGEST_IN_SMALL_MM if size == "small" else LARGEST_MM
    nodules: list[Nodule] = []
    for _ in range(pick(rng, _NUM_NODULES, _NUM_NODULES_ODDS)):
        nodule = _draw_nodule(rng, body, vessels, largest, nodules)
        if nodule is not None:
            nodules.append(nodule)
    return tuple(nodules)


def _draw_nodule(
    rng: np.random.Generator,
    body: Body,
    vessels: Tree,
    largest_mm: float,
    others: list[Nodule],
) -> Nodule | None:
    diameter = draw_diameter(rng, largest_mm)
    kind = draw_kind(rng, diameter)
    shape = draw_shape(rng, kind, diameter)
    wanted = pick(rng, PLACES, _PLACE_ODDS)
    form = draw_form(rng, shape, diameter)
    hu, core_hu, core_depth = draw_densities(rng, kind, diameter)
    # A large nodule may not fit where it was wanted: then it lies where there is room.
    for place in (wanted, *(other for other in PLACES if other != wanted)):
        centre = find_place(rng, body, vessels, place, 0.5 * diameter, _balls(others))
        if centre is not None:
            return Nodule(kind, shape, place, centre, diameter, form, hu, core_hu, core_depth)
    return None


def _draw_look_alikes(
    rng: np.random.Generator, body: Body, vessels: Tree, nodules: tuple[Nodule, ...]
) -> Floats:
    count = int(rng.integers(60, 96))
    forks = vessels.forks_xyz_mm[rng.permutation(len(vessels.forks_xyz_mm))[: int(0.6 * count)]]
    wall = pleural_points(rng, body, count // 4, 1.0)
    rest = lung_points(rng, body, max(count - len(forks) - len(wall), 0), 2.0)
    points = np.concatenate([forks + rng.normal(0.0, 0.4, size=forks.shape), wall, rest])
    return np.round(points[clear_of(points, _balls(nodules), 4.0)], 3)


def _balls(nodules: list[Nodule] | tuple[Nodule, ...]) -> list[tuple[Point, float]]:
    return [(nodule.centre_xyz_mm, max(nodule.form.reach_mm)) for nodule in nodules]


def _check(seed: int, subset: int, scan: int) -> None:
    fits = 0 <= seed < 2**63 and 0 <= subset < MOST_SUBSETS and 0 <= scan < MOST_SCANS
    if not fits:
        raise SettingError(
            value=f"seed {seed}, subset {subset}, scan {scan}",
            place="phantom",
            rule="the seed must be in [0, 2**63), "
            f"the subset in [0, {MOST_SUBSETS}), the scan in [0, {MOST_SCANS})",
            cure="Spread the scans over more subsets.",
        )
