# SPDX-License-Identifier: Apache-2.0
"""A small chest that passes the gate, in every format that is read: what damages start from.

Not a phantom of ``lung_pipeline.phantom``: those take seconds, and here one is written three
hundred times.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SHAPE_IRC = (48, 128, 128)
SPACING_IRC_MM = (3.0, 2.5, 2.5)
SERIES_UID = "1.2.826.0.1.3680043.8.498.7"
Edit = Callable[[Dataset, int], None]


@functools.cache
def chest_hu() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Air, an oval of tissue, two lungs of 600 ml each, a spine, noise; shape ``SHAPE_IRC``."""
    z, y, x = (
        (np.arange(size) - (size - 1) / 2) * step
        for size, step in zip(SHAPE_IRC, SPACING_IRC_MM, strict=True)
    )
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    voxels = np.full(SHAPE_IRC, -1000.0)
    voxels[np.broadcast_to((x / 140) ** 2 + (y / 100) ** 2 < 1, SHAPE_IRC)] = 40
    for centre in (-65, 65):
        voxels[((x - centre) / 45) ** 2 + (y / 60) ** 2 + (z / 60) ** 2 < 1] = -850
    voxels[np.broadcast_to(x**2 + (y - 75) ** 2 < 15**2, SHAPE_IRC)] = 400
    voxels += np.random.default_rng(3).normal(0, 60, SHAPE_IRC)
    return np.clip(voxels, -1000, 1000).astype(np.int16)


def write_file(folder: Path, name: str, voxels: np.ndarray[Any, Any] | None = None) -> Path:
    """Write by ITK, in the format of the name; "packed" in it asks for compression."""
    image = SimpleITK.GetImageFromArray(chest_hu() if voxels is None else voxels)
    image.SetSpacing(SPACING_IRC_MM[::-1])
    image.SetOrigin((-158.75, -158.75, -300.0))
    folder.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(folder / name), "packed" in name or name.endswith("gz"))
    return folder / name


def dicom_slice(number: int) -> Dataset:
    """Slice ``number`` of the chest, stored with an intercept of -1024."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = CTImageStorage
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"{SERIES_UID}.{number + 1}"
    one.SeriesInstanceUID, one.StudyInstanceUID = SERIES_UID, f"{SERIES_UID}.0"
    one.Modality, one.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.InstanceNumber = number + 1
    one.ImagePositionPatient = [-158.75, -158.75, -300.0 + SPACING_IRC_MM[0] * number]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = list(SPACING_IRC_MM[1:])
    one.SliceThickness = SPACING_IRC_MM[0]
    one.Rows, one.Columns = SHAPE_IRC[1:]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleIntercept, one.RescaleSlope = -1024, 1
    one.PixelData = (chest_hu()[number].astype(np.int32) + 1024).astype("<u2").tobytes()
    # Said outright: pydicom would ask BitsAllocated, which some damages take away.
    one["PixelData"].VR = "OW"
    return one


def write_dicom(folder: Path, edit: Edit | None = None) -> Path:
    """Write the chest as ``00.dcm`` to ``47.dcm``, each changed by ``edit`` first."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(SHAPE_IRC[0]):
        content = encoded_slice(number) if edit is None else encoded(number, edit)
        (folder / f"{number:02}.dcm").write_bytes(content)
    return folder


@functools.cache
def encoded_slice(number: int) -> bytes:
    """The file of a slice as it should be."""
    return encoded(number, lambda one, number: None)


def encoded(number: int, edit: Edit) -> bytes:
    """The file of a slice that was changed by ``edit``."""
    one, file = dicom_slice(number), io.BytesIO()
    edit(one, number)
    pydicom.dcmwrite(file, one, enforce_file_format=True)
    return file.getvalue()


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Pack files under their names, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def contents(scan: Path) -> dict[str, bytes]:
    """Name to bytes of what lies in the scan's folder."""
    folder = scan if scan.is_dir() else scan.parent
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
