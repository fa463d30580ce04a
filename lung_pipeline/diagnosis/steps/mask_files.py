# SPDX-License-Identifier: Apache-2.0
"""The voxels of a series' findings on disk, so that a report can be made after the models ran.

One ``.npz`` a series: boxes, and their voxels as single bits one behind the other.

Belongs here: the file. Does not belong here: where it lies (``home.py``).
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.errors import StoreError
from lung_pipeline.writing import written_whole


def write_masks(path: Path, findings: Sequence[Finding], masks: Sequence[FindingMask]) -> None:
    """Write the masks of a series in the order its findings have in a table of findings."""
    order = sorted(range(len(masks)), key=lambda number: -findings[number].nodule_probability)
    ordered = [masks[number] for number in order]
    bits = [np.packbits(mask.voxels) for mask in ordered]
    with written_whole(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            start_irc=np.array([mask.start_irc for mask in ordered], np.int64).reshape(-1, 3),
            shape_irc=np.array([mask.voxels.shape for mask in ordered], np.int64).reshape(-1, 3),
            bits=np.concatenate([np.empty(0, np.uint8), *bits]),
        )


def read_masks(path: Path) -> list[FindingMask]:
    """The masks as they were written; ``StoreError`` where they are absent or not whole."""
    try:
        # Never unpickled: a file from elsewhere may hold anything.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            starts, shapes, bits = (kept[name] for name in ("start_irc", "shape_irc", "bits"))
        sizes = shapes.prod(axis=1)
        ends = np.cumsum(-(-sizes // 8))
        if len(starts) != len(shapes) or int(ends[-1:].sum()) != len(bits):
            raise _unusable(path, f"{len(bits)} bytes of {len(shapes)} masks")
        parts = np.split(bits, ends[:-1]) if len(shapes) else []
    except (OSError, LookupError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise _unusable(path, f"'{error}'") from None
    return [
        FindingMask(
            (int(start[0]), int(start[1]), int(start[2])),
            np.unpackbits(part, count=int(size)).astype(np.bool_).reshape(shape),
        )
        for start, shape, size, part in zip(starts, shapes, sizes, parts, strict=True)
    ]


def _unusable(path: Path, found: str) -> StoreError:
    return StoreError(
        value=found,
        place=path,
        rule="the voxels of the findings must be stored there, whole",
        cure="Materialize the findings of this subset again.",
    )
