# SPDX-License-Identifier: Apache-2.0
"""A scan on disk to a CT in memory, whole and in canonical order, or one named error.

Belongs here: which files make a scan, and the one way from them to a ``CtVolume``. Does not belong
here: the formats; ``metaio``, ``nifti``, ``nrrd`` and ``dicom_series`` hold each header against
its voxels, and ``itk`` reads them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct import dicom_series, itk, metaio, nifti, nrrd
from lung_pipeline.ct.geometry import VoxelGrid, canonical_axes
from lung_pipeline.ct.hounsfield import VoxelsHu, to_hu
from lung_pipeline.ct.path_text import text_of
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import ReadingError

_FORMATS: dict[str, tuple[Callable[[Path], tuple[Path, ...]], itk.Format]] = {
    ".mhd": (metaio.checked_files, "MetaImageIO"),
    ".mha": (metaio.checked_files, "MetaImageIO"),
    ".nii": (nifti.checked_files, "NiftiImageIO"),
    ".nii.gz": (nifti.checked_files, "NiftiImageIO"),
    ".nrrd": (nrrd.checked_files, "NrrdImageIO"),
}
"""Ending to the check of its header and ITK's reader of it."""

_TEMPORARY_ENDINGS = (".tmp", ".part", ".old")
"""What half-written files and folders are called, here and by common downloaders."""


def read_ct(path: Path) -> CtVolume:
    """Read a scan: ``.mhd``, ``.mha``, ``.nii``, ``.nii.gz``, ``.nrrd`` or a DICOM folder.

    The axes are turned to the canonical order, nearest to LPS; nothing is resampled.

    Raises:
        ReadingError: absent, truncated, too long, contradicted by its header, of unknown kind.
        SeriesError: a DICOM folder that is not one complete, evenly spaced CT series.
        GeometryError: axes that are skewed, or not known.
        HounsfieldError: values that are not a CT's.
    """
    if path.is_dir():
        series = dicom_series.read_series(path)
        files, series_uid, original_grid = series.files, series.series_uid, series.grid
        thickness_mm = series.slice_thickness_mm
        voxels_hu = dicom_series.read_values(series, path)
    else:
        ending = _ending(path)
        files, series_uid = source_files(path), path.name[: -len(ending)]
        thickness_mm = None
        voxels_hu, original_grid = _read_file(path, _FORMATS[ending][1])
    change = canonical_axes(original_grid)
    return CtVolume(
        series_uid=series_uid,
        voxels_hu=change.turn_voxels(voxels_hu),
        grid=change.turn_grid(original_grid),
        original_grid=original_grid,
        source_sha256=sha256_of(files),
        slice_thickness_mm=thickness_mm,
    )


def _read_file(path: Path, reader: itk.Format) -> tuple[VoxelsHu, VoxelGrid]:
    """The values as ITK has them are gone before axes are turned, which takes a copy.

    LUNA16's own files are numbers and nothing else: NumPy reads them in half of ITK's time.
    """
    plain = metaio.plain_int16(path) if reader == "MetaImageIO" else None
    if plain is not None:
        grid = itk.read_grid(path, reader)
        return to_hu(_int16_in(plain, grid), str(path)), grid
    with itk.opened_image(path, reader) as (values, grid):
        return to_hu(values, str(path)), grid


def _int16_in(file: Path, grid: VoxelGrid) -> npt.NDArray[np.int16]:
    """All of a file as little-endian int16, shape (index, row, column)."""
    values: npt.NDArray[np.int16] = np.fromfile(file, dtype="<i2")
    if 2 * values.size != file.stat().st_size or values.size != math.prod(grid.shape_irc):
        raise ReadingError(
            value=f"{values.size} voxels",
            place=file,
            rule=f"there must be {math.prod(grid.shape_irc)} of them, as the header says",
            cure="Do not write the file while it is read; copy it again where it is damaged.",
        )
    return values.reshape(grid.shape_irc)


def read_grid(path: Path) -> tuple[str, VoxelGrid]:
    """The series UID of a scan and its grid as the file has it; only headers are read.

    Raises:
        LungPipelineError: as ``read_ct``, but for what only the voxels would tell.
    """
    if path.is_dir():
        series = dicom_series.read_series(path)
        return series.series_uid, series.grid
    ending = _ending(path)
    source_files(path)
    return path.name[: -len(ending)], itk.read_grid(path, _FORMATS[ending][1])


def source_files(path: Path) -> tuple[Path, ...]:
    """All files of a scan, in the order they are read: header first, slices along the normal.

    Raises:
        ReadingError: the scan is absent, incomplete or of unknown kind.
    """
    if path.is_dir():
        return dicom_series.read_series(path).files
    ending = _ending(path)
    _refuse_absent(path)
    return _FORMATS[ending][0](path)


def series_uid_of(path: Path) -> str | None:
    """What the series of a file is called, by its name alone; None: no file of a known form."""
    ending = _known_ending(path)
    return path.name[: -len(ending)] if ending else None


def sha256_of(files: Iterable[Path]) -> str:
    """SHA-256, as hexadecimal, over the bytes of the files in the order given."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def scans_in(folder: Path) -> list[Path]:
    """The scans of a subset's folder, sorted: files of known endings, and folders with DICOM.

    DICOM folders may lie deeper, as TCIA hands them out (patient, study, series). Hidden and
    temporary names are passed over.

    Raises:
        ReadingError: the folder is absent.
    """
    if not folder.is_dir():
        raise ReadingError(
            value="no folder",
            place=folder,
            rule="the folder of the scans must exist",
            cure="Check the path, or the subset's name.",
        )
    files = [path for path in _visible(folder) if path.is_file() and _known_ending(path)]
    return sorted([*files, *_dicom_folders(folder)])


def _dicom_folders(folder: Path, depth: int = 0) -> Iterator[Path]:
    """A link to a patient's folder elsewhere is followed; one deeper down could lead round."""
    children = _visible(folder)
    if any(_may_be_dicom(path) for path in children):
        yield folder  # and on: one file that lies too high must not hide all others
    for path in children:
        if path.is_dir() and not (depth and path.is_symlink()):
            yield from _dicom_folders(path, depth + 1)


def _may_be_dicom(path: Path) -> bool:
    """What may not be read counts: its scan is then refused, and not the whole subset."""
    try:
        return dicom_series.is_dicom(path)
    except PermissionError:
        return True


def _visible(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name[0] not in "._~" and not path.name.lower().endswith(_TEMPORARY_ENDINGS)
    ]


def _known_ending(path: Path) -> str | None:
    name = path.name.lower()
    return next((ending for ending in _FORMATS if name.endswith(ending)), None)


def _ending(path: Path) -> str:
    text_of(path)
    ending = _known_ending(path)
    if ending is None:
        _refuse_absent(path)
        raise ReadingError(
            value=repr(path.suffix),
            place=path,
            rule=f"a scan must be a folder of DICOM files or end in {', '.join(_FORMATS)}",
            cure="Name such a file; for DICOM, the folder in which the slices lie.",
        )
    return ending


def _refuse_absent(path: Path) -> None:
    if not path.is_file():
        raise ReadingError(
            value="no file",
            place=path,
            rule="the scan must exist",
            cure="Check the path.",
        )
    if path.stat().st_size == 0:
        raise ReadingError(
            value="0 bytes",
            place=path,
            rule="the file must not be empty",
            cure="Copy the file again from its source.",
        )
