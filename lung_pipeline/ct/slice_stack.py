# SPDX-License-Identifier: Apache-2.0
"""Slices, each with its own place in the patient, as one evenly spaced, right-angled grid.

Belongs here: the order along the normal and the grid, worked out from ImagePositionPatient and
ImageOrientationPatient in double precision, whatever the files are called. Does not belong here:
files; only their names are used, in messages.
Attributes: DICOM PS3.3, C.7.6.2 (image plane).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import VoxelGrid, grid_in
from lung_pipeline.errors import SeriesError

POSITION_TOLERANCE_MM = 0.2
"""How far a slice may lie from its place: headers round to 0.1 mm, pixels are 0.5 mm or more."""

_STEP_TOLERANCE = 0.25
"""The same as a share of the spacing, which is the narrower bound where slices are thin."""

_SAME = 1e-4
"""How far two slices' spacings (mm) or direction cosines may differ, being written as text."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slice:
    """One file of a series: what its header says of its place."""

    path: Path
    """The file."""

    position_xyz_mm: tuple[float, ...]
    """Centre of the first pixel."""

    orientation: tuple[float, ...]
    """Unit vectors along which the column, then the row, of a pixel grows."""

    spacing_rc_mm: tuple[float, ...]
    """Distance between rows, then between columns: DICOM's order."""

    shape_rc: tuple[int, int]
    """Number of rows and columns."""


def stack(slices: Iterable[Slice], place: Path) -> tuple[tuple[Slice, ...], VoxelGrid]:
    """Sort slices along their normal (row direction times column direction) into one grid.

    Args:
        slices: one or more, in any order.
        place: the folder they lie in, for messages.

    Raises:
        SeriesError: a slice that is missing, doubled, shifted or unlike the others; slices that
            do not run along their normal (gantry tilt).
        GeometryError: directions that do not stand at right angles.
    """
    unsorted = list(slices)
    _refuse_unlike(unsorted)
    normal = _normal(unsorted)
    _grid(place, unsorted, normal, spacing_mm=1.0)  # refuses directions that define no normal
    ordered = tuple(sorted(unsorted, key=lambda one: float(np.dot(one.position_xyz_mm, normal))))
    spacing_mm = _even_spacing_mm(place, ordered, normal)
    _refuse_sideways(place, ordered, normal)
    return ordered, _grid(place, ordered, normal, spacing_mm)


def _refuse_unlike(slices: Sequence[Slice]) -> None:
    for name, values in (
        ("ImageOrientationPatient", [one.orientation for one in slices]),
        ("PixelSpacing", [one.spacing_rc_mm for one in slices]),
        ("size (rows, columns)", [one.shape_rc for one in slices]),
    ):
        usual = _usual(values)
        off = np.abs(np.array(values) - usual).max(axis=1)
        worst = int(off.argmax())
        if off[worst] > _SAME:
            raise SeriesError(
                value=values[worst],
                place=slices[worst].path,
                rule=f"{name} must be that of the other slices, {usual}",
                cure="Move scout views and other reconstructions out of the folder.",
            )


def _usual(values: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The middle of each number over all slices: the same for every order of files."""
    return tuple(np.median(np.array(values, dtype=np.float64), axis=0).tolist())


def _normal(slices: Sequence[Slice]) -> Vector:
    orientation = _usual([one.orientation for one in slices])
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / max(float(np.linalg.norm(normal)), 1e-12))


def _even_spacing_mm(place: Path, slices: Sequence[Slice], normal: Vector) -> float:
    """The distance between slices; ``slices`` are sorted along ``normal``."""
    if len(slices) < 2:
        raise _uneven(place, "one slice", "a series must have two slices or more")
    along_mm = np.array([np.dot(one.position_xyz_mm, normal) for one in slices])
    _refuse_doubled(place, slices, along_mm)
    _refuse_gap(place, slices, along_mm)
    spacing_mm = float(along_mm[-1] - along_mm[0]) / (len(slices) - 1)
    drift_mm = np.abs(along_mm - along_mm[0] - spacing_mm * np.arange(len(slices)))
    if drift_mm.max() > POSITION_TOLERANCE_MM:
        value = f"{drift_mm.max():.2f} mm of drift at {slices[int(drift_mm.argmax())].path.name}"
        raise _uneven(place, value, f"slices must lie {spacing_mm:.3f} mm apart everywhere")
    return spacing_mm


def _refuse_doubled(place: Path, slices: Sequence[Slice], along_mm: Vector) -> None:
    least = int(np.diff(along_mm).argmin())
    if along_mm[least + 1] - along_mm[least] <= _SAME:
        pair = f"{slices[least].path.name} and {slices[least + 1].path.name}"
        value = f"{pair} both at {along_mm[least]:.2f} mm along the normal"
        raise _uneven(place, value, "no two slices may lie at one position")


def _refuse_gap(place: Path, slices: Sequence[Slice], along_mm: Vector) -> None:
    steps_mm = np.diff(along_mm)
    usual_mm = float(np.median(steps_mm))
    worst = int(np.abs(steps_mm - usual_mm).argmax())
    if abs(steps_mm[worst] - usual_mm) <= min(POSITION_TOLERANCE_MM, _STEP_TOLERANCE * usual_mm):
        return
    missing = round(steps_mm[worst] / usual_mm) - 1
    value = (
        f"{steps_mm[worst]:.3f} mm{f' ({missing} missing)' if missing > 0 else ''} between "
        f"{slices[worst].path.name} at {along_mm[worst]:.2f} mm and "
        f"{slices[worst + 1].path.name} at {along_mm[worst + 1]:.2f} mm along the normal"
    )
    raise _uneven(place, value, f"slices must lie {usual_mm:.3f} mm apart everywhere")


def _uneven(place: Path, value: str, rule: str) -> SeriesError:
    cure = "Fetch the series again: each slice once, none left out."
    return SeriesError(value=value, place=place, rule=rule, cure=cure)


def _refuse_sideways(place: Path, slices: Sequence[Slice], normal: Vector) -> None:
    """Refuse slices that do not lie straight above each other."""
    offsets_mm = np.array([one.position_xyz_mm for one in slices]) - slices[0].position_xyz_mm
    sideways_mm = offsets_mm - np.outer(offsets_mm @ normal, normal)
    even_mm = np.outer(np.linspace(0.0, 1.0, len(slices)), sideways_mm[-1])
    # A tilt moves all slices alike, and so lies on a line; what is off that line was shifted.
    off_line_mm = np.linalg.norm(sideways_mm - even_mm, axis=1)
    worst = int(off_line_mm.argmax())
    if off_line_mm[worst] > POSITION_TOLERANCE_MM:
        value = f"{slices[worst].path.name} shifted sideways by {off_line_mm[worst]:.2f} mm"
        cure = "Take the slice from the source again; its position is not that of this series."
    elif np.linalg.norm(sideways_mm[-1]) > POSITION_TOLERANCE_MM:
        slope = np.linalg.norm(sideways_mm[-1]) / abs(float(offsets_mm[-1] @ normal))
        value = f"a tilt of {np.degrees(np.arctan(slope)):.2f} degrees"
        cure = "Resample the scan onto right-angled axes: gantry tilt shears a grid."
    else:
        return
    rule = "slices must lie straight above each other along their normal"
    raise SeriesError(value=value, place=place, rule=rule, cure=cure)


def _grid(place: Path, slices: Sequence[Slice], normal: Vector, spacing_mm: float) -> VoxelGrid:
    orientation = _usual([one.orientation for one in slices])
    axes_xyz = np.column_stack([orientation[:3], orientation[3:], normal])
    rows: Any = tuple(tuple(row) for row in axes_xyz.tolist())
    row_mm, column_mm = _usual([one.spacing_rc_mm for one in slices])
    x_mm, y_mm, z_mm = slices[0].position_xyz_mm
    return grid_in(
        place,
        shape_irc=(len(slices), *slices[0].shape_rc),
        spacing_irc_mm=(spacing_mm, row_mm, column_mm),
        origin_xyz_mm=(x_mm, y_mm, z_mm),
        direction=rows,
    )
