# SPDX-License-Identifier: Apache-2.0
"""The grid of a CT: where its voxels lie in the patient.

The conventions of the whole package, stated here and nowhere else:

- ``irc`` is array order: index (slice), row, column. Whole numbers are voxel *centres*.
- ``xyz_mm`` is DICOM's patient space: LPS (x grows to the patient's left, y to the back, z to the
  head), millimetres.
- Ranges are half-open: voxels ``[start, stop)`` reach from ``start - 0.5`` to ``stop - 0.5``.
- The voxel that holds a point is ``floor(irc + 0.5)``.
- ``direction`` is ITK's matrix: its columns are the unit vectors, in patient space, along which
  the *column*, the *row* and the *index* of a voxel grow, in that order.

Belongs here: geometry that needs no voxel value. Knows NumPy; knows no file and no SimpleITK.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import GeometryError

Points = npt.NDArray[np.float64]
"""Points, shape (n, 3); the suffix of a variable says in which space and order."""

Triple = tuple[int, int, int]
"""Whole numbers along index, row and column: a voxel, a shape, a step."""

Matrix3 = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""A 3 x 3 matrix, row by row."""

IDENTITY: Matrix3 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""The direction of a canonical, untilted scan."""

ORTHONORMAL_TOLERANCE = 1e-3
"""Largest entry of ``|D^T D - 1|``: headers carry four to six digits of each direction cosine."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class VoxelGrid:
    """A regular grid of voxels in patient space; it may be oblique or mirrored, never skewed."""

    shape_irc: tuple[int, int, int]
    """Number of slices, rows and columns."""

    spacing_irc_mm: tuple[float, float, float]
    """Distance between neighbouring voxel centres along index, row and column."""

    origin_xyz_mm: tuple[float, float, float]
    """Centre of voxel (0, 0, 0)."""

    direction: Matrix3 = IDENTITY
    """ITK's direction matrix (see the head of this file)."""

    def __post_init__(self) -> None:
        _check_numbers(self)
        matrix = np.asarray(self.direction, dtype=np.float64)
        error = float(np.abs(matrix.T @ matrix - np.eye(3)).max())
        if not error <= ORTHONORMAL_TOLERANCE:
            raise GeometryError(
                value=self.direction,
                place="direction",
                rule="the direction matrix must be orthonormal "
                f"(largest deviation {error:.3g}, allowed {ORTHONORMAL_TOLERANCE:g})",
                cure="Resample the scan onto right-angled axes; gantry tilt shears a grid.",
            )

    def irc_to_xyz_mm(self, points_irc: npt.ArrayLike) -> Points:
        """Map voxel coordinates, shape (n, 3), fractions allowed, to patient millimetres.

        Points off the grid are mapped too: a nodule may reach beyond a cropped volume.
        """
        step_xyz = np.asarray(points_irc, dtype=np.float64)[..., ::-1] * self._spacing_xyz_mm
        return step_xyz @ np.asarray(self.direction).T + np.asarray(self.origin_xyz_mm)

    def xyz_mm_to_irc(self, points_xyz_mm: npt.ArrayLike) -> Points:
        """Map patient millimetres, shape (n, 3), to voxel coordinates with fractions.

        ``inverse(direction) @ (xyz - origin) / spacing``, in that order: right for every
        orthonormal direction, and the exact inverse of ``irc_to_xyz_mm`` for nearly so ones.
        """
        offset = np.asarray(points_xyz_mm, dtype=np.float64) - np.asarray(self.origin_xyz_mm)
        steps = offset @ np.linalg.inv(np.asarray(self.direction)).T
        return np.asarray((steps / self._spacing_xyz_mm)[..., ::-1])

    def voxel_of(self, points_xyz_mm: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The voxels (index, row, column) that hold the points; they may lie off the grid."""
        return np.floor(self.xyz_mm_to_irc(points_xyz_mm) + 0.5).astype(np.int64)

    def contains_irc(self, points_irc: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each point, shape (n, 3), lies within a voxel of the grid."""
        points = np.asarray(points_irc, dtype=np.float64)
        inside = (points >= -0.5) & (points < np.asarray(self.shape_irc) - 0.5)
        return np.asarray(inside.all(axis=-1))

    @property
    def voxel_volume_mm3(self) -> float:
        """The volume of one voxel."""
        return float(np.prod(self.spacing_irc_mm))

    @property
    def _spacing_xyz_mm(self) -> Points:
        return np.asarray(self.spacing_irc_mm, dtype=np.float64)[::-1]


@dataclass(frozen=True, slots=True)
class AxesChange:
    """How to turn an array, and its grid, into canonical order."""

    order: tuple[int, int, int]
    """For each new axis (index, row, column), the old axis it comes from."""

    flipped: tuple[bool, bool, bool]
    """For each new axis, whether it runs the other way."""

    @property
    def is_identity(self) -> bool:
        """Whether nothing has to be turned."""
        return self.order == (0, 1, 2) and not any(self.flipped)

    def turn_voxels(self, voxels: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
        """Turn an array of shape (index, row, column); the result lies contiguous in memory."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return np.ascontiguousarray(voxels.transpose(self.order)[steps])

    def turn_back_points(
        self, points_irc: npt.ArrayLike, shape_irc: tuple[int, int, int]
    ) -> npt.NDArray[Any]:
        """Where points of the turned array, shape (n, 3), lay before; whole numbers stay whole.

        Args:
            points_irc: voxel coordinates in the new order, fractions allowed.
            shape_irc: shape of the turned array, which a flipped axis is counted from.
        """
        points = np.asarray(points_irc)
        before = np.empty_like(points)
        for new, (old, flip) in enumerate(zip(self.order, self.flipped, strict=True)):
            before[..., old] = shape_irc[new] - 1 - points[..., new] if flip else points[..., new]
        return before

    def turn_grid(self, grid: VoxelGrid) -> VoxelGrid:
        """The same points in space under the new order of axes."""
        signs = [-1.0 if flip else 1.0 for flip in self.flipped]
        # A flipped axis starts at what was its last voxel.
        first_irc = [0, 0, 0]
        for old, flip in zip(self.order, self.flipped, strict=True):
            first_irc[old] = grid.shape_irc[old] - 1 if flip else 0
        axes_irc = np.asarray(grid.direction)[:, ::-1]  # columns: index, row, column
        turned_irc = axes_irc[:, list(self.order)] * signs + 0.0  # no "-0.0" in what is stored
        return VoxelGrid(
            shape_irc=_triple(grid.shape_irc[old] for old in self.order),
            spacing_irc_mm=_triple(grid.spacing_irc_mm[old] for old in self.order),
            origin_xyz_mm=_triple(grid.irc_to_xyz_mm([first_irc])[0].tolist()),
            direction=_triple(_triple(row) for row in turned_irc[:, ::-1].tolist()),
        )


def canonical_axes(grid: VoxelGrid) -> AxesChange:
    """The change that brings a grid nearest to LPS: index to head, row to back, column to left.

    Of the six orders of axes the one is taken whose axes lie closest to z, y and x; a tilted scan
    keeps its tilt, since turning axes never interpolates.
    """
    axes_irc = np.asarray(grid.direction)[:, ::-1]  # columns: old index, row, column axis
    toward_zyx = axes_irc[::-1]  # rows: components along z, y, x
    order = max(
        itertools.permutations(range(3)),
        key=lambda old: sum(abs(toward_zyx[new, old[new]]) for new in range(3)),
    )
    flipped = _triple(bool(toward_zyx[new, order[new]] < 0) for new in range(3))
    return AxesChange(order=_triple(order), flipped=flipped)


def grid_in(
    place: object,
    *,
    shape_irc: tuple[int, int, int],
    spacing_irc_mm: tuple[float, float, float],
    origin_xyz_mm: tuple[float, float, float],
    direction: Matrix3,
) -> VoxelGrid:
    """Make the grid of a scan; where it is none, the error names the scan."""
    try:
        return VoxelGrid(shape_irc, spacing_irc_mm, origin_xyz_mm, direction)
    except GeometryError as error:
        raise GeometryError(
            value=error.value,
            place=f"{place} ({error.place})",
            rule=error.rule,
            cure=error.cure,
        ) from None


def _check_numbers(grid: VoxelGrid) -> None:
    if min(grid.shape_irc) < 1:
        raise GeometryError(
            value=grid.shape_irc,
            place="shape_irc",
            rule="a grid must have at least one voxel along each axis",
            cure="Check the size written in the header.",
        )
    if not all(np.isfinite(s) and s > 0 for s in grid.spacing_irc_mm):
        raise GeometryError(
            value=grid.spacing_irc_mm,
            place="spacing_irc_mm",
            rule="spacing must be positive",
            cure="A zero usually means two slices at one position: check the header.",
        )
    if not np.isfinite(grid.origin_xyz_mm).all():
        raise GeometryError(
            value=grid.origin_xyz_mm,
            place="origin_xyz_mm",
            rule="the origin must be finite",
            cure="Check the offset written in the header.",
        )


def _triple(values: Any) -> Any:
    first, second, third = values
    return (first, second, third)
