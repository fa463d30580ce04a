# SPDX-License-Identifier: Apache-2.0
"""A folder of DICOM files as exactly one complete, evenly spaced CT series.

Belongs here: which files belong together, and whether each is a whole CT slice. Does not belong
here: what grid they make (``slice_stack``), and how a DICOM file is parsed: ``itk`` does that
through GDCM, which takes a slope of 1 and an intercept of 0 where a file names no rescaling.
Attributes: DICOM PS3.3, C.7.6.3 (image pixel) and C.8.2 (CT image).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.itk import read_dicom_tags, read_slice_values
from lung_pipeline.ct.slice_stack import Slice, stack
from lung_pipeline.errors import ReadingError, SeriesError

_SERIES_UID, _MODALITY = "0020|000e", "0008|0060"
_POSITION, _ORIENTATION, _PIXEL_SPACING = "0020|0032", "0020|0037", "0028|0030"
_ROWS, _COLUMNS, _BITS_ALLOCATED = "0028|0010", "0028|0011", "0028|0100"

_NAMES = {
    _SERIES_UID: "SeriesInstanceUID",
    _MODALITY: "Modality",
    _POSITION: "ImagePositionPatient",
    _ORIENTATION: "ImageOrientationPatient",
    _PIXEL_SPACING: "PixelSpacing",
    _ROWS: "Rows",
    _COLUMNS: "Columns",
    _BITS_ALLOCATED: "BitsAllocated",
}


@dataclass(frozen=True, slots=True)
class Series:
    """One CT series, its slices in order along the normal."""

    series_uid: str
    """SeriesInstanceUID."""

    slices: tuple[Slice, ...]
    """Sorted along the normal (row direction times column direction)."""

    grid: VoxelGrid
    """The grid the slices make, before any turning."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The slices' files, in the same order."""
        return tuple(one.path for one in self.slices)


def is_dicom(path: Path) -> bool:
    """Whether a file bears DICOM's mark, "DICM" after 128 bytes."""
    if not path.is_file() or path.name.upper() == "DICOMDIR":
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_series(folder: Path) -> Series:
    """Read the headers of the one CT series in a folder; other files are passed over.

    Raises:
        SeriesError: no series or several, not a CT, a slice that is missing, doubled, shifted or
            unlike the others, slices that do not run along their normal (gantry tilt).
        ReadingError: a file that is truncated or cannot be read.
    """
    headers = {path: read_dicom_tags(path) for path in _dicom_files(folder)}
    series_uid = _only_series(folder, headers)
    slices = (_slice(path, tags) for path, tags in headers.items())
    return Series(series_uid, *stack(slices, folder))


def read_values(series: Series) -> npt.NDArray[np.float32]:
    """Read all pixels, rescaled, shape (index, row, column); float32 holds 16 bits exactly."""
    values = np.empty(series.grid.shape_irc, dtype=np.float32)
    for index, one in enumerate(series.slices):
        values[index] = _pixels(one)
    return values


def _dicom_files(folder: Path) -> list[Path]:
    visible = sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] not in "._~")
    for path in visible:
        if path.suffix.lower() == ".dcm" and not is_dicom(path):
            raise ReadingError(
                value=f"{path.stat().st_size} bytes without DICOM's mark",
                place=path,
                rule="a .dcm file must be DICOM",
                cure="Copy the file again from its source, or move it out of the folder.",
            )
    files = [path for path in visible if is_dicom(path)]
    if not files:
        raise SeriesError(
            value=f"{len(visible)} other files",
            place=folder,
            rule="a folder must hold the DICOM files of one CT series",
            cure="Name the folder in which the slices themselves lie.",
        )
    return files


def _only_series(folder: Path, headers: dict[Path, dict[str, str]]) -> str:
    counts = Counter(_text(path, tags, _SERIES_UID) for path, tags in headers.items())
    if len(counts) > 1:
        raise SeriesError(
            value=", ".join(f"{uid} ({count} files)" for uid, count in sorted(counts.items())),
            place=folder,
            rule="a folder must hold one series",
            cure="Move each series into a folder of its own.",
        )
    for path, tags in headers.items():
        modality = _text(path, tags, _MODALITY)
        if modality != "CT":
            raise SeriesError(
                value=f"modality {modality}",
                place=path,
                rule="every file of the series must be a CT slice",
                cure="Give a CT series.",
            )
    (series_uid,) = counts
    return series_uid


def _slice(path: Path, tags: dict[str, str]) -> Slice:
    rows, columns = (int(_numbers(path, tags, tag, 1)[0]) for tag in (_ROWS, _COLUMNS))
    bits = rows * columns * int(_numbers(path, tags, _BITS_ALLOCATED, 1)[0])
    found = Slice(
        path=path,
        position_xyz_mm=_numbers(path, tags, _POSITION, 3),
        orientation=_numbers(path, tags, _ORIENTATION, 6),
        spacing_rc_mm=_numbers(path, tags, _PIXEL_SPACING, 2),
        shape_rc=(rows, columns),
    )
    _refuse_other_pixels(path, bits // 8)
    return found


def _text(path: Path, tags: dict[str, str], tag: str) -> str:
    if not tags.get(tag):
        raise _missing(path, tag, "nothing")
    return tags[tag]


def _numbers(path: Path, tags: dict[str, str], tag: str, count: int) -> tuple[float, ...]:
    text = _text(path, tags, tag)
    try:
        numbers = tuple(float(word) for word in text.split("\\"))
    except ValueError:
        raise _missing(path, tag, repr(text)) from None
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise _missing(path, tag, repr(text))
    return numbers


def _missing(path: Path, tag: str, found: str) -> SeriesError:
    return SeriesError(
        value=found,
        place=path,
        rule=f"{_NAMES[tag]} ({tag}) must be given in full",
        cure="Export the series again, as plain CT slices (not multi-frame, not a scout view).",
    )


def _refuse_other_pixels(path: Path, expected_bytes: int) -> None:
    """Refuse pixels that are not as long as rows x columns; GDCM would read beyond their end."""
    expected = expected_bytes + expected_bytes % 2  # DICOM pads to an even length
    content = path.read_bytes()
    tag = b"\xe0\x7f\x10\x00"
    for form in (b"OW\0\0", b"OB\0\0", b""):
        # Compressed pixels have no length of their own: the decoder counts those.
        lengths = (expected, 0xFFFFFFFF) if form else (expected,)
        if any(tag + form + length.to_bytes(4, "little") in content for length in lengths):
            return
    raise ReadingError(
        value="another length",
        place=path,
        rule=f"the pixels must fill {expected} bytes (one frame of rows x columns, little-endian)",
        cure="Copy the file again, or export the series as plain CT slices.",
    )


def _pixels(one: Slice) -> npt.NDArray[Any]:
    values = read_slice_values(one.path)
    if values.shape != (1, *one.shape_rc):
        raise SeriesError(
            value=values.shape,
            place=one.path,
            rule=f"a slice must hold one frame of {one.shape_rc} single numbers",
            cure="Export the series as plain CT slices: grey values, not multi-frame.",
        )
    return values[0]
