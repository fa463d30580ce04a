# SPDX-License-Identifier: Apache-2.0
"""The pixels of a CT series, slice by slice, straight into Hounsfield units.

Belongs here: how long a slice's pixels must be, and the one volume they are read into: beside it
there are never more than a few slices. Does not belong here: headers; decoding, which is GDCM's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lung_pipeline.ct.hounsfield import VoxelsHu, clip_to_hu, refuse_without_air
from lung_pipeline.ct.itk import read_slice_values
from lung_pipeline.ct.slice_stack import Slice
from lung_pipeline.ct.threads import each
from lung_pipeline.errors import ReadingError, SeriesError

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_UNDEFINED_LENGTH = 0xFFFFFFFF

_LARGEST_SLICE_BYTES = 1 << 26
"""4096 x 4096 in 32 bits. Compressed pixels may promise more than their file has: none is made."""


def read_voxels_hu(slices: Sequence[Slice], place: Path) -> VoxelsHu:
    """Read all pixels, rescaled and clipped, shape (index, row, column).

    Args:
        slices: in the order they are to stand, all of one shape.
        place: the folder they lie in, for messages.

    Raises:
        ReadingError: pixels that cannot be decoded.
        SeriesError: a file that holds another shape than its header says.
        HounsfieldError: values that are not a CT's.
    """
    voxels_hu = np.empty((len(slices), *slices[0].shape_rc), dtype=np.int16)

    def fill(index: int) -> tuple[float, float]:
        values = _values(slices[index])
        return clip_to_hu(values, voxels_hu[index], str(slices[index].path))

    lowest, highest = zip(*each(fill, range(len(slices))), strict=True)
    refuse_without_air(min(lowest), max(highest), str(place))
    return voxels_hu


def refuse_other_length(path: Path, expected_bytes: int) -> None:
    """Refuse pixels that are not as long as rows x columns; GDCM would read beyond their end.

    Raises:
        ReadingError: no pixels, fewer or more.
    """
    expected = expected_bytes + expected_bytes % 2  # DICOM pads to an even length
    if not 0 < expected <= _LARGEST_SLICE_BYTES:
        raise _unfit(path, expected, f"a slice must fill 1 to {_LARGEST_SLICE_BYTES} bytes")
    content = path.read_bytes()
    for form in (b"OW\0\0", b"OB\0\0", b""):
        # Compressed pixels have no length of their own: the decoder counts those.
        lengths = (expected, _UNDEFINED_LENGTH) if form else (expected,)
        if any(_PIXEL_DATA + form + n.to_bytes(4, "little") in content for n in lengths):
            return
    rule = f"the pixels must fill {expected} bytes (one frame of rows x columns, little-endian)"
    raise _unfit(path, "another length", rule)


def _unfit(path: Path, value: object, rule: str) -> ReadingError:
    cure = "Copy the file again, or export the series as plain CT slices."
    return ReadingError(value=value, place=path, rule=rule, cure=cure)


def _values(one: Slice) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    values = read_slice_values(one.path)
    if values.shape != (1, *one.shape_rc):
        raise SeriesError(
            value=values.shape,
            place=one.path,
            rule=f"a slice must hold one frame of {one.shape_rc} single numbers",
            cure="Export the series as plain CT slices: grey values, not multi-frame.",
        )
    return values[0]
