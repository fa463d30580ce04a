# SPDX-License-Identifier: Apache-2.0
"""MetaIO's header (``.mhd`` beside its voxels, ``.mha`` before them), held against its voxels.

Belongs here: what a header promises and whether the bytes keep it. ITK alone takes a file that is
longer than its header says, or a broken compressed stream, without a word, and ignores a scaling.
Does not belong here: reading the voxels; ``plain_int16`` says when no reader is needed for that.
Format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.ct.payload import bytes_of, refuse_odd_shape, refuse_other_length
from lung_pipeline.errors import ReadingError

_BYTES_OF_TYPE = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}

_HEADER_LIMIT_BYTES = 1 << 16
"""A header is a screen of text; without its last line within this, a file is something else."""

_GEOMETRY = {
    **dict.fromkeys(("Offset", "Position", "Origin"), 3),
    **dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), 9),
}
"""MetaIO's names of the origin and of the direction, and how many numbers each takes."""

_LAST_KEY = "ElementDataFile"


@dataclass(frozen=True, slots=True)
class _Header:
    path: Path
    """The file the header stands in."""

    fields: dict[str, str]
    """Key to value, as written."""

    length_bytes: int
    """Where the header ends, and the voxels of an ``.mha`` begin."""

    is_ambiguous: bool = False
    """Whether a key stands twice, in whatever letters."""

    def text(self, key: str, default: str | None = None) -> str:
        value = self.fields.get(key, default)
        if value is None:
            raise self.refusal("no such line", key, "must be given")
        return value

    def numbers(self, key: str, default: str | None = None) -> tuple[float, ...]:
        text = self.text(key, default)
        try:
            return tuple(float(word) for word in text.split())
        except ValueError:
            raise self.refusal(repr(text), key, "must be numbers") from None

    def refusal(self, value: object, key: str, rule: str) -> ReadingError:
        return ReadingError(
            value=value,
            place=self.path,
            rule=f"{key} {rule}",
            cure="Correct the header, or write the scan anew from its source.",
        )


def checked_files(path: Path) -> tuple[Path, ...]:
    """The header and the file of its voxels, when the one fits the other.

    Raises:
        ReadingError: a header that is broken, lies about the size or type, leaves the folder, or
            asks for what ITK does not do; voxels that are absent, truncated or too many.
    """
    header = _read_header(path)
    _check_meaning(header)
    data_file = _data_file(header)
    _check_length(header, data_file)
    return (path,) if data_file == path else (path, data_file)


def plain_int16(path: Path) -> Path | None:
    """The file that holds nothing but the voxels as little-endian int16; None where ITK must read.

    Of a header that ``checked_files`` let pass. None also where a line stands twice, since another
    reader may take the other one.
    """
    header = _read_header(path)
    is_big_endian = any(
        header.text(key, "False").lower() != "false"
        for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    )
    is_packed = header.text("CompressedData", "False").lower() != "false"
    is_int16 = header.text("ElementType") == "MET_SHORT"
    if path.suffix.lower() != ".mhd" or is_big_endian or is_packed or not is_int16:
        return None
    return None if header.is_ambiguous else _data_file(header)


def name_of_voxels(path: Path) -> str:
    """The name of the file that an ``.mhd`` has its voxels in; empty where it names none.

    Never a path: what a header may name beside itself, and what not, says ``checked_files``.
    """
    try:
        return Path(_read_header(path).text(_LAST_KEY)).name
    except ReadingError:
        return ""


def _read_header(path: Path) -> _Header:
    with path.open("rb") as file:
        lines = file.read(_HEADER_LIMIT_BYTES).splitlines(keepends=True)
    fields: dict[str, str] = {}
    keys: list[str] = []
    length = 0
    for line in lines:
        length += len(line)
        key, equals, value = _decoded(line).partition("=")
        if equals:
            fields[key.strip()] = value.strip()
            keys.append(key.strip().lower())
        if key.strip() == _LAST_KEY:
            return _Header(path, fields, length, len(set(keys)) < len(keys))
    raise ReadingError(
        value="no such line",
        place=path,
        rule=f"a MetaIO header must end with {_LAST_KEY}",
        cure="Copy the header again: it is truncated or not MetaIO.",
    )


def _decoded(line: bytes) -> str:
    """The format names no encoding: most write UTF-8 today, and Latin-1 takes every byte."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _check_meaning(header: _Header) -> None:
    """Refuse what ITK would ignore or misread."""
    wanted = {
        "NDims": ("", "3"),
        "BinaryData": ("True", "True"),
        "ElementNumberOfChannels": ("1", "1"),
        "HeaderSize": ("0", "0"),
        "ElementToIntensityFunctionSlope": ("1", "1"),
        "ElementToIntensityFunctionOffset": ("0", "0"),
    }
    for key, (default, must_be) in wanted.items():
        found = header.text(key, default or None)
        if found.lower() != must_be.lower() and not _same_number(found, must_be):
            raise header.refusal(found, key, f"must be {must_be}")
    spacing = header.numbers("ElementSpacing")
    if len(spacing) != 3 or not all(math.isfinite(s) and s > 0 for s in spacing):
        raise header.refusal(spacing, "ElementSpacing", "must be three positive numbers")
    for key, count in _GEOMETRY.items():
        numbers = header.numbers(key) if key in header.fields else (0.0,) * count
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise header.refusal(numbers, key, f"must be {count} finite numbers")


def _same_number(found: str, wanted: str) -> bool:
    try:
        return float(found) == float(wanted)
    except ValueError:
        return False


def _data_file(header: _Header) -> Path:
    """The file of the voxels: beside the header and a plain name, so that none is led elsewhere."""
    name = header.text(_LAST_KEY)
    local = header.path.suffix.lower() == ".mha"
    if local != (name == "LOCAL"):
        rule = "must be LOCAL in an .mha, and a file's name in an .mhd"
        raise header.refusal(repr(name), _LAST_KEY, rule)
    if local:
        return header.path
    if name != Path(name).name or "\\" in name or "%" in name or name in {"", "..", "LIST"}:
        rule = "must be the plain name of one file beside the header"
        raise header.refusal(repr(name), _LAST_KEY, rule)
    data_file = header.path.with_name(name)
    if not data_file.is_file():
        raise ReadingError(
            value="no file",
            place=data_file,
            rule=f"the voxels of {header.path.name} must lie beside it",
            cure="Copy the file of the voxels too.",
        )
    _refuse_led_elsewhere(header, data_file)
    return data_file


def _refuse_led_elsewhere(header: _Header, data_file: Path) -> None:
    """A link to a folder is a person's own; one to a single file may come with the scan.

    Both files may be links, if they lead to one folder.
    """
    if data_file.is_symlink() and data_file.resolve().parent != header.path.resolve().parent:
        raise ReadingError(
            value="a link out of it",
            place=data_file,
            rule=f"the voxels must lie in the folder of {header.path.name}",
            cure="Copy the file of the voxels there, or link the whole folder.",
        )


def _check_length(header: _Header, data_file: Path) -> None:
    shape = header.numbers("DimSize")
    if any(not size.is_integer() for size in shape):
        raise header.refusal(shape, "DimSize", "must be whole numbers")
    sizes = tuple(int(size) for size in shape)
    refuse_odd_shape(header.path, sizes)
    element = header.text("ElementType")
    if element not in _BYTES_OF_TYPE:
        raise header.refusal(element, "ElementType", f"must be one of {', '.join(_BYTES_OF_TYPE)}")
    start = header.length_bytes if data_file == header.path else 0
    compressed = header.text("CompressedData", "False").lower() == "true"
    stored = str(data_file.stat().st_size - start)
    promised = header.text("CompressedDataSize", stored)
    if compressed and promised != stored:
        raise ReadingError(
            value=stored,
            place=data_file,
            rule=f"the compressed voxels must fill {promised} bytes, as CompressedDataSize says",
            cure="Copy the file again from its source.",
        )
    refuse_other_length(
        data_file,
        start=start,
        expected=bytes_of(sizes, _BYTES_OF_TYPE[element]),
        packing="zlib" if compressed else "raw",
    )
