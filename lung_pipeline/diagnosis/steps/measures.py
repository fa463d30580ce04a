# SPDX-License-Identifier: Apache-2.0
"""What is measured on the voxels of a finding: its size and its density.

Belongs here: figures of one mask. Does not belong here: where the mask comes from
(``pipeline.py``), and what the models say of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.grouping.components import ball_diameter_mm

Density = Literal["ground glass", "part-solid", "solid"]
"""Kinds of nodules as the Fleischner Society tells them (MacMahon et al., Radiology 2017)."""

DENSITIES: tuple[Density, ...] = get_args(Density)
"""All kinds, the thinnest first."""

SOLID_HU = -300
"""Voxels above are solid: at this threshold software tells a solid part from none with the
sensitivity (90 %) and specificity (88 %) of a reader (Scholten et al., Eur Radiol 2015, 25:488)."""

FEWEST_SOLID = 0.06
"""Below this share of solid voxels a nodule is ground glass: the cutoff published for -300 HU is
6.14 %. What is less are vessels that run through it."""

MOSTLY_SOLID = 0.6
"""From this share on a nodule is solid. On phantoms, cores of part-solid nodules are up to 52 %
solid; those of solid ones 96 % and more, and 40 % at worst where the mask is 0.7 mm too wide."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one finding's mask."""

    volume_mm3: float
    """Volume of its voxels."""

    diameter_mm: float
    """Diameter of the ball of that volume."""

    longest_axial_mm: float
    """The longest distance between two corners of its voxels within one slice; 0 without any."""

    mean_hu: float
    """Mean of its voxels; NaN where there is none."""

    density: str
    """One of ``DENSITIES``; empty where there is no voxel."""


def measured(
    mask: FindingMask, voxels_hu: VoxelsHu, spacing_irc_mm: tuple[float, float, float]
) -> Measures:
    """Measure one finding.

    Args:
        mask: its voxels; the box lies within the volume.
        voxels_hu: the whole volume in canonical order, shape (index, row, column).
        spacing_irc_mm: distance between voxel centres along each axis.
    """
    box_hu = voxels_hu[mask.box]
    count = int(np.count_nonzero(mask.voxels))
    volume_mm3 = float(count * np.prod(spacing_irc_mm))
    return Measures(
        volume_mm3=volume_mm3,
        diameter_mm=ball_diameter_mm(volume_mm3),
        longest_axial_mm=longest_axial_mm(mask.voxels, spacing_irc_mm),
        mean_hu=float(box_hu[mask.voxels].mean()) if count else float("nan"),
        density=density_of(mask.voxels, box_hu) if count else "",
    )


def longest_axial_mm(
    voxels: npt.NDArray[np.bool_], spacing_irc_mm: tuple[float, float, float]
) -> float:
    """The longest distance between two corners of marked voxels of one slice; 0 without any.

    Args:
        voxels: shape (index, row, column).
        spacing_irc_mm: distance between voxel centres along each axis.
    """
    from scipy.spatial.distance import pdist

    corners_mm = (_outermost_corners(plane) * spacing_irc_mm[1:] for plane in voxels)
    return max((float(pdist(slice_mm).max(initial=0.0)) for slice_mm in corners_mm), default=0.0)


def density_of(voxels: npt.NDArray[np.bool_], box_hu: VoxelsHu) -> Density:
    """The kind of a nodule by the share of its voxels that are solid.

    Its outermost voxels in each slice are left out, since they are half lung: of a solid nodule
    they would make a part-solid one. Where nothing is left, all count.

    Args:
        voxels: at least one marked, shape (index, row, column).
        box_hu: density, same shape.
    """
    from scipy import ndimage

    cross = ndimage.generate_binary_structure(2, 1)[None]
    core = ndimage.binary_erosion(voxels, cross)
    share = float((box_hu[core if core.any() else voxels] > SOLID_HU).mean())
    if share < FEWEST_SOLID:
        return "ground glass"
    return "solid" if share >= MOSTLY_SOLID else "part-solid"


def _outermost_corners(plane: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Row and column of the corners of the first and the last marked voxel of each row."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - plane[rows, ::-1].argmax(axis=1)
    ends = [(row, column) for row in (rows, rows + 1) for column in (first, last)]
    return np.concatenate([np.stack(end, axis=1) for end in ends]).astype(np.float64)
