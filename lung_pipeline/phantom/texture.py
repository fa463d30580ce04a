# SPDX-License-Identifier: Apache-2.0
"""Irregularity: smooth fields that make tissue uneven, and the scanner's correlated noise.

Belongs here: random fields on a grid. Does not belong here: what is made uneven by them. Sums are
written out voxel by voxel (no BLAS, no transcendental function), so a seed fixes every byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.phantom.shapes import Array

Floats32 = npt.NDArray[np.float32]

_SMOOTHED_SD = 70.0 / 256.0
"""What [1 4 6 4 1]/16 along two axes leaves of white noise's standard deviation."""

_SHARED = 0.45
"""Part of a slice's noise that comes from the slice before: neighbouring slices overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A random field, about standard normal at its nodes, linear between them."""

    nodes: Floats32
    """Shape (z, y, x)."""

    cell_mm: float
    """Distance between nodes."""

    start_xyz_mm: tuple[float, float, float]
    """Place of the first node, body frame."""

    def at(self, x: Array, y: Array, z: Array) -> Floats32:
        """The field on the grid of three lines of coordinates, shape (z, y, x)."""
        values = self.nodes
        for axis, line in ((0, z), (1, y), (2, x)):
            values = _between(values, axis, (line - self.start_xyz_mm[2 - axis]) / self.cell_mm)
        return values


def draw_field(
    rng: np.random.Generator, half_xyz_mm: tuple[float, float, float], cell_mm: float
) -> Field:
    """Draw a field that covers a box around zero; beyond it the border's values go on."""
    counts = [int(2.0 * half / cell_mm) + 3 for half in half_xyz_mm[::-1]]
    nodes = rng.standard_normal(counts, dtype=np.float32)
    x, y, z = (-half for half in half_xyz_mm)
    return Field(nodes, cell_mm, (x, y, z))


def noise_slices(
    rng: np.random.Generator, rows: int, columns: int, sd_hu: float
) -> Iterator[Floats32]:
    """Noise for one slice after another, without end: correlated in the plane and along z."""
    gain = np.float32(sd_hu / _SMOOTHED_SD / (1.0 + _SHARED**2) ** 0.5)
    before = _smoothed(rng, rows, columns)
    while True:
        own = _smoothed(rng, rows, columns)
        yield (own + np.float32(_SHARED) * before) * gain
        before = own


def _smoothed(rng: np.random.Generator, rows: int, columns: int) -> Floats32:
    white = rng.standard_normal((rows + 4, columns + 4), dtype=np.float32)
    for _ in range(2):
        white = white[:-2] + 2.0 * white[1:-1] + white[2:]
        white = white[:, :-2] + 2.0 * white[:, 1:-1] + white[:, 2:]
    return white * np.float32(1.0 / 256.0)


def _between(values: Floats32, axis: int, at: Array) -> Floats32:
    at = np.clip(at, 0.0, values.shape[axis] - 1.001)
    low = np.floor(at).astype(np.intp)
    shape = [1, 1, 1]
    shape[axis] = -1
    share = (at - low).astype(np.float32).reshape(shape)
    first, second = values.take(low, axis=axis), values.take(low + 1, axis=axis)
    return first + (second - first) * share
