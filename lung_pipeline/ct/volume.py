# SPDX-License-Identifier: Apache-2.0
"""A CT in memory: voxels in HU, the grid they lie on, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import GeometryError, HounsfieldError


@dataclass(frozen=True, slots=True)
class CtVolume:
    """One series, in canonical order: indices grow to the head, back and left of the patient."""

    series_uid: str
    """The DICOM series UID, or the file's stem where the format has none."""

    voxels_hu: VoxelsHu
    """Clipped HU, int16, shape (index, row, column)."""

    grid: VoxelGrid
    """Where the voxels lie, in canonical order."""

    original_grid: VoxelGrid
    """The grid as the file had it, before axes were turned."""

    source_sha256: str
    """SHA-256 over the bytes of the voxel and header files, in the order they were read."""

    slice_thickness_mm: float | None = None
    """The largest SliceThickness of the headers; None where the format has none, or it is empty."""

    def __post_init__(self) -> None:
        if self.voxels_hu.dtype != np.int16:
            raise HounsfieldError(
                value=self.voxels_hu.dtype,
                place=self.series_uid,
                rule="voxels must be int16",
                cure="Bring the values to HU with to_hu().",
            )
        if self.voxels_hu.shape != self.grid.shape_irc:
            raise GeometryError(
                value=self.voxels_hu.shape,
                place=self.series_uid,
                rule=f"the voxels must have the grid's shape {self.grid.shape_irc}",
                cure="Turn voxels and grid together, with canonical_axes().",
            )
