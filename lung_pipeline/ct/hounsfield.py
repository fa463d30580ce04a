# SPDX-License-Identifier: Apache-2.0
"""Hounsfield units: the constants of the house and the one way into them.

Belongs here: what a voxel value means. Does not belong here: where the voxel lies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import HounsfieldError

AIR_HU = -1000
"""Air, by the definition of the scale; also what lies outside a volume."""

WATER_HU = 0
"""Water, by the definition of the scale."""

LOWEST_HU, HIGHEST_HU = -1000, 1000
"""Values are clipped to this range: below lies only padding, above only dense bone and metal."""

DENSE_HU = -700
"""Tissue denser than this is not aerated lung (threshold of the reference design's masks)."""

SURELY_AIR_HU = -500
"""A CT of a body has air in or around it; where nothing is below this, values are not HU."""

_STORABLE_HU = 32768
"""DICOM stores CT in 16 bits; values beyond cannot come from a scanner."""

VoxelsHu = npt.NDArray[np.int16]
"""Voxels in HU, clipped, shape (index, row, column)."""


def to_hu(values: npt.NDArray[Any], place: str) -> VoxelsHu:
    """Clip a reader's values to HU as int16.

    Args:
        values: stored values after rescaling, any numeric type, shape (index, row, column).
        place: the file they come from, for the message.

    Raises:
        HounsfieldError: NaN or infinity, values no scanner stores, or no air at all.
    """
    if values.dtype.kind not in "iuf":
        raise _not_hu(values.dtype, place, "voxels must be single numbers")
    lowest, highest = float(values.min()), float(values.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise _not_hu(f"{bad} voxels that are NaN or infinite", place, "every voxel must be finite")
    if lowest < -_STORABLE_HU or highest >= _STORABLE_HU:
        raise _not_hu(f"[{lowest:g}, {highest:g}]", place, "CT values must fit into 16 bits")
    if lowest > SURELY_AIR_HU:
        rule = f"a CT in HU must contain air (below {SURELY_AIR_HU} HU)"
        raise _not_hu(f"a range of [{lowest:g}, {highest:g}]", place, rule)
    voxels_hu = np.empty(values.shape, dtype=np.int16)
    # Slice by slice: two whole copies of a float volume would be a gigabyte.
    for plane, plane_hu in zip(values, voxels_hu, strict=True):
        clipped = np.clip(plane, LOWEST_HU, HIGHEST_HU)
        plane_hu[...] = np.rint(clipped) if clipped.dtype.kind == "f" else clipped
    return voxels_hu


def _not_hu(value: object, place: str, rule: str) -> HounsfieldError:
    cure = "Give a CT in Hounsfield units: not a mask, not a windowed picture, rescale applied."
    return HounsfieldError(value=value, place=place, rule=rule, cure=cure)
