# SPDX-License-Identifier: Apache-2.0
"""A diagnosis as DICOM files: a segmentation of the nodules and a report of their figures.

Belongs here: which files are written, and where. Does not belong here: what is in them
(``dicom_seg``, ``dicom_sr``). Needs the extra ``dicom``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.errors import SettingError
from lung_pipeline.reporting.dicom.derived import derived_slices, write_slices
from lung_pipeline.reporting.dicom.identity import identity_named, no_identity, unnamed
from lung_pipeline.reporting.dicom.nodules import making_of, nodules_of
from lung_pipeline.reporting.dicom.seg import make_seg
from lung_pipeline.reporting.dicom.source import SourceSlices, read_slices
from lung_pipeline.reporting.dicom.sr import make_sr
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from pydicom import Dataset

SEG_NAME, SR_NAME, CT_NAME = "findings_seg.dcm", "findings_sr.dcm", "derived_ct"
"""The files, and the folder of the slices that were made for them."""


def write_dicom(
    folder: Path,
    *,
    scan: Path,
    volume: CtVolume,
    diagnosis: Diagnosis,
    masks: Sequence[FindingMask],
    is_deidentified: bool,
    made_at: datetime,
) -> tuple[Path, ...]:
    """Write ``findings_seg.dcm`` and ``findings_sr.dcm``, and the slices they lie on if need be.

    Both refer to the source's slices where the scan is a folder of DICOM. Else, and where the
    patient must not be known, they refer to ``derived_ct/``: the volume as a CT series of its own,
    written beside them. De-identified files have new UIDs throughout, and nothing of the source
    but its pixels. Where no finding counts as a nodule there is no segmentation, since DICOM knows
    no empty one; what an earlier run left under that name is removed.

    Args:
        folder: where to write; it is made.
        scan: what ``volume`` was read from, still there.
        volume: the scan in canonical order.
        diagnosis: the verdict on it.
        masks: the voxels of ``diagnosis.findings``, one to one.
        is_deidentified: whether to leave out all that names patient, study and device.
        made_at: the time that is written as that of the files; DICOM has it as the local one.

    Returns:
        What was written, the derived slices as their folder.

    Raises:
        SettingError: the extra ``dicom`` is not installed.
        SeriesError: slices that cannot be referred to, or that are not the volume's.
        ReadingError: a source file that cannot be read.
    """
    _refuse_without_extra()
    slices = _slices(scan, volume, diagnosis.patient_id, is_deidentified)
    if is_deidentified:
        diagnosis = unnamed(diagnosis)
    nodules = nodules_of(diagnosis, masks, slices, volume)
    making = making_of(diagnosis, nodules, slices, made_at)
    seg = make_seg(slices, nodules, making) if nodules else None
    report = make_sr(slices, diagnosis, nodules, seg, making)
    written = []
    if is_deidentified or not scan.is_dir():
        _refuse_own_source(folder / CT_NAME, scan)
        write_slices(folder / CT_NAME, slices, volume)
        written.append(folder / CT_NAME)
    if seg is None:
        (folder / SEG_NAME).unlink(missing_ok=True)
    else:
        written.append(_write(folder / SEG_NAME, seg))
    return (*written, _write(folder / SR_NAME, report))


def refuse_unfit(scan: Path, volume: CtVolume, *, is_deidentified: bool) -> None:
    """Refuse, before a diagnosis is made, what ``write_dicom`` would refuse after it.

    Args:
        scan: what ``volume`` was read from.
        volume: the scan in canonical order.
        is_deidentified: as for ``write_dicom``; then nothing refers to the source's slices.

    Raises:
        SettingError: the extra ``dicom`` is not installed.
        SeriesError: slices that cannot be referred to, or that are not the volume's.
        ReadingError: a source file that cannot be read.
    """
    _refuse_without_extra()
    if scan.is_dir() and not is_deidentified:
        read_slices(scan, volume)


def _slices(scan: Path, volume: CtVolume, patient_id: str, is_deidentified: bool) -> SourceSlices:
    if is_deidentified:
        return derived_slices(volume, no_identity(volume.source_sha256))
    if scan.is_dir():
        return read_slices(scan, volume)
    return derived_slices(volume, identity_named(patient_id))


def _write(path: Path, dataset: Dataset) -> Path:
    with written_whole(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return path


def _refuse_without_extra() -> None:
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise SettingError(
            value=f"no module {error.name}",
            place="DICOM output",
            rule="writing DICOM needs the extra 'dicom'",
            cure="pip install 'lung-pipeline[dicom]'",
        ) from None


def _refuse_own_source(ct_folder: Path, scan: Path) -> None:
    """Writing a folder replaces what stood there; that must never be the scan itself."""
    if scan.resolve().is_relative_to(ct_folder.resolve()):
        raise SettingError(
            value=scan,
            place="output folder",
            rule=f"the scan must not lie in {CT_NAME}, which is written anew",
            cure="Name another output folder.",
        )
