# SPDX-License-Identifier: Apache-2.0
"""The one place that knows SimpleITK, and where its (x, y, z) order is turned into ours.

Belongs here: calls into ITK, its warnings silenced and its exceptions put into words. Does not
belong here: judging a format; the modules ``metaio``, ``nifti``, ``nrrd`` and ``dicom_series`` do
that first, because ITK pads or shortens some damaged files without a word.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Matrix3, VoxelGrid, grid_in
from lung_pipeline.ct.path_text import text_of
from lung_pipeline.errors import ReadingError

Format = Literal["MetaImageIO", "NiftiImageIO", "NrrdImageIO", "GDCMImageIO"]
"""ITK's names of the readers in use; named outright, so that no other reader guesses."""


@contextlib.contextmanager
def opened_image(path: Path, reader: Format) -> Iterator[tuple[npt.NDArray[Any], VoxelGrid]]:
    """Read a file as values of shape (index, row, column) and the grid they lie on.

    The values are ITK's own memory, read only, and gone at the end of the ``with``: as float64 a
    scan fills a gigabyte, and would fill two with a copy.

    Raises:
        ReadingError: ITK cannot read it, its path is no text, it is not three-dimensional, or a
            voxel is a vector.
        GeometryError: its axes are no right-angled grid.
    """
    import SimpleITK

    image = _read(path, reader)
    _refuse_other_than_volume(path, image.GetDimension(), image.GetNumberOfComponentsPerPixel())
    yield SimpleITK.GetArrayViewFromImage(image), _grid(path, image)


def read_grid(path: Path, reader: Format) -> VoxelGrid:
    """Read a file's header only; raises as ``opened_image`` does."""
    import SimpleITK

    header = SimpleITK.ImageFileReader()
    header.SetImageIO(reader)
    header.SetFileName(text_of(path))
    with _QUIET_ITK, _in_words(path):
        header.ReadImageInformation()
    _refuse_other_than_volume(path, header.GetDimension(), header.GetNumberOfComponents())
    return _grid(path, header)


def read_slice_values(path: Path) -> npt.NDArray[Any]:
    """Read one DICOM file's pixels, rescaled, shape (frame, row, column)."""
    return _values(_read(path, "GDCMImageIO"))


def read_dicom_tags(path: Path) -> dict[str, str]:
    """Read a DICOM file's header: "group|element" in hexadecimal to the value as text."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(text_of(path))
    with _QUIET_ITK, _in_words(path):
        reader.ReadImageInformation()
    return {key: reader.GetMetaData(key).strip(" \0") for key in reader.GetMetaDataKeys()}


def _refuse_other_than_volume(path: Path, num_dimensions: int, num_components: int) -> None:
    if num_dimensions != 3 or num_components != 1:
        raise ReadingError(
            value=f"{num_dimensions} dimensions with {num_components} numbers a voxel",
            place=path,
            rule="a CT must have three dimensions and one number a voxel",
            cure="Give one volume: not a picture, a time series or a vector field.",
        )


def _grid(path: Path, header: Any) -> VoxelGrid:
    """The grid of an image, or of a reader that has read a header."""
    return grid_in(
        path,
        shape_irc=header.GetSize()[::-1],
        spacing_irc_mm=header.GetSpacing()[::-1],
        origin_xyz_mm=header.GetOrigin(),
        direction=_rows(header.GetDirection()),
    )


def _read(path: Path, reader: Format) -> Any:
    import SimpleITK

    with _QUIET_ITK, _in_words(path):
        return SimpleITK.ReadImage(text_of(path), imageIO=reader)


def _values(image: Any) -> npt.NDArray[Any]:
    import SimpleITK

    return np.asarray(SimpleITK.GetArrayFromImage(image))


def _rows(direction: tuple[float, ...]) -> Matrix3:
    a, b, c, d, e, f, g, h, i = direction
    return ((a, b, c), (d, e, f), (g, h, i))


class _Quiet:
    """ITK's warnings kept off the terminal: what matters of them is checked here by name.

    ITK has one switch for the whole process, and slices are read by several threads: the first to
    come turns it off, the last to go back to what it was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = 0
        self._before = True

    def __enter__(self) -> None:
        import SimpleITK

        with self._lock:
            if self._num_inside == 0:
                self._before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
                SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
            self._num_inside += 1

    def __exit__(self, *_: object) -> None:
        import SimpleITK

        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0:
                SimpleITK.ProcessObject.SetGlobalWarningDisplay(self._before)


_QUIET_ITK = _Quiet()


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        # The first lines of ITK's message are addresses in its own source.
        last_line = str(error).strip().splitlines()[-1].strip()
        raise ReadingError(
            value=f"'{last_line}' from ITK",
            place=path,
            rule="the file must be whole and of the kind its ending names",
            cure="Copy the file again from its source.",
        ) from None
