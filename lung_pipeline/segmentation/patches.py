# SPDX-License-Identifier: Apache-2.0
"""What the U-Net learns from: 64 x 64 patches of seven slices, with and without a nodule.

A series is read once; of it only small regions are kept, so that memory grows with nodules and
not with scans. The reference design has no patches without a nodule, which is why it marks about
1,900 things a scan; here a share of each batch is background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lung_pipeline.annotations.consensus import Voxels
from lung_pipeline.crops.windows import cut_window
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import AnnotationError
from lung_pipeline.segmentation.inference import windows_of_slices
from lung_pipeline.segmentation.masks import grow_mask
from lung_pipeline.segmentation.unet import CONTEXT_SLICES

REGION_SIZE = 96
"""Rows and columns of a region: a patch finds its place in it at random."""

PATCH_SIZE = 64
"""Rows and columns of a patch."""

BACKGROUND_SLICES = 3
"""Slices that can be marked in a region without a nodule of its own."""

Mask = npt.NDArray[np.bool_]


def _no_voxels() -> Voxels:
    return np.empty((0, 3), np.int64)


@dataclass(frozen=True, slots=True)
class NoduleMark:
    """Where a nodule lies and how large it is."""

    center_xyz_mm: tuple[float, float, float]
    """The annotated centre."""

    diameter_mm: float
    """The annotated diameter."""

    voxels_irc: Voxels = field(default_factory=_no_voxels, compare=False)
    """What its readers enclose, shape (n, 3); empty where that is not known."""

    @property
    def is_from_contours(self) -> bool:
        """Whether its mask is the readers', not one grown from the centre."""
        return len(self.voxels_irc) > 0


@dataclass(frozen=True, slots=True)
class Region:
    """A small part of a series; its first and last three slices are context only."""

    slices_hu: VoxelsHu
    """Shape (depth + 6, 96, 96)."""

    mask: Mask
    """Truth, shape (depth, 96, 96)."""


def mark_nodules(voxels_hu: VoxelsHu, grid: VoxelGrid, nodules: Sequence[NoduleMark]) -> Mask:
    """The truth of a whole series: the masks of its nodules together.

    A nodule's mask is what its readers enclose; where that is not known it is grown.

    Raises:
        AnnotationError: a centre lies outside the volume.
    """
    mask = np.zeros(voxels_hu.shape, dtype=np.bool_)
    for nodule in nodules:
        center = _center_voxel(grid, nodule)
        if nodule.is_from_contours:
            mask[tuple(nodule.voxels_irc.T)] = True
        else:
            mask |= grow_mask(voxels_hu, center, nodule.diameter_mm, grid.spacing_irc_mm)
    return mask


def nodule_region(voxels_hu: VoxelsHu, mask: Mask, grid: VoxelGrid, nodule: NoduleMark) -> Region:
    """The region around a nodule: its slices and one more on each side."""
    center = _center_voxel(grid, nodule)
    reach = int(np.ceil(nodule.diameter_mm / 2 / grid.spacing_irc_mm[0]))
    # A diameter is a mean over axes: what the readers outlined may be longer than wide.
    outlined = np.abs(nodule.voxels_irc[:, 0] - center[0]).max(initial=reach)
    return _cut_region(voxels_hu, mask, center, 2 * int(outlined) + 3)


def background_region(voxels_hu: VoxelsHu, mask: Mask, center_irc: tuple[int, int, int]) -> Region:
    """A region around anything else; a nodule that reaches into it is in its mask."""
    return _cut_region(voxels_hu, mask, center_irc, BACKGROUND_SLICES)


def patch_batches(
    nodule_regions: Sequence[Region],
    background_regions: Sequence[Region],
    *,
    batch_size: int,
    num_batches: int,
    background_share: float,
    rng: np.random.Generator,
) -> Iterator[tuple[VoxelsHu, Mask]]:
    """Draw batches of patches as they lie in their regions.

    They are mirrored, scaled and turned later, on the device (``crops.augmentation``).

    Yields:
        Seven slices in HU, (batch, 7, 64, 64), and the truth of the middle one, (batch, 1, 64, 64).
    """
    for _ in range(num_batches):
        from_background = rng.random(batch_size) < background_share
        patches = [
            _draw_patch(background_regions if background else nodule_regions, rng)
            for background in from_background
        ]
        slices, masks = zip(*patches, strict=True)
        yield np.stack(slices), np.stack(masks)


def _draw_patch(regions: Sequence[Region], rng: np.random.Generator) -> tuple[VoxelsHu, Mask]:
    region = regions[int(rng.integers(len(regions)))]
    index = int(rng.integers(len(region.mask)))
    row, column = rng.integers(REGION_SIZE - PATCH_SIZE + 1, size=2)
    place = np.s_[row : row + PATCH_SIZE, column : column + PATCH_SIZE]
    slices = region.slices_hu[index : index + 2 * CONTEXT_SLICES + 1][:, *place]
    mask = region.mask[index : index + 1][:, *place]
    return slices, mask


def _cut_region(
    voxels_hu: VoxelsHu, mask: Mask, center_irc: tuple[int, int, int], depth: int
) -> Region:
    index, row, column = center_irc
    # At an end of the volume a region is less deep: a slice seen as if it lay beyond the end would
    # have surroundings that no slice has when a volume is segmented.
    indices = np.unique(np.clip(index + np.arange(depth) - depth // 2, 0, len(voxels_hu) - 1))
    around = np.concatenate(
        [
            windows_of_slices(voxels_hu, indices[:1])[0, :CONTEXT_SLICES],
            voxels_hu[indices],
            windows_of_slices(voxels_hu, indices[-1:])[0, -CONTEXT_SLICES:],
        ]
    )
    # Beyond the volume a window is filled with air, which is no 1: there is no nodule.
    marked = _cut_columns(mask[indices].astype(np.int16), row, column) == 1
    return Region(_cut_columns(around, row, column), marked)


def _cut_columns(slices: VoxelsHu, row: int, column: int) -> VoxelsHu:
    """All the slices, cut to the region's rows and columns around a voxel."""
    shape = (len(slices), REGION_SIZE, REGION_SIZE)
    return cut_window(slices, (len(slices) // 2, row, column), shape)


def _center_voxel(grid: VoxelGrid, nodule: NoduleMark) -> tuple[int, int, int]:
    index, row, column = (int(v) for v in grid.voxel_of([nodule.center_xyz_mm])[0])
    if not grid.contains_irc([(index, row, column)])[0]:
        raise AnnotationError(
            value=nodule.center_xyz_mm,
            place="annotated centre in mm",
            rule=f"a nodule must lie inside its scan of shape {grid.shape_irc}",
            cure="Check that annotation and scan belong together.",
        )
    return (index, row, column)
