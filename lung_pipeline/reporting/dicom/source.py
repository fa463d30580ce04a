# SPDX-License-Identifier: Apache-2.0
"""The CT slices that a segmentation and a report refer to, as headers without pixels.

Belongs here: reading them from a folder of DICOM files, and where a finding lies in them. Does not
belong here: slices made for a scan that was no DICOM (``dicom_derived``). Of a source's header
only what is named here and in ``dicom_identity`` is ever read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.dicom_series import read_series
from lung_pipeline.ct.geometry import AxesChange, VoxelGrid, canonical_axes
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.errors import SeriesError
from lung_pipeline.reporting.dicom.identity import (
    OPTIONAL_KEYWORDS,
    REQUIRED_KEYWORDS,
    Identity,
    identity_of,
)
from lung_pipeline.reporting.dicom.uids import made_uid

if TYPE_CHECKING:
    from pydicom import Dataset

_UID_KEYWORDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
"""What a reference to a slice is made of; none of them can be done without."""

_FRAME_KEYWORDS = ("FrameOfReferenceUID", "PositionReferenceIndicator")
"""In which space positions are told."""

_LOSSY_KEYWORDS = (
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
"""A segmentation says whether what it was drawn on had lost something."""

_READ_KEYWORDS = (
    *_UID_KEYWORDS,
    *_FRAME_KEYWORDS,
    *_LOSSY_KEYWORDS,
    *REQUIRED_KEYWORDS,
    *OPTIONAL_KEYWORDS,
    "SpecificCharacterSet",
)


@dataclass(frozen=True, slots=True, eq=False)
class SourceSlices:
    """CT slices to refer to, in order along the first axis of their grid."""

    headers: tuple[Dataset, ...]
    """One a slice, with UIDs and place, without pixels and without identity."""

    grid: VoxelGrid
    """The grid the slices make."""

    change: AxesChange
    """From their order of axes to the canonical order of the volume."""

    identity: Identity
    """What is written of patient and study."""

    @property
    def frame_uid(self) -> str:
        """The frame of reference of all slices."""
        return str(self.headers[0].FrameOfReferenceUID)

    def voxels_of(self, mask: FindingMask, shape_irc: tuple[int, int, int]) -> npt.NDArray[Any]:
        """The voxels of a finding as (slice, row, column), shape (n, 3).

        Args:
            mask: the finding in a volume of canonical order.
            shape_irc: the shape of that volume.
        """
        return self.change.turn_back_points(
            np.argwhere(mask.voxels) + np.asarray(mask.start_irc), shape_irc
        )


def read_slices(scan: Path, volume: CtVolume) -> SourceSlices:
    """Read the headers of the slices that a volume was read from.

    Args:
        scan: a folder with the DICOM files of one series.
        volume: what was read from it.

    Raises:
        SeriesError: the folder is another series than the volume, or slices lack what a reference
            to them needs.
        ReadingError: a file that cannot be read.
    """
    from pydicom import config, dcmread

    series = read_series(scan)
    if series.grid != volume.original_grid:
        raise SeriesError(
            value=f"{series.grid.shape_irc[0]} slices of {series.series_uid}",
            place=scan,
            rule=f"the folder must hold the series {volume.series_uid} as it was read",
            cure="Name the folder that was diagnosed, unchanged.",
        )
    paths = [one.path for one in series.slices]
    # What a hospital wrote is read as it is, also where it breaks a rule of DICOM.
    with config.disable_value_validation():
        read = [
            dcmread(path, stop_before_pixels=True, specific_tags=list(_READ_KEYWORDS))
            for path in paths
        ]
        identity = identity_of(read[0])
    _refuse_unfit(paths, read)
    headers = (
        _header(one, position.position_xyz_mm, series.grid)
        for one, position in zip(read, series.slices, strict=True)
    )
    return SourceSlices(tuple(headers), series.grid, canonical_axes(series.grid), identity)


def place_on(header: Dataset, position_xyz_mm: tuple[float, ...], grid: VoxelGrid) -> None:
    """Write size and place of a slice into its header (image plane, PS3.3, C.7.6.2)."""
    from pydicom.valuerep import format_number_as_ds

    axes_xyz = np.asarray(grid.direction)
    cosines = (*axes_xyz[:, 0].tolist(), *axes_xyz[:, 1].tolist())
    spacing_mm, *row_and_column_mm = grid.spacing_irc_mm
    header.Modality, header.SamplesPerPixel = "CT", 1
    _, header.Rows, header.Columns = grid.shape_irc
    header.ImagePositionPatient = [format_number_as_ds(float(mm)) for mm in position_xyz_mm]
    header.ImageOrientationPatient = [format_number_as_ds(cosine) for cosine in cosines]
    header.PixelSpacing = [format_number_as_ds(float(mm)) for mm in row_and_column_mm]
    # A segment's volume is counted from these: slices touch, whatever the scanner called thickness.
    header.SliceThickness = header.SpacingBetweenSlices = format_number_as_ds(float(spacing_mm))


def _header(read: Dataset, position_xyz_mm: tuple[float, ...], grid: VoxelGrid) -> Dataset:
    """A header in the words of the grid: highdicom wants no slice unlike the first one."""
    from pydicom import Dataset

    header = Dataset()
    for keyword in (*_UID_KEYWORDS, *_FRAME_KEYWORDS, *_LOSSY_KEYWORDS):
        if keyword in read:
            header[keyword] = read[keyword]
    if not header.get("FrameOfReferenceUID"):
        # A CT must name its frame; where one does not, its series is a frame of its own.
        header.FrameOfReferenceUID = made_uid("frame of reference", header.SeriesInstanceUID)
    Identity({}).put_into(header)
    place_on(header, position_xyz_mm, grid)
    return header


def _refuse_unfit(paths: list[Path], read: list[Dataset]) -> None:
    for path, one in zip(paths, read, strict=True):
        for keyword in _UID_KEYWORDS:
            if not one.get(keyword):
                raise _unfit(path, keyword, "nothing", "must be given")
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
            if one.get(keyword) != read[0].get(keyword):
                raise _unfit(path, keyword, one.get(keyword), f"must be that of {paths[0].name}")


def _unfit(path: Path, keyword: str, value: object, rule: str) -> SeriesError:
    return SeriesError(
        value=value,
        place=path,
        rule=f"{keyword} {rule}, for DICOM output to refer to the slice",
        cure="Export the series again, or write the result without DICOM.",
    )
