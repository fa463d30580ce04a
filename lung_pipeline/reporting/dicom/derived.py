# SPDX-License-Identifier: Apache-2.0
"""CT slices made of a volume, so that a viewer has something to lay a segmentation on.

Belongs here: the derived series of a scan that was no DICOM, and of one whose patient must not be
known. Does not belong here: slices that a scanner wrote (``dicom_source``).

The slices are in canonical order, which is right-handed for every grid: an order of axes nearest
to LPS cannot mirror. So a mirrored file needs no case of its own.
Attributes: DICOM PS3.3, A.3 (CT image).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.ct.geometry import AxesChange, VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.reporting.dicom.identity import Identity
from lung_pipeline.reporting.dicom.source import SourceSlices, place_on
from lung_pipeline.reporting.dicom.uids import made_uid
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from pydicom import Dataset

_UNTURNED = AxesChange(order=(0, 1, 2), flipped=(False, False, False))

_ALSO_TYPE_2 = (
    "Manufacturer",
    "KVP",
    "AcquisitionNumber",
    "PositionReferenceIndicator",
    "PatientPosition",
)
"""Must stand in a CT slice, and are not known here (with those of ``dicom_identity``)."""

_SERIES_NUMBER = 9100
"""Above what scanners count to, so that it stands last in a viewer's list."""


def derived_slices(volume: CtVolume, identity: Identity) -> SourceSlices:
    """The slices of a volume, with UIDs that follow from its source's hash and the identity."""
    patient_id = str(identity.values["PatientID"])
    headers = tuple(
        _header(number, volume.grid, (volume.source_sha256, patient_id))
        for number in range(volume.grid.shape_irc[0])
    )
    return SourceSlices(headers, volume.grid, _UNTURNED, identity)


def write_slices(folder: Path, slices: SourceSlices, volume: CtVolume) -> None:
    """Write derived slices into a folder, whole; one that stood there is replaced."""
    with written_whole(folder) as temporary:
        temporary.mkdir()
        pairs = zip(slices.headers, volume.voxels_hu, strict=True)
        for number, (header, plane_hu) in enumerate(pairs, start=1):
            one = _image(header, number, plane_hu)
            slices.identity.put_into(one)
            one.save_as(temporary / f"{number:04d}.dcm", enforce_file_format=True)


def _header(number: int, grid: VoxelGrid, key: tuple[str, ...]) -> Dataset:
    from pydicom import Dataset
    from pydicom.uid import CTImageStorage

    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = made_uid("slice", str(number), *key)
    header.SeriesInstanceUID = made_uid("series", *key)
    header.StudyInstanceUID = made_uid("study", *key)
    header.FrameOfReferenceUID = made_uid("frame of reference", *key)
    Identity({}).put_into(header)
    place_on(header, tuple(grid.irc_to_xyz_mm([[number, 0, 0]])[0].tolist()), grid)
    return header


def _image(header: Dataset, number: int, plane_hu: VoxelsHu) -> Dataset:
    """A CT slice: values are HU as they are, 16 bits with sign."""
    from pydicom import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    one = Dataset()
    one.update(header)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in _ALSO_TYPE_2:
        setattr(one, keyword, None)
    one.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    one.DerivationDescription = "Turned to the order nearest to LPS, clipped to [-1000, 1000] HU"
    one.SeriesDescription = "CT as the models saw it (research use only)"
    one.BodyPartExamined = "CHEST"
    one.SeriesNumber, one.InstanceNumber = _SERIES_NUMBER, number
    one.PhotometricInterpretation = "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
    one.RescaleIntercept, one.RescaleSlope, one.RescaleType = 0, 1, "HU"
    one.WindowCenter, one.WindowWidth = -600, 1600
    one.PixelData = plane_hu.astype(np.dtype("<i2")).tobytes()
    return one
