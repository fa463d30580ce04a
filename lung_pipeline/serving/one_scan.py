# SPDX-License-Identifier: Apache-2.0
"""One scan to one folder of results: read, passed through the gate, judged, and told in files.

The command and the web page both call ``diagnose_into``, so that both give the same files. A scan
that is refused leaves ``refusal.json`` and no diagnosis.

Belongs here: the order of these steps, and what was asked for. Does not belong here: the steps.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.ct.reading import read_ct, read_grid
from lung_pipeline.diagnosis.stopwatch import Stopwatch
from lung_pipeline.diagnosis.verdict.operating_point import Judging
from lung_pipeline.diagnosis.verdict.rules import DEFAULT_RULE
from lung_pipeline.errors import LungPipelineError, SettingError
from lung_pipeline.home import Home, remove

if TYPE_CHECKING:
    from lung_pipeline.ct.volume import CtVolume
    from lung_pipeline.diagnosis.examined import Examined
    from lung_pipeline.diagnosis.patient import Diagnosis
    from lung_pipeline.diagnosis.verdict.readers_marks import ReadersMarks

FINDINGS, DIAGNOSIS, REPORT, OME_ZARR = (
    "findings.csv",
    "diagnosis.json",
    "report.html",
    "scan.ome.zarr",
)
"""What lies in the folder of results; the first two as ``diagnosis.scan`` calls them, which would
bring torch along before the gate has let anything pass."""

DICOM = "dicom_results"
"""The folder of the DICOM files; no name that a scan is likely to have, since it is cleared."""

OnProgress = Callable[[str, float], None]
"""Told the step at work and the share of it that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks of one scan."""

    rule_name: str = DEFAULT_RULE
    """By which rule the patient is judged."""

    nodule_threshold: float | None = None
    """A finding counts as a nodule from here on; None: as frozen with the models, else 0.5."""

    malignancy_threshold: float | None = None
    """A nodule counts as malignant from here on; None: as frozen with the models, else 0.5."""

    has_dicom: bool = False
    """Whether a DICOM segmentation and measurements are written."""

    is_deidentified: bool = False
    """Whether the DICOM files leave out who the patient is."""

    has_ome_zarr: bool = False
    """Whether volume, findings and probabilities are written as OME-Zarr."""

    is_forced: bool = False
    """Whether a scan with slices that are too thick is judged all the same."""

    is_mirrored: bool = False
    """Whether the models see everything left for right as well, in twice the time."""

    readers: Path | None = None
    """The readers' XML of this scan, or what holds it."""

    models_instead: Mapping[str, str] = field(default_factory=dict)
    """For some steps the address of a model to use instead of the one in use."""

    @property
    def judging(self) -> Judging:
        """Rule and thresholds; ``SettingError`` where there is no such rule or probability."""
        return Judging(self.rule_name, self.nodule_threshold, self.malignancy_threshold)


def diagnose_into(
    scan: Path, out: Path, home: Home, wanted: Wanted, on_progress: OnProgress
) -> Diagnosis:
    """Diagnose one scan into a folder; returns what stands in its ``diagnosis.json``.

    Args:
        scan: a file or DICOM folder that ``read_ct`` reads, or a ``.zip`` that holds one.
        out: where the results go; nothing is written elsewhere.
        home: whose models are used.
        wanted: what was asked for.
        on_progress: told what is at work.

    Raises:
        LungPipelineError: the scan is refused, or something it needs is missing; the same stands in
            ``refusal.json``, and a diagnosis that lay in the folder before is gone.
    """
    _refuse_clearing(scan, out)
    _forget(out)
    try:
        # Before the minutes of work: a mistyped name costs nothing then.
        judging = wanted.judging
        with _as_scan(scan, out) as found:
            return _diagnose(found, out, home, wanted, judging, Stopwatch(on_progress))
    except LungPipelineError as error:
        from lung_pipeline.reporting.patient.refusal import write_refusal

        _forget(out)
        write_refusal(out, error, scan)
        raise


def written(out: Path) -> list[str]:
    """The names of the results in a folder, as ``diagnose_into`` left them; folders end in "/"."""
    names = {FINDINGS, DIAGNOSIS, REPORT, DICOM, OME_ZARR}
    found = sorted(path for path in out.iterdir() if path.name in names)
    return [f"{path.name}/" if path.is_dir() else path.name for path in found]


def _diagnose(
    scan: Path, out: Path, home: Home, wanted: Wanted, judging: Judging, watch: Stopwatch
) -> Diagnosis:
    from lung_pipeline.ct.lungs import find_lungs
    from lung_pipeline.ct.quality import pass_gate
    from lung_pipeline.diagnosis.memory import peak_bytes, refuse_too_little

    with watch.step("reading"):
        shape_irc = read_grid(scan)[1].shape_irc
        refuse_too_little(shape_irc, keeps_probabilities=wanted.has_ome_zarr)
        volume = read_ct(scan)
    with watch.step("finding the lungs"):
        lungs = find_lungs(volume.voxels_hu, volume.grid)
        cautions = pass_gate(volume, lungs, is_forced=wanted.is_forced)
    # Not before: torch and MLflow take seconds, and a scan may be refused until here.
    from lung_pipeline.diagnosis.scan import diagnose_volume, write_diagnosis
    from lung_pipeline.tracking.models import models_in_use

    with watch.step("loading models"):
        named = models_in_use(home, wanted.models_instead)
    judged, examined = diagnose_volume(
        volume,
        lungs,
        cautions,
        named,
        judging=judging,
        readers=wanted.readers,
        keeps_probabilities=wanted.has_ome_zarr,
        is_mirrored=wanted.is_mirrored,
        on_progress=watch.on_progress,
    )
    diagnosis = replace(
        judged,
        seconds={**watch.seconds, **judged.seconds},
        peak_memory_bytes=peak_bytes(),
    )
    with watch.step("writing"):
        _write_pictures(scan, out, wanted, volume, diagnosis, examined)
        # Last: where it stands, all the rest is there.
        write_diagnosis(diagnosis, out)
    return diagnosis


def _write_pictures(
    scan: Path,
    out: Path,
    wanted: Wanted,
    volume: CtVolume,
    diagnosis: Diagnosis,
    examined: Examined,
) -> None:
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


def _readers_marks(volume: CtVolume, readers: Path | None) -> ReadersMarks | None:
    if readers is None:
        return None
    from lung_pipeline.diagnosis.verdict.readers import lidc_of_scan
    from lung_pipeline.diagnosis.verdict.readers_marks import marks_on

    return marks_on(volume, lidc_of_scan(readers, volume.series_uid))


@contextlib.contextmanager
def _as_scan(scan: Path, out: Path) -> Iterator[Path]:
    """The scan itself, or what an archive holds, unpacked beside the results for the while."""
    if not (scan.is_file() and scan.suffix.lower() == ".zip"):
        yield scan
        return
    from lung_pipeline.ct.archive import unpacked

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=out) as folder:
        yield unpacked(scan, Path(folder))


def _refuse_clearing(scan: Path, out: Path) -> None:
    """Refuse a scan that lies where former results are cleared: it would be lost."""
    for name in _cleared():
        if scan.resolve().is_relative_to((out / name).resolve()):
            raise SettingError(
                value=scan,
                place="folder of the results",
                rule=f"the scan must not lie in {out / name}, which is cleared for the results",
                cure="Name another folder for the results.",
            )


def _forget(out: Path) -> None:
    """Remove what an earlier call left: a diagnosis of another scan must not stand here."""
    for name in _cleared():
        remove(out / name)


def _cleared() -> tuple[str, ...]:
    from lung_pipeline.reporting.patient.refusal import REFUSAL_JSON

    return (FINDINGS, DIAGNOSIS, REPORT, REFUSAL_JSON, DICOM, OME_ZARR)
