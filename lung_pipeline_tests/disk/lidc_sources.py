# SPDX-License-Identifier: Apache-2.0
"""Three small messages of LIDC, as a folder or an archive, and what was read in plain values."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from lidc_messages import message, nodule, non_nodule, roi

from lung_pipeline.annotations.lidc import LidcMarks
from lung_pipeline.annotations.lidc_message import Message

ONE = message(nodule(roi()), nodule(roi([(5, 4), (9, 4), (9, 8), (5, 8)])), series="1.1")
OTHER = message(nodule(roi(z=3), ratings={"malignancy": 5}) + non_nodule(), series="1.2")
X_RAY = message(kind="IdriReadMessage", series="")
FILES = {"157/158.xml": ONE, "157/159.XML": OTHER, "185/x.xml": X_RAY}


def as_folder(out: Path, files: Mapping[str, str | bytes] = FILES) -> Path:
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return out


def as_zip(out: Path, files: Mapping[str, str | bytes] = FILES, method: int = 8) -> Path:
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out


def told_of(marks: LidcMarks) -> dict[str, object]:
    """All that was read of each series, in a form that can be compared."""
    return {series_uid: _plain(found) for series_uid, found in marks.series.items()}


def _plain(found: Message) -> object:
    reads = [
        (
            read.reader,
            read.name,
            dict(read.characteristics),
            [(c.z_mm, c.is_inclusion, c.columns.tolist(), c.rows.tolist()) for c in read.contours],
        )
        for read in found.reads
    ]
    return reads, found.marks, found.losses


def loss_lines(marks: LidcMarks) -> list[str]:
    lines = [f"{loss.place}: {loss.reason}" for loss in marks.losses]
    assert all(line.isprintable() and len(line) < 1500 for line in lines)
    assert marks.counts["losses"] == len(lines)
    return lines
