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
    # Judged before anything is made: what is refused costs no memory.
    refuse_without_air(*_range(values, place), place)
    voxels_hu = np.empty(values.shape, dtype=np.int16)
    # Slice by slice: two whole copies of a float volume would be a gigabyte.
    for plane, plane_hu in zip(values, voxels_hu, strict=True):
        _clip(plane, plane_hu)
    return voxels_hu


def clip_to_hu(values: npt.NDArray[Any], into: VoxelsHu, place: str) -> tuple[float, float]:
    """Clip a part of a volume, such as a slice, into its place; whether it has air is not asked.

    Args:
        values: stored values after rescaling, any numeric type.
        into: where they go, of the same shape.
        place: the file they come from, for the message.

    Returns:
        The lowest and the highest value before clipping, for ``refuse_without_air``.

    Raises:
        HounsfieldError: NaN or infinity, or values no scanner stores.
    """
    lowest, highest = _range(values, place)
    _clip(values, into)
    return lowest, highest


def refuse_without_air(lowest: float, highest: float, place: str) -> None:
    """Refuse a volume whose lowest value is above air.

    Raises:
        HounsfieldError: it is.
    """
    if lowest > SURELY_AIR_HU:
        rule = f"a CT in HU must contain air (below {SURELY_AIR_HU} HU)"
        raise _not_hu(f"a range of [{lowest:g}, {highest:g}]", place, rule)


def _range(values: npt.NDArray[Any], place: str) -> tuple[float, float]:
    if values.dtype.kind not in "iuf":
        raise _not_hu(values.dtype, place, "voxels must be single numbers")
    lowest, highest = float(values.min()), float(values.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise _not_hu(f"{bad} voxels that are NaN or infinite", place, "every voxel must be finite")
    if lowest < -_STORABLE_HU or highest >= _STORABLE_HU:
        raise _not_hu(f"[{lowest:g}, {highest:g}]", place, "CT values must fit into 16 bits")
    return lowest, highest


def _clip(values: npt.NDArray[Any], into: VoxelsHu) -> None:
    clipped = np.clip(values, LOWEST_HU, HIGHEST_HU)
    into[...] = np.rint(clipped) if clipped.dtype.kind == "f" else clipped


def _not_hu(value: object, place: str, rule: str) -> HounsfieldError:
    cure = "Give a CT in Hounsfield units: not a mask, not a windowed picture, rescale applied."
    return HounsfieldError(value=value, place=place, rule=rule, cure=cure)
