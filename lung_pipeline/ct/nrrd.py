# SPDX-License-Identifier: Apache-2.0
"""NRRD's header, held against its voxels.

Belongs here: what ITK alone would let pass: a file longer than its header says, a compressed
stream without its end, an axis without a direction. Does not belong here: reading the voxels.
Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

from pathlib import Path

from lung_pipeline.ct.payload import Packing, bytes_of, refuse_odd_shape, refuse_other_length
from lung_pipeline.errors import GeometryError, ReadingError

_MAGIC = b"NRRD000"
_HEADER_LIMIT_BYTES = 1 << 16

_NAMES_BY_BYTES: dict[int, tuple[str, ...]] = {
    1: ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"),
    2: (
        *("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
        *("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    ),
    4: (
        *("int", "signed int", "int32", "int32_t"),
        *("uint", "unsigned int", "uint32", "uint32_t", "float"),
    ),
    8: ("double",),
}
_BYTES_OF_TYPE = {name: size for size, names in _NAMES_BY_BYTES.items() for name in names}

_PACKINGS: dict[str, Packing] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}

_SPACES = {
    *("left-posterior-superior", "lps", "right-anterior-superior", "ras"),
    *("left-anterior-superior", "las"),
}
"""The patient spaces that ITK turns into LPS; others it would take as they stand."""


def checked_files(path: Path) -> tuple[Path, ...]:
    """The file itself, when its header fits its voxels.

    Raises:
        ReadingError: no NRRD file, voxels elsewhere or in another packing, truncated or too long.
        GeometryError: the header does not say how the axes lie in the patient.
    """
    fields, start = _read_header(path)
    _check_meaning(path, fields)
    sizes = _whole_numbers(path, fields, "sizes")
    refuse_odd_shape(path, sizes)
    refuse_other_length(
        path,
        start=start,
        expected=bytes_of(sizes, _BYTES_OF_TYPE[fields["type"]]),
        packing=_PACKINGS[fields["encoding"]],
    )
    return (path,)


def _read_header(path: Path) -> tuple[dict[str, str], int]:
    with path.open("rb") as file:
        lines = file.read(_HEADER_LIMIT_BYTES).splitlines(keepends=True)
    if not lines or not lines[0].startswith(_MAGIC):
        raise _refusal(path, "another beginning", "a NRRD file must begin with 'NRRD000'")
    fields: dict[str, str] = {}
    length = 0
    for line in lines:
        length += len(line)
        text = line.decode("latin-1").strip()
        if not text:
            return fields, length
        key, colon, value = text.partition(":")
        # "key:=value" is a free remark, "# ..." a comment.
        if colon and not value.startswith("=") and not text.startswith("#"):
            fields[key.strip().lower()] = value.strip().lower()
    raise _refusal(path, "no such line", "a NRRD header must end with an empty line")


def _check_meaning(path: Path, fields: dict[str, str]) -> None:
    if "data file" in fields or "datafile" in fields:
        raise _refusal(path, "'data file'", "the voxels must stand in the same file as the header")
    for key, known in (("type", _BYTES_OF_TYPE), ("encoding", _PACKINGS)):
        if fields.get(key) not in known:
            rule = f"'{key}' must be one of {', '.join(known)}"
            raise _refusal(path, repr(fields.get(key)), rule)
    for key in ("line skip", "lineskip", "byte skip", "byteskip"):
        if fields.get(key, "0") != "0":
            raise _refusal(path, fields[key], f"'{key}' must be 0")
    if fields.get("dimension") != "3":
        raise _refusal(path, repr(fields.get("dimension")), "'dimension' must be 3")
    directions = fields.get("space directions", "")
    if fields.get("space") not in _SPACES or directions.count("(") != 3:
        raise GeometryError(
            value=f"space {fields.get('space')!r}, space directions {directions!r}",
            place=path,
            rule="a NRRD file must say how its three axes lie in the patient (LPS, RAS or LAS)",
            cure="Convert the scan anew from DICOM.",
        )


def _whole_numbers(path: Path, fields: dict[str, str], key: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in fields.get(key, "").split())
    except ValueError:
        raise _refusal(path, repr(fields[key]), f"'{key}' must be whole numbers") from None


def _refusal(path: Path, value: object, rule: str) -> ReadingError:
    cure = "Copy the file again, or convert the scan anew."
    return ReadingError(value=value, place=path, rule=rule, cure=cure)
