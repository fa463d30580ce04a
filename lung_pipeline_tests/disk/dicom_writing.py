# SPDX-License-Identifier: Apache-2.0
"""Writing a phantom's diagnosis as DICOM, and what its files refer to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import numpy as np

from lung_pipeline.ct.reading import read_ct
from lung_pipeline.reporting.dicom.files import write_dicom


def write(out: Path, scan: Path, /, **other: Any) -> tuple[Path, ...]:
    volume = read_ct(scan)
    findings = other.pop("findings", [phantoms.finding_of(ball) for ball in phantoms.BALLS])
    arguments: dict[str, Any] = {
        "scan": scan,
        "volume": volume,
        "diagnosis": phantoms.diagnosis_of(*findings),
        "masks": phantoms.masks_in(volume)[: len(findings)],
        "is_deidentified": False,
        "made_at": phantoms.MADE_AT,
    }
    return write_dicom(out, **arguments | other)


def sources(seg: Any, number: int) -> set[str]:
    """UIDs of the slices that the frames of a segment were drawn on."""
    return {
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for group in seg.PerFrameFunctionalGroupsSequence
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
    }


def slices_through(ball: phantoms.Ball) -> set[str]:
    whole = phantoms.inside(phantoms.PLAIN, ball, phantoms.PLAIN)
    touched = np.flatnonzero(whole.any(axis=(1, 2)))
    return {f"{phantoms.ROOT_UID}.4.{index + 1}" for index in touched}


def texts(report: Any) -> str:
    return "\n".join(item.TextValue for item in phantoms.items(report) if item.ValueType == "TEXT")
