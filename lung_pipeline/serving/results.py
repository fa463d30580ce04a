# SPDX-License-Identifier: Apache-2.0
"""The folder of results of one scan: what lies in it, what is cleared, and the larger files.

Belongs here: names and writing. Does not belong here: what is written (``reporting``, ``ct``), and
the order of the steps (``one_scan.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.diagnosis.files import DIAGNOSIS_JSON, FINDINGS_CSV
from lung_pipeline.errors import SettingError
from lung_pipeline.serving.wanted import Wanted
from lung_pipeline.writing import remove

if TYPE_CHECKING:
    from lung_pipeline.ct.volume import CtVolume
    from lung_pipeline.diagnosis.examined import Examined
    from lung_pipeline.diagnosis.patient import Diagnosis
    from lung_pipeline.diagnosis.verdict.readers_marks import ReadersMarks

REPORT, OME_ZARR = "report.html", "scan.ome.zarr"
"""What lies in the folder of results beside what ``diagnosis.files`` names."""

DICOM = "dicom_results"
"""The folder of the DICOM files; no name that a scan is likely to have, since it is cleared."""

UNPACKED = ".unpacked-"
"""How the folder begins that an archive is unpacked to for the while."""


def written(out: Path) -> list[str]:
    """The names of the results in a folder, as ``diagnose_into`` left them; folders end in "/"."""
    names = {FINDINGS_CSV, DIAGNOSIS_JSON, REPORT, DICOM, OME_ZARR}
    found = sorted(path for path in out.iterdir() if path.name in names)
    return [f"{path.name}/" if path.is_dir() else path.name for path in found]


def write_pictures(
    scan: Path,
    out: Path,
    wanted: Wanted,
    volume: CtVolume,
    diagnosis: Diagnosis,
    examined: Examined,
) -> None:
    """Write all results but ``diagnosis.json`` and ``findings.csv``."""
    from lung_pipeline.diagnosis.steps.masks import label_image
    from lung_pipeline.reporting.patient.report import write_patient_report

    made_at = datetime.now(UTC)
    marks = _readers_marks(volume, wanted.readers)
    write_patient_report(
        out / REPORT,
        diagnosis=diagnosis,
        volumes={volume.series_uid: (volume.voxels_hu, volume.grid)},
        truth=None if marks is None else marks.table,
        made_at=made_at.isoformat(timespec="seconds"),
        masks={volume.series_uid: examined.masks},
        true_masks=None if marks is None else {volume.series_uid: marks.masks},
        original_grids={volume.series_uid: volume.original_grid},
    )
    if wanted.has_dicom:
        from lung_pipeline.reporting.dicom.files import write_dicom

        write_dicom(
            out / DICOM,
            scan=scan,
            volume=volume,
            diagnosis=diagnosis,
            masks=examined.masks,
            is_deidentified=wanted.is_deidentified,
            made_at=made_at,
        )
    if wanted.has_ome_zarr:
        from lung_pipeline.ct.ome_zarr import write_ome_zarr

        labels = label_image(examined.masks, volume.grid.shape_irc)
        write_ome_zarr(out / OME_ZARR, volume, examined.probabilities, labels)


def refuse_unwritable(scan: Path, wanted: Wanted, volume: CtVolume) -> None:
    """Refuse what ``write_pictures`` would refuse after minutes of work; raises as it does."""
    if wanted.has_dicom:
        from lung_pipeline.reporting.dicom.files import refuse_unfit

        refuse_unfit(scan, volume, is_deidentified=wanted.is_deidentified)


def _readers_marks(volume: CtVolume, readers: Path | None) -> ReadersMarks | None:
    if readers is None:
        return None
    from lung_pipeline.diagnosis.verdict.readers import lidc_of_scan
    from lung_pipeline.diagnosis.verdict.readers_marks import marks_on

    return marks_on(volume, lidc_of_scan(readers, volume.series_uid))


def refuse_clearing(scan: Path, out: Path) -> None:
    """Refuse a scan that lies where former results are cleared: it would be lost."""
    for path in _cleared(out):
        if scan.resolve().is_relative_to(path.resolve()):
            raise SettingError(
                value=scan,
                place="folder of the results",
                rule=f"the scan must not lie in {path}, which is cleared for the results",
                cure="Name another folder for the results.",
            )


def forget(out: Path) -> None:
    """Remove what an earlier call left: a diagnosis of another scan must not stand here.

    Of a call that was killed also the scan it had unpacked.
    """
    for path in _cleared(out):
        remove(path)


def _cleared(out: Path) -> list[Path]:
    from lung_pipeline.reporting.patient.refusal import REFUSAL_JSON

    # The verdict goes first: where clearing breaks off, none must stand alone.
    names = (DIAGNOSIS_JSON, FINDINGS_CSV, REPORT, REFUSAL_JSON, DICOM, OME_ZARR)
    return [*(out / name for name in names), *out.glob(f"{UNPACKED}*")]
