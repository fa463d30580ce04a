# SPDX-License-Identifier: Apache-2.0
"""A folder of DICOM files as exactly one complete, evenly spaced CT series.

Belongs here: which files belong together. Does not belong here: whether one file is a CT slice
(``dicom_header``), what grid they make (``slice_stack``), their pixels (``dicom_pixels``).
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.ct import dicom_header
from lung_pipeline.ct.dicom_header import (
    Header,
    is_ct_slice,
    read_header,
    refuse_other_than_ct,
)
from lung_pipeline.ct.dicom_pixels import read_voxels_hu, refuse_other_length
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.payload import MOST_VOLUME_BYTES
from lung_pipeline.ct.slice_stack import Slice, stack
from lung_pipeline.ct.threads import each
from lung_pipeline.errors import LungPipelineError, ReadingError, SeriesError

MOST_SLICES = 5000
"""The finest CT of a whole body has fewer; beyond it a folder holds many series."""


@dataclass(frozen=True, slots=True)
class Series:
    """One CT series, its slices in order along the normal."""

    series_uid: str
    """SeriesInstanceUID."""

    slices: tuple[Slice, ...]
    """Sorted along the normal (row direction times column direction)."""

    grid: VoxelGrid
    """The grid the slices make, before any turning."""

    slice_thickness_mm: float | None = None
    """The largest SliceThickness of the headers; None where none is given. Not the distance
    between slices, which is the grid's: thick slices may overlap."""

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


def series_uids_in(folder: Path) -> set[str] | None:
    """The CT series in a folder, scout views left out; None where no header can be read."""
    found, num_read = set(), 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        with contextlib.suppress(LungPipelineError, OSError):
            if is_dicom(path):
                header = read_header(path)
                num_read += 1
                if is_ct_slice(header):
                    found.add(header.tags.get(dicom_header.SERIES_UID, ""))
    return found if num_read else None


def read_series(folder: Path) -> Series:
    """Read the headers of the one CT series in a folder; other files are passed over.

    Raises:
        SeriesError: no series or several, not a CT, a localiser, a slice that is missing, doubled,
            shifted or unlike the others, slices that do not run along their normal (gantry tilt).
        HounsfieldError: slices that do not say how their values become HU.
        ReadingError: a file that is truncated or cannot be read, or packed in a way that is not.
    """
    headers = each(read_header, _dicom_files(folder))
    series_uid = _only_series(folder, headers)
    for header in headers:
        refuse_other_than_ct(header)
    slices, grid = stack(each(_slice, headers), folder)
    _refuse_too_large(folder, grid)
    given = [one.thickness_mm for one in headers]
    return Series(series_uid, slices, grid, max((mm for mm in given if mm), default=None))


def read_values(series: Series, folder: Path) -> VoxelsHu:
    """Read all pixels as clipped HU, shape (index, row, column), a few slices at a time.

    Raises:
        ReadingError: pixels that cannot be decoded.
        HounsfieldError: values that are not a CT's.
    """
    return read_voxels_hu(series.slices, folder)


def _dicom_files(folder: Path) -> list[Path]:
    visible = sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] not in "._~")
    files = [path for path in visible if is_dicom(path)]
    known, called = set(files), {_form(path) for path in files}
    for path in visible:
        is_cut = path not in known and (path.suffix.lower() == ".dcm" or _form(path) in called)
        if is_cut and path.name.upper() != "DICOMDIR":
            raise ReadingError(
                value=f"{path.stat().st_size} bytes without DICOM's mark",
                place=path,
                rule="a file called .dcm, or as the slices beside it, must be DICOM",
                cure="Copy the file again from its source, or move it out of the folder.",
            )
    if not files:
        raise SeriesError(
            value=f"no DICOM among {len(visible)} files" if visible else "an empty one",
            place=folder,
            rule="a folder must hold the DICOM files of one CT series",
            cure="Name the folder in which the slices themselves lie.",
        )
    if len(files) > MOST_SLICES:
        raise SeriesError(
            value=f"{len(files)} files",
            place=folder,
            rule=f"a CT series must have at most {MOST_SLICES} slices",
            cure="Move each series into a folder of its own.",
        )
    return files


def _form(path: Path) -> str:
    """A file's name but for its numbers: IM0001 and IM0002 are called alike."""
    return re.sub(r"\d+", "0", path.name)


def _only_series(folder: Path, headers: Sequence[Header]) -> str:
    counts = Counter(one.text(dicom_header.SERIES_UID) for one in headers)
    if len(counts) > 1:
        raise SeriesError(
            value=", ".join(f"{uid} ({count} files)" for uid, count in sorted(counts.items())),
            place=folder,
            rule="a folder must hold one series",
            cure="Move each series into a folder of its own.",
        )
    (series_uid,) = counts
    return series_uid


def _slice(header: Header) -> Slice:
    found = Slice(
        path=header.path,
        position_xyz_mm=header.numbers(dicom_header.POSITION, 3),
        orientation=header.numbers(dicom_header.ORIENTATION, 6),
        spacing_rc_mm=header.numbers(dicom_header.PIXEL_SPACING, 2),
        shape_rc=header.shape_rc,
    )
    bits = math.prod(found.shape_rc) * int(header.numbers(dicom_header.BITS_ALLOCATED, 1)[0])
    refuse_other_length(header.path, bits // 8)
    return found


def _refuse_too_large(folder: Path, grid: VoxelGrid) -> None:
    """Compressed slices promise a size that their files need not have."""
    size = 2 * math.prod(grid.shape_irc)
    if size > MOST_VOLUME_BYTES:
        raise SeriesError(
            value=f"{grid.shape_irc} (slices, rows, columns), {size} bytes in 16 bits",
            place=folder,
            rule=f"a volume must fill at most {MOST_VOLUME_BYTES} bytes",
            cure="Reconstruct the scan with fewer or coarser slices.",
        )
