# SPDX-License-Identifier: Apache-2.0
"""What goes into the models, in a few numbers: HU values, spacings, slices, share of lung.

Belongs here: how scans are summed up and how far two sums lie apart. Does not belong here: how far
they may (``tolerances.py``) and where the scans are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import DENSE_HU, HIGHEST_HU, LOWEST_HU, VoxelsHu

NUM_BINS = 20
"""Bins of the histogram over [-1000, 1000] HU: 100 HU wide, fine enough to part lung from fat."""

EMPTY_HU = -950
"""Below lies more air than lung: the density mask's limit of emphysema (P. Gevenois et al.,
Comparison of computed density and microscopic morphometry in pulmonary emphysema, 1996)."""

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Which quantiles of the scans are kept: the least, the quartiles, the greatest."""

_BIN_HU = (HIGHEST_HU - LOWEST_HU) // NUM_BINS


@dataclass(frozen=True, slots=True, eq=False)
class ScanProfile:
    """One scan, summed up."""

    voxels_of_hu: npt.NDArray[np.int64]
    """How many voxels have each whole HU from -1000 to 1000, shape (2001,)."""

    num_slices: int
    """Its slices."""

    slice_spacing_mm: float
    """Distance between slices."""

    pixel_spacing_mm: float
    """Distance between columns."""


@dataclass(frozen=True, slots=True)
class InputProfile:
    """Many scans, summed up."""

    hu_shares: tuple[float, ...]
    """Share of all voxels in each of ``NUM_BINS`` bins of equal width."""

    lung_share: float
    """Share of all voxels that look like aerated lung, -950 to -700 HU."""

    num_slices: tuple[float, ...]
    """Quantiles of the scans, as ``QUANTILES`` names them."""

    slice_spacing_mm: tuple[float, ...]
    """Quantiles of the scans."""

    pixel_spacing_mm: tuple[float, ...]
    """Quantiles of the scans."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> InputProfile:
        """The profile as it was before ``as_json``."""
        read: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value
            for name, value in record.items()
        }
        return cls(**read)


def profile_of_scan(voxels_hu: VoxelsHu, grid: VoxelGrid) -> ScanProfile:
    """Sum up one scan; ``voxels_hu`` has the shape (index, row, column)."""
    counts = np.zeros(HIGHEST_HU - LOWEST_HU + 1, dtype=np.int64)
    # Slice by slice: counting needs 64-bit copies, of a whole volume almost a gigabyte.
    for plane_hu in voxels_hu:
        steps = np.clip(plane_hu, LOWEST_HU, HIGHEST_HU).astype(np.int64) - LOWEST_HU
        counts += np.bincount(steps.ravel(), minlength=len(counts))
    return ScanProfile(counts, len(voxels_hu), grid.spacing_irc_mm[0], grid.spacing_irc_mm[2])


def profile_of(scans: Iterable[ScanProfile]) -> InputProfile:
    """Sum up scans, at least one; their order does not matter."""
    profiles = list(scans)
    counts = np.sum([scan.voxels_of_hu for scan in profiles], axis=0)
    steps = np.arange(len(counts))
    # The last bin holds the highest value too, as NumPy's histogram has it.
    bins = np.bincount(np.minimum(steps // _BIN_HU, NUM_BINS - 1), weights=counts)
    is_lung = (steps >= EMPTY_HU - LOWEST_HU) & (steps < DENSE_HU - LOWEST_HU)
    return InputProfile(
        hu_shares=tuple((bins / counts.sum()).tolist()),
        lung_share=float(counts[is_lung].sum() / counts.sum()),
        num_slices=_quantiles([scan.num_slices for scan in profiles]),
        slice_spacing_mm=_quantiles([scan.slice_spacing_mm for scan in profiles]),
        pixel_spacing_mm=_quantiles([scan.pixel_spacing_mm for scan in profiles]),
    )


def total_variation(shares: Iterable[float], others: Iterable[float]) -> float:
    """The share of voxels that would have to change bins to turn one histogram into the other.

    Half the sum of absolute differences (D. Levin, Y. Peres, Markov Chains and Mixing Times, 2017,
    section 4.1). The population stability index, more common for drift, is infinite where a bin is
    empty on one side alone, and has no unit that a person could picture.
    """
    return float(np.abs(np.subtract(tuple(shares), tuple(others))).sum() / 2)


def _quantiles(values: list[int] | list[float]) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist())
