# SPDX-License-Identifier: Apache-2.0
"""Two balls in a small volume, as DICOM slices or one file, in any direction, and their diagnosis.

The balls are given in patient space and drawn into each grid anew, so what is read back can be
held against their formulas. Nothing here comes from the code under test but its plain values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.diagnosis.steps.masks import FindingMask

ROOT_UID = "1.2.826.0.1.3680043.8.498.77"
"""All UIDs of the source begin with it."""

MADE_AT = datetime(2026, 3, 4, 5, 6, 7)


@dataclass(frozen=True)
class Ball:
    center_irc: tuple[float, float, float]
    """In the order of the file."""

    radius_mm: float

    @property
    def volume_mm3(self) -> float:
        return 4 / 3 * math.pi * self.radius_mm**3


SHAPE_IRC, SPACING_IRC_MM = (22, 34, 28), (0.9, 0.6, 0.7)
BALLS = (Ball((7.3, 12.6, 8.8), 5.0), Ball((15.2, 24.1, 19.7), 3.9))
"""Different in size and off the middle along each axis, so that no flip maps one on another."""


def directions() -> dict[str, tuple[tuple[float, ...], ...]]:
    """The 48 orders of axes and flips, and three that are oblique (one of them mirrored)."""
    found: dict[str, Any] = {}
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[list(order), range(3)] = signs
            name = "".join("+-"[sign < 0] + "xyz"[axis] for axis, sign in zip(order, signs))  # noqa: B905
            found[name] = matrix
    found["tilted 5 degrees"] = _rotation((1, 0, 0), 5)
    found["oblique"] = _rotation((1, 2, 3), 37)
    found["oblique and mirrored"] = _rotation((-2, 1, 1), 71) @ np.diag([1, -1, 1])
    return {name: tuple(map(tuple, matrix.tolist())) for name, matrix in found.items()}


def _rotation(axis: Sequence[float], degrees: float) -> Any:
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def grid_along(direction: Any) -> VoxelGrid:
    return VoxelGrid(SHAPE_IRC, SPACING_IRC_MM, (-31.5, 12.25, -140.75), direction)


PLAIN = grid_along(directions()["+x+y+z"])


def inside(grid: VoxelGrid, ball: Ball, file_grid: VoxelGrid) -> Any:
    """Which voxels of a grid lie in a ball, shape of the grid."""
    voxels_irc = np.argwhere(np.ones(grid.shape_irc, dtype=bool))
    center_xyz_mm = file_grid.irc_to_xyz_mm([ball.center_irc])[0]
    away_mm = np.linalg.norm(grid.irc_to_xyz_mm(voxels_irc) - center_xyz_mm, axis=1)
    return (away_mm <= ball.radius_mm).reshape(grid.shape_irc)


def voxels_hu(grid: VoxelGrid) -> Any:
    """Balls of 40 HU in air that is not even, so that no slice is like another."""
    values = np.random.default_rng(3).integers(-980, -840, grid.shape_irc).astype(np.int16)
    for ball in BALLS:
        values[inside(grid, ball, grid)] = 40
    return values


def write_series(
    folder: Path, grid: VoxelGrid = PLAIN, edit: Callable[[Dataset, int], None] | None = None
) -> Path:
    """A CT series as a scanner could write it; ``edit`` changes each slice before."""
    folder.mkdir(parents=True)
    values, axes_xyz = voxels_hu(grid), np.asarray(grid.direction)
    for number in range(grid.shape_irc[0]):
        one = _slice(number)
        position_xyz_mm = grid.irc_to_xyz_mm([[number, 0, 0]])[0]
        one.ImagePositionPatient = [f"{mm:.9g}" for mm in position_xyz_mm]
        one.ImageOrientationPatient = [f"{part:.9g}" for part in axes_xyz[:, :2].T.ravel()]
        one.PixelSpacing = list(grid.spacing_irc_mm[1:])
        one.Rows, one.Columns = grid.shape_irc[1:]
        one.PixelData = (values[number].astype(np.int32) + 1024).astype("<u2").tobytes()
        if edit:
            edit(one, number)
        # Names that are no order: the files' places are in their headers.
        one.save_as(folder / f"{(number * 7) % 97:02d}.dcm", enforce_file_format=True)
    return folder


def _slice(number: int) -> Dataset:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"{ROOT_UID}.4.{number + 1}"
    one.StudyInstanceUID, one.SeriesInstanceUID = f"{ROOT_UID}.1", f"{ROOT_UID}.2"
    one.FrameOfReferenceUID, one.PositionReferenceIndicator = f"{ROOT_UID}.3", None
    one.PatientName, one.PatientID = "Muster^Erika", "H-4711"
    one.PatientBirthDate, one.PatientSex = "19640812", "F"
    one.StudyDate, one.StudyTime, one.StudyID = "20010203", "101112", "S9"
    one.AccessionNumber, one.ReferringPhysicianName = "A-0815", "Ueber^Weiser"
    one.Modality, one.SeriesNumber, one.InstanceNumber = "CT", 3, number + 1
    one.SliceThickness = 2.0  # wrong on purpose: it is not the distance between slices
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleIntercept, one.RescaleSlope = -1024, 1
    return one


def write_mhd(folder: Path, grid: VoxelGrid = PLAIN, name: str = "1.2.840.77.mhd") -> Path:
    """The same as one file, which may be mirrored."""
    folder.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(voxels_hu(grid))
    image.SetSpacing(grid.spacing_irc_mm[::-1])
    image.SetOrigin(grid.origin_xyz_mm)
    image.SetDirection(np.ravel(grid.direction).tolist())
    SimpleITK.WriteImage(image, str(folder / name))
    return folder / name


def masks_in(volume: CtVolume, file_grid: VoxelGrid = PLAIN) -> list[FindingMask]:
    """The balls in a volume of canonical order, each in its own box."""
    masks = []
    for ball in BALLS:
        whole = inside(volume.grid, ball, file_grid)
        places = np.argwhere(whole)
        start, stop = places.min(axis=0), places.max(axis=0) + 1
        box = tuple(slice(*ends) for ends in zip(start, stop, strict=True))
        masks.append(FindingMask(tuple(start.tolist()), whole[box].copy()))
    return masks


def finding_of(ball: Ball, file_grid: VoxelGrid = PLAIN, **other: Any) -> Finding:
    x_mm, y_mm, z_mm = file_grid.irc_to_xyz_mm([ball.center_irc])[0].tolist()
    finding = Finding(
        "series", x_mm, y_mm, z_mm, *ball.center_irc, 2 * ball.radius_mm, 0.91, 0.37,
        volume_mm3=ball.volume_mm3, longest_axial_mm=1.9 * ball.radius_mm, mean_hu=40.5,
        density="solid", lung_border_mm=3.0,
    )  # fmt: skip
    return replace(finding, **other)


def diagnosis_of(*findings: Finding, patient_id: str = "H-4711") -> Diagnosis:
    rule = Rule()
    return Diagnosis(
        patient_id=patient_id,
        series_uids=(f"{ROOT_UID}.2",),
        verdict=rule.verdict(findings),
        rule=rule,
        findings=findings,
        models={"segmentation": "lung-segmentation v3 (0a1b2c)", "nodule": "lung-nodule v2 (3d4e)"},
        inputs_sha256={f"{ROOT_UID}.2": "0" * 64},
    )


def segment_on_its_own(seg: Dataset, number: int) -> tuple[Any, float]:
    """Centre (x, y, z, mm) and volume (mm3) of a segment, by PS3.3, C.7.6.2.1.1, without a library.

    Uses only what each frame says of its own place.
    """
    shared = seg.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    measures = shared.PixelMeasuresSequence[0]
    row_mm, column_mm = map(float, measures.PixelSpacing)
    points = []
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, group in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            first = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            row, column = np.nonzero(frame)
            along = np.outer(column * column_mm, cosines[:3]) + np.outer(row * row_mm, cosines[3:])
            points.append(first + along)
    found = np.concatenate(points)
    voxel_mm3 = row_mm * column_mm * float(measures.SpacingBetweenSlices)
    return found.mean(axis=0), len(found) * voxel_mm3


def items(node: Dataset) -> list[Dataset]:
    """All items of content below a node, in order."""
    return [
        found
        for item in node.get("ContentSequence", [])
        for found in (item, *items(item))
    ]  # fmt: skip


def named(node: Dataset, meaning: str) -> list[Dataset]:
    """The items below a node with a name."""
    return [
        item
        for item in items(node)
        if "ConceptNameCodeSequence" in item
        and item.ConceptNameCodeSequence[0].CodeMeaning == meaning
    ]


def groups(report: Dataset) -> list[Dataset]:
    return named(report, "Measurement Group")


def figures(group: Dataset) -> dict[str, tuple[float, str]]:
    """Name of each figure of a group to its value and unit."""
    found = {}
    for item in items(group):
        if item.ValueType == "NUM":
            measured = item.MeasuredValueSequence[0]
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            name = item.ConceptNameCodeSequence[0].CodeMeaning
            found[name] = (float(measured.NumericValue), unit)
    return found


def read(folder: Path, name: str) -> Dataset:
    return pydicom.dcmread(folder / name)
