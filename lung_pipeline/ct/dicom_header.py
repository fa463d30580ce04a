# SPDX-License-Identifier: Apache-2.0
"""One DICOM file's header: is it a slice of a CT in Hounsfield units, stored as we can read it.

Belongs here: what a single file says of itself. Does not belong here: which files belong together
(``dicom_series``), what grid they make (``slice_stack``), the pixels (``dicom_pixels``). Parsing is
GDCM's, through ``itk``, but for the first elements: GDCM does not tell the transfer syntax, and
takes a slope of 1 and an intercept of 0 where a file names no rescaling.
Attributes: DICOM PS3.3, C.7.6.1 to C.7.6.3 and C.8.2 (CT image); files: PS3.10, 7.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lung_pipeline.ct.dicom_syntax import refuse_unreadable_syntax
from lung_pipeline.ct.itk import read_dicom_tags
from lung_pipeline.errors import HounsfieldError, LungPipelineError, ReadingError, SeriesError

SERIES_UID, MODALITY, IMAGE_TYPE, SOP_CLASS = "0020|000e", "0008|0060", "0008|0008", "0008|0016"
POSITION, ORIENTATION, PIXEL_SPACING = "0020|0032", "0020|0037", "0028|0030"
THICKNESS = "0018|0050"
ROWS, COLUMNS, BITS_ALLOCATED = "0028|0010", "0028|0011", "0028|0100"
FRAMES, SAMPLES, INTERPRETATION = "0028|0008", "0028|0002", "0028|0004"

_OF_ONE_SLICE = {FRAMES: "1", SAMPLES: "1", INTERPRETATION: "MONOCHROME2"}
"""Where they are given: a compressed file that names many frames would be given room for all of
them, and a negative is turned round."""

INTERCEPT, SLOPE, RESCALE_TYPE = "0028|1052", "0028|1053", "0028|1054"

_NAMES = {
    SERIES_UID: "SeriesInstanceUID",
    MODALITY: "Modality",
    POSITION: "ImagePositionPatient",
    ORIENTATION: "ImageOrientationPatient",
    PIXEL_SPACING: "PixelSpacing",
    THICKNESS: "SliceThickness",
    FRAMES: "NumberOfFrames",
    SAMPLES: "SamplesPerPixel",
    INTERPRETATION: "PhotometricInterpretation",
    ROWS: "Rows",
    COLUMNS: "Columns",
    BITS_ALLOCATED: "BitsAllocated",
    INTERCEPT: "RescaleIntercept",
    SLOPE: "RescaleSlope",
}

_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

_HU_TYPES = {"", "HU", "US"}
"""RescaleType of values in HU: by default, by name, or unspecified ("US"), as some archives write.
Others are electron densities, effective atomic numbers and the like (PS3.3, C.11.1.1.2)."""

_LARGEST_FILE_BYTES = 1 << 27
"""A slice of 2048 x 2048 is 8 MiB; a larger file is no single slice, and is not read at all."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one file that is a CT slice in HU."""

    path: Path
    """The file."""

    tags: dict[str, str]
    """"group|element" in hexadecimal to the value as text."""

    def text(self, tag: str) -> str:
        """A value that must be there.

        Raises:
            SeriesError: it is not.
        """
        if not self.tags.get(tag):
            raise self._missing(tag, "nothing")
        return self.tags[tag]

    def numbers(self, tag: str, count: int) -> tuple[float, ...]:
        """A value of so many finite numbers.

        Raises:
            SeriesError: absent, not numbers, fewer or more.
        """
        text = self.text(tag)
        try:
            numbers = tuple(float(word) for word in text.split("\\"))
        except ValueError:
            raise self._missing(tag, repr(text)) from None
        if len(numbers) != count or not np.isfinite(numbers).all():
            raise self._missing(tag, repr(text))
        return numbers

    @property
    def shape_rc(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return int(self.numbers(ROWS, 1)[0]), int(self.numbers(COLUMNS, 1)[0])

    @property
    def thickness_mm(self) -> float | None:
        """SliceThickness; None where the header is silent, or gives none (0, as some write)."""
        if not self.tags.get(THICKNESS):
            return None
        return max(self.numbers(THICKNESS, 1)[0], 0.0) or None

    def _missing(self, tag: str, found: str) -> SeriesError:
        return SeriesError(
            value=found,
            place=self.path,
            rule=f"{_NAMES[tag]} ({tag}) must be given in full",
            cure="Export the series again, as plain CT slices (not multi-frame, not a scout view).",
        )


def read_header(path: Path) -> Header:
    """Read a DICOM file's header; whether it is a CT slice is asked by ``refuse_other_than_ct``.

    Raises:
        ReadingError: too large for one slice, damaged, or in a transfer syntax that is not read.
    """
    size = path.stat().st_size
    if size > _LARGEST_FILE_BYTES:
        raise ReadingError(
            value=f"{size} bytes",
            place=path,
            rule=f"a file of one slice must have at most {_LARGEST_FILE_BYTES} bytes",
            cure="Export the series as plain CT slices, one to a file.",
        )
    refuse_unreadable_syntax(path)
    return Header(path, read_dicom_tags(path))


def refuse_other_than_ct(header: Header) -> None:
    """Refuse what is no axial slice of a CT in Hounsfield units.

    Raises:
        SeriesError: another modality, a localiser, a picture of another kind.
        HounsfieldError: no rescaling, or one to another quantity.
    """
    header.text(MODALITY)  # must be there
    if (other := _other_kind(header)) is not None:
        raise _not_a_slice(header, *other)
    for tag, wanted in _OF_ONE_SLICE.items():
        if header.tags.get(tag, wanted) != wanted:
            cure = "Export the series as plain CT slices, one to a file: no colours, no negatives."
            raise _not_a_slice(header, f"{_NAMES[tag]} {header.tags[tag]}", cure)
    _refuse_other_than_hu(header)


def is_ct_slice(header: Header) -> bool:
    """Whether a file means to be a slice of a CT, sound or not: no scout view, no other picture."""
    return _other_kind(header) is None


def _other_kind(header: Header) -> tuple[str, str] | None:
    """What a file is that is no slice of a CT, and what to do about it."""
    modality = header.tags.get(MODALITY, "")
    image_type = header.tags.get(IMAGE_TYPE, "").upper()
    sop_class = header.tags.get(SOP_CLASS) or _CT_IMAGE_STORAGE
    if modality != "CT":
        return f"modality {modality}", "Give a CT series."
    if "LOCALIZER" in [word.strip() for word in image_type.split("\\")]:
        cure = "Take scout views out of the folder: they are projections, not slices."
        return f"a localiser, ImageType {image_type}", cure
    if sop_class != _CT_IMAGE_STORAGE:
        cure = "Export the series as plain CT slices: no screenshots, not multi-frame."
        return f"SOPClassUID {sop_class}", cure
    return None


def _refuse_other_than_hu(header: Header) -> None:
    for tag in (SLOPE, INTERCEPT):
        if not header.tags.get(tag):
            rule = f"{_NAMES[tag]} ({tag}) must be given, as the way from stored values to HU"
            raise _not_hu(header, "nothing", rule)
    (slope,), _ = header.numbers(SLOPE, 1), header.numbers(INTERCEPT, 1)
    if slope <= 0:
        raise _not_hu(header, f"{slope:g}", f"{_NAMES[SLOPE]} ({SLOPE}) must be positive")
    kind = header.tags.get(RESCALE_TYPE, "")
    if kind.upper() not in _HU_TYPES:
        raise _not_hu(header, repr(kind), f"RescaleType ({RESCALE_TYPE}) must be HU where given")


def _not_a_slice(header: Header, value: str, cure: str) -> LungPipelineError:
    rule = "every file of the series must be a CT slice"
    return SeriesError(value=value, place=header.path, rule=rule, cure=cure)


def _not_hu(header: Header, value: str, rule: str) -> LungPipelineError:
    cure = "Export the series again from its source, in Hounsfield units."
    return HounsfieldError(value=value, place=header.path, rule=rule, cure=cure)
