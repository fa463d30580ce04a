# SPDX-License-Identifier: Apache-2.0
"""One scan to one folder of results: read, passed through the gate, judged, and told in files.

The command and the web page both call ``diagnose_into``, so that both give the same files. A scan
that is refused leaves ``refusal.json`` and no diagnosis.

Belongs here: the order of these steps. Does not belong here: the steps, what is asked for
(``wanted.py``), and the folder (``results.py``).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.ct.reading import read_ct, read_grid
from lung_pipeline.diagnosis.stopwatch import Stopwatch
from lung_pipeline.diagnosis.verdict.operating_point import Judging
from lung_pipeline.errors import LungPipelineError, ReadingError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.serving.results import (
    UNPACKED,
    forget,
    refuse_clearing,
    refuse_unwritable,
    write_pictures,
)
from lung_pipeline.serving.wanted import Wanted

if TYPE_CHECKING:
    from lung_pipeline.diagnosis.patient import Diagnosis

OnProgress = Callable[[str, float], None]
"""Told the step at work and the share of it that is done, 0 to 1."""


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
            ``refusal.json`` where that can still be written. Whatever is raised, no diagnosis
            stands in the folder, also none that lay there before.
    """
    with in_words(StoreError, out):
        refuse_clearing(scan, out)
    try:
        with in_words(StoreError, out):
            forget(out)
            # Before the minutes of work: a mistyped name costs nothing then.
            judging = wanted.judging
            with _as_scan(scan, out) as found:
                return _diagnose(found, out, home, wanted, judging, Stopwatch(on_progress))
    except BaseException as error:
        _leave_no_diagnosis(out, scan, error)
        raise


def _leave_no_diagnosis(out: Path, scan: Path, error: BaseException) -> None:
    """Clear the folder; a disk that lets nothing be done must not hide what was wrong before."""
    from lung_pipeline.reporting.patient.refusal import write_refusal

    with contextlib.suppress(OSError):
        forget(out)
    if isinstance(error, LungPipelineError):
        with contextlib.suppress(OSError):
            write_refusal(out, error, scan)


_WORDS = {
    ReadingError: (
        "the scan must be readable",
        "Let this user read it, or copy it again from its source.",
    ),
    StoreError: (
        "what a diagnosis needs must be readable, and its results must find room",
        "Make room, or name a folder for the results that this user may write.",
    ),
}
"""Rule and cure where the system refuses a file: of the scan, and of all else."""


@contextlib.contextmanager
def in_words(kind: type[LungPipelineError], place: Path) -> Iterator[None]:
    """Put into words what the system says, such as of a full disk.

    Args:
        kind: ``ReadingError`` for the scan, ``StoreError`` for all else.
        place: what is at work on, where the system names no file.
    """
    try:
        yield
    except OSError as error:
        rule, cure = _WORDS[kind]
        raise kind(
            value=f"'{error.strerror or error or type(error).__name__}'",
            place=place if error.filename is None else error.filename,
            rule=rule,
            cure=cure,
        ) from error


def _diagnose(
    scan: Path, out: Path, home: Home, wanted: Wanted, judging: Judging, watch: Stopwatch
) -> Diagnosis:
    from lung_pipeline.ct.lungs import find_lungs
    from lung_pipeline.ct.quality import pass_gate
    from lung_pipeline.diagnosis.memory import peak_bytes, refuse_too_little

    with watch.step("reading"), in_words(ReadingError, scan):
        shape_irc = read_grid(scan)[1].shape_irc
        refuse_too_little(shape_irc, keeps_probabilities=wanted.has_ome_zarr)
        volume = read_ct(scan)
    with watch.step("finding the lungs"):
        lungs = find_lungs(volume.voxels_hu, volume.grid)
        cautions = pass_gate(volume, lungs, is_forced=wanted.is_forced)
    refuse_unwritable(scan, wanted, volume)
    # Not before: torch and MLflow take seconds, and a scan may be refused until here.
    from lung_pipeline.diagnosis.files import write_diagnosis
    from lung_pipeline.diagnosis.scan import diagnose_volume
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
        write_pictures(scan, out, wanted, volume, diagnosis, examined)
        # Last: where it stands, all the rest is there.
        write_diagnosis(diagnosis, out)
    return diagnosis


@contextlib.contextmanager
def _as_scan(scan: Path, out: Path) -> Iterator[Path]:
    """The scan itself, or what an archive holds, unpacked beside the results for the while."""
    if scan.suffix.lower() != ".zip" or not scan.is_file():
        yield scan
        return
    from lung_pipeline.ct.archive import unpacked

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNPACKED, dir=out) as folder:
        yield unpacked(scan, Path(folder))
