# SPDX-License-Identifier: Apache-2.0
"""Which marks of several readers are one nodule.

LIDC's XML does not say it. Here marks whose insides overlap, in the scan's own grid of pixels, are
one nodule; the pairs that overlap most are joined first. A nodule never holds two marks of one
reader: two groups that share a reader stay apart. So no nodule has more readers than there were.

Belongs here: the grouping, and one row a read. Does not belong here: patient space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.annotations.contours import PixelSet, enclosed
from lung_pipeline.annotations.lidc import LidcMarks
from lung_pipeline.annotations.lidc_message import CHARACTERISTICS, Loss, Read

if TYPE_CHECKING:
    import pandas as pd

NOT_RATED = 0
"""Stands in a characteristic's column where the reader gave none."""

READ_COLUMNS = {
    "series_uid": "str",
    "read": "int64",
    "lidc_nodule": "int64",
    "reader": "int64",
    "name": "str",
    **dict.fromkeys(CHARACTERISTICS, "int64"),
    "num_pixels": "int64",
    "column": "float64",
    "row": "float64",
    "z_mm": "float64",
    "z_low_mm": "float64",
    "z_high_mm": "float64",
}
"""The columns of the reads, in order, and their pandas types.

``read`` is the mark's number in its series' message, ``lidc_nodule`` the number of the nodule it is
a mark of, both from 0. ``column``, ``row`` and ``z_mm`` are the centroid of the pixels inside;
``z_low_mm`` and ``z_high_mm`` the outermost slices with an outline.
"""


def reads_table(lidc: LidcMarks) -> tuple[pd.DataFrame, list[Loss]]:
    """One row for each reader's mark of a nodule of 3 mm and more, grouped into nodules.

    Returns:
        The rows, with ``READ_COLUMNS``, and the marks that enclose no pixel, which are left out.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    losses: list[Loss] = []
    for series_uid, message in lidc.series.items():
        pixels = [enclosed(read.contours) for read in message.reads]
        kept = [number for number, inside in enumerate(pixels) if len(inside)]
        for number in sorted(set(range(len(pixels))) - set(kept)):
            read = message.reads[number]
            where = f"series {series_uid}, reader {read.reader}, nodule {read.name}"
            losses.append(Loss(where, "its outlines enclose no pixel: left out"))
        readers = [message.reads[number].reader for number in kept]
        nodules = group_reads(readers, [pixels[number] for number in kept])
        rows += [
            _row(series_uid, number, nodule, message.reads[number], pixels[number])
            for number, nodule in zip(kept, nodules, strict=True)
        ]
    return pd.DataFrame(rows, columns=list(READ_COLUMNS)).astype(READ_COLUMNS), losses


def group_reads(readers: Sequence[int], pixels: Sequence[PixelSet]) -> list[int]:
    """The nodule of each mark of one series, numbered from 0 in the order of the marks.

    Args:
        readers: whose mark each is.
        pixels: what each encloses.

    Returns:
        For each mark its nodule's number. Marks that overlap are joined, the pair with the
        greatest share of common pixels (Jaccard's index) first, as long as no reader is on both
        sides.
    """
    group_of = list(range(len(readers)))
    for one, other in _by_overlap(readers, [inside.keys for inside in pixels]):
        joined = {group_of[one], group_of[other]}
        members = [mark for mark, group in enumerate(group_of) if group in joined]
        if len({readers[mark] for mark in members}) == len(members):
            for mark in members:
                group_of[mark] = min(joined)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(group_of))}
    return [numbers[group] for group in group_of]


def marked_twice(reads: pd.DataFrame) -> list[str]:
    """The nodules that hold two marks of one reader, a line each; empty when all is well."""
    key = ["series_uid", "lidc_nodule", "reader"]
    twice = reads.loc[reads.duplicated(key), key].drop_duplicates()
    return [
        f"{series_uid}: nodule {nodule} has two marks of reader {reader}"
        for series_uid, nodule, reader in twice.itertuples(index=False)
    ]


def _by_overlap(readers: Sequence[int], keys: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """The pairs of two readers' marks that share pixels, those that share most first."""
    from scipy.sparse import coo_array

    if not keys:
        return []
    sizes = [len(of_one) for of_one in keys]
    pixels = np.unique(np.concatenate(keys), return_inverse=True)[1]
    marks = np.repeat(np.arange(len(keys)), sizes)
    holds = coo_array((np.ones(len(pixels), np.int64), (marks, pixels))).tocsr()
    common = (holds @ holds.T).tocoo()
    pairs = [
        (-shared / (sizes[one] + sizes[other] - shared), one, other)
        for one, other, shared in zip(
            common.row.tolist(), common.col.tolist(), common.data.tolist(), strict=True
        )
        if one < other and readers[one] != readers[other]
    ]
    return [(one, other) for _, one, other in sorted(pairs)]


def _row(series_uid: str, number: int, nodule: int, read: Read, inside: PixelSet) -> dict[str, Any]:
    slices_mm = [contour.z_mm for contour in read.contours]
    return {
        "series_uid": series_uid,
        "read": number,
        "lidc_nodule": nodule,
        "reader": read.reader,
        "name": read.name,
        **{name: read.characteristics.get(name, NOT_RATED) for name in CHARACTERISTICS},
        "num_pixels": len(inside),
        "column": float(inside.columns.mean()),
        "row": float(inside.rows.mean()),
        "z_mm": float(inside.z_mm.mean()),
        "z_low_mm": min(slices_mm),
        "z_high_mm": max(slices_mm),
    }
