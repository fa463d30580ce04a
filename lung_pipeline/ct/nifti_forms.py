# SPDX-License-Identifier: Apache-2.0
"""NIfTI-1's two ways of saying where voxels lie, the qform and the sform, held against each other.

Belongs here: refusing what is not said, skewed or contradictory. ITK takes the one form or the
other by codes that programs fill in differently, and the spacing from a third place: where they
disagree, left may become right without a word. Does not belong here: the turn from NIfTI's RAS to
our LPS, which ITK does.
Format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h, "ORIENTATION AND LOCATION".
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import ORTHONORMAL_TOLERANCE
from lung_pipeline.errors import GeometryError

OFFSET_TOLERANCE_MM = 0.1
"""How far the first voxel may lie apart by the two forms: single precision rounds below this."""

Affine = npt.NDArray[np.float64]
"""Shape (3, 4): columns are the steps along the three axes in mm, and the first voxel, in RAS."""


def check_orientation(path: Path, header: bytes, order: str) -> None:
    """Refuse a header that does not say in one voice where the voxels lie.

    Args:
        path: the file, for messages.
        header: its first 348 bytes.
        order: "<" or ">", the order of bytes.

    Raises:
        GeometryError: no form, no spacing, a skewed sform, or forms and spacing that disagree.
    """
    qform_code, sform_code = struct.unpack_from(f"{order}hh", header, 252)
    if qform_code <= 0 and sform_code <= 0:
        rule = "a NIfTI file must say how its voxels lie in the patient"
        raise _refusal(path, "qform_code 0 and sform_code 0", rule)
    mirror, *spacing = struct.unpack_from(f"{order}4f", header, 76)
    if not all(np.isfinite(step) and step > 0 for step in spacing):
        raise _refusal(path, spacing, "pixdim must hold three positive spacings")
    if sform_code <= 0:
        return
    sform = np.array(struct.unpack_from(f"{order}12f", header, 280), np.float64).reshape(3, 4)
    lengths = np.linalg.norm(sform[:, :3], axis=0)
    if not np.allclose(lengths, spacing, rtol=ORTHONORMAL_TOLERANCE):
        rule = f"the sform's axes must be as long as the spacings {spacing}"
        raise _refusal(path, lengths.tolist(), rule)
    _refuse_skewed(path, sform[:, :3] / lengths)
    if qform_code > 0:
        _refuse_disagreement(path, sform, _qform(header, order, mirror, spacing))


def _qform(header: bytes, order: str, mirror: float, spacing: list[float]) -> Affine:
    """The qform: a rotation as three parts of a unit quaternion, and the first voxel."""
    b, c, d, *first_voxel = struct.unpack_from(f"{order}6f", header, 256)
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = rotation * spacing * [1.0, 1.0, -1.0 if mirror < 0 else 1.0]
    return np.column_stack([steps, first_voxel])


def _refuse_skewed(path: Path, axes: npt.NDArray[np.float64]) -> None:
    error = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if not error <= ORTHONORMAL_TOLERANCE:
        raise GeometryError(
            value=np.round(axes, 6).tolist(),
            place=f"{path} (sform)",
            rule=f"the axes must stand at right angles (deviation {error:.3g}, "
            f"allowed {ORTHONORMAL_TOLERANCE:g})",
            cure="Resample the scan onto right-angled axes; gantry tilt shears a grid.",
        )


def _refuse_disagreement(path: Path, sform: Affine, qform: Affine) -> None:
    lengths = np.linalg.norm(sform[:, :3], axis=0)
    turned = float(np.abs((sform - qform)[:, :3] / lengths).max())
    moved_mm = float(np.abs((sform - qform)[:, 3]).max())
    if not (turned <= ORTHONORMAL_TOLERANCE and moved_mm <= OFFSET_TOLERANCE_MM):
        value = f"axes {turned:.3g} and first voxels {moved_mm:.3g} mm apart"
        raise _refusal(path, value, "qform and sform must say the same, where both are given")


def _refusal(path: Path, value: object, rule: str) -> GeometryError:
    cure = "Convert the scan anew from DICOM: left and right are not to be told apart."
    return GeometryError(value=value, place=path, rule=rule, cure=cure)
