# SPDX-License-Identifier: Apache-2.0
"""NIfTI-1's header, held against its voxels.

Belongs here: what ITK alone would let pass: it fills the rest of a truncated file with noise, and
turns NaN into 0. Does not belong here: where the voxels lie (``nifti_forms``), and reading them.
Format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from lung_pipeline.ct.nifti_forms import check_orientation
from lung_pipeline.ct.payload import bytes_of, refuse_odd_shape, refuse_other_length
from lung_pipeline.errors import HounsfieldError, ReadingError

_HEADER_BYTES = 348
_OFFSET_LIMIT_BYTES = 1 << 24  # beyond it a float32 holds no byte exactly
_MAGIC = b"n+1\0"
"""One file for header and voxels; the pair ``.hdr`` and ``.img`` has another."""

_BYTES_OF_DATATYPE = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4}
"""NIfTI's codes of the types that are one number: (u)int8 to 32, float32 and float64."""

_FLOATS = {16: "f4", 64: "f8"}
"""Of these, the types that can hold NaN, and NumPy's names of them."""

_BLOCK_BYTES = 1 << 20
"""Read at once; a multiple of every type's size."""


def checked_files(path: Path) -> tuple[Path, ...]:
    """The file itself, when its header fits its voxels.

    Raises:
        ReadingError: no NIfTI-1 file, not one number a voxel in three dimensions, truncated or
            too long.
        HounsfieldError: voxels that are NaN or infinite.
        GeometryError: where the voxels lie is not said, or said in two ways.
    """
    packed = path.suffix.lower() == ".gz"
    header = _read_header(path, packed)
    order = "<" if struct.unpack_from("<i", header)[0] == _HEADER_BYTES else ">"
    (length,) = struct.unpack_from(f"{order}i", header)
    if length != _HEADER_BYTES or header[344:348] != _MAGIC:
        raise _refusal(path, header[344:348], "a NIfTI-1 file must carry 'n+1' as its magic")
    check_orientation(path, header, order)
    sizes = _sizes(path, header, order)
    datatype, bits = struct.unpack_from(f"{order}hh", header, 70)
    if _BYTES_OF_DATATYPE.get(datatype, 0) * 8 != bits or not bits:
        found = f"datatype {datatype} with {bits} bits"
        raise _refusal(path, found, "a voxel must be one whole or floating number")
    # The header is counted with the voxels: in a gzip stream there is no seeking past it.
    first_byte = _first_voxel_byte(path, header, order)
    refuse_other_length(
        path,
        start=0,
        expected=first_byte + bytes_of(sizes, bits // 8),
        packing="gzip" if packed else "raw",
    )
    if datatype in _FLOATS:
        _refuse_not_finite(path, packed, first_byte, np.dtype(order + _FLOATS[datatype]))
    return (path,)


def _refuse_not_finite(path: Path, packed: bool, first_byte: int, kind: np.dtype[Any]) -> None:
    """Refuse NaN and infinity, which ITK's NIfTI reader would turn into 0 without a word."""
    bad = 0
    with _opened(path, packed) as file:
        file.read(first_byte)
        while block := file.read(_BLOCK_BYTES):
            bad += int(np.count_nonzero(~np.isfinite(np.frombuffer(block, kind))))
    if bad:
        raise HounsfieldError(
            value=f"{bad} voxels that are NaN or infinite",
            place=path,
            rule="every voxel must be finite",
            cure="Give a CT in Hounsfield units, as the scanner made it.",
        )


def _opened(path: Path, packed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if packed else path.open("rb")


def _first_voxel_byte(path: Path, header: bytes, order: str) -> int:
    (offset,) = struct.unpack_from(f"{order}f", header, 108)
    if not (_HEADER_BYTES <= offset < _OFFSET_LIMIT_BYTES and offset.is_integer()):
        raise _refusal(path, offset, "vox_offset must be a whole number behind the header")
    return int(offset)


def _read_header(path: Path, packed: bool) -> bytes:
    try:
        with _opened(path, packed) as file:
            header = file.read(_HEADER_BYTES)
    except (EOFError, OSError, zlib.error) as error:
        raise _refusal(path, f"'{error}'", "the file must be whole and packed with gzip") from None
    if len(header) < _HEADER_BYTES:
        raise _refusal(
            path, f"{len(header)} bytes", f"a NIfTI-1 header must have {_HEADER_BYTES} bytes"
        )
    return header


def _sizes(path: Path, header: bytes, order: str) -> tuple[int, ...]:
    dimensions, *sizes = struct.unpack_from(f"{order}8h", header, 40)
    if not 1 <= dimensions <= 7:
        raise _refusal(path, dimensions, "dim[0] must be the number of dimensions, 1 to 7")
    # A fourth axis of length one is how some programs write a volume.
    while dimensions > 3 and sizes[dimensions - 1] == 1:
        dimensions -= 1
    refuse_odd_shape(path, sizes[:dimensions])
    return tuple(sizes[:3])


def _refusal(path: Path, value: object, rule: str) -> ReadingError:
    cure = "Copy the file again, or convert the scan anew."
    return ReadingError(value=value, place=path, rule=rule, cure=cure)
