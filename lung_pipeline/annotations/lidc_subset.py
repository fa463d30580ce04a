# SPDX-License-Identifier: Apache-2.0
"""Step 1 over one LUNA subset: the readers' marks of its scans, from the XML below ``raw``.

Belongs here: what lies on disk, and how it is read again. Does not belong here: XML, and which
annotation a mark belongs to.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.contours import Contour
from lung_pipeline.annotations.lidc import NO_MARKS, LidcMarks, find_lidc, read_lidc
from lung_pipeline.annotations.lidc_message import Loss
from lung_pipeline.annotations.reads import reads_table
from lung_pipeline.ct.subset import series_with_volume
from lung_pipeline.home import Home
from lung_pipeline.remote.copies import local_copy
from lung_pipeline.tables import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

READS, CONTOURS, LOSSES = "lidc_reads", "lidc_contours", "lidc_losses"
"""The three tables of a subset: readers' marks, the points of their outlines, what was lost."""

_POINTS = {
    "series_uid": "str",
    "read": "int64",
    "contour": "int64",
    "z_mm": "float64",
    "is_inclusion": "bool",
    "column": "int16",
    "row": "int16",
}


def make_lidc_reads(home: Home, subset: str) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Read what the readers marked in the scans of a subset; without XML the tables are empty.

    Returns:
        The reads, with ``reads.READ_COLUMNS``; counts; and the fingerprint of reads and outlines.
    """
    source = find_lidc(home.raw)
    wanted = series_with_volume(home, subset)
    lidc = read_lidc(local_copy(source), set(wanted)) if source else NO_MARKS
    reads, hollow = reads_table(lidc)
    losses = _losses_table([*lidc.losses, *hollow])
    origin = {"stage": READS, "sources": dict(lidc.sources)}
    write_table(losses, home.manifest(LOSSES, subset), origin)
    points = write_table(_points_table(lidc, reads), home.manifest(CONTOURS, subset), origin)
    made = write_table(reads, home.manifest(READS, subset), {**origin, "contours": points})
    counts = {
        "series": len(wanted),
        "series_with_marks": len(lidc.series),
        "reads": len(reads),
        "nodules": len(reads.groupby(["series_uid", "lidc_nodule"])),
        "rated_reads": lidc.counts.get("rated_reads", 0),
        "small_nodules": lidc.counts.get("small_nodules", 0),
        "non_nodules": lidc.counts.get("non_nodules", 0),
        "losses": len(losses),
    }
    return reads, counts, made


def read_reads_of(home: Home, subsets: Sequence[str]) -> pd.DataFrame:
    """The readers' marks of some subsets in one table; ``StoreError`` where one is missing."""
    import pandas as pd

    tables = [read_table(home.manifest(READS, subset)) for subset in subsets]
    return pd.concat(tables, ignore_index=True)


def nodule_contours(home: Home, subset: str) -> dict[tuple[str, int], list[list[Contour]]]:
    """For each of the readers' nodules, (series_uid, lidc_nodule), the outlines of each reader.

    Empty where the readers' marks were not there, or were never read.
    """
    path = home.manifest(READS, subset)
    if not path.is_file():
        return {}
    outlines = _outlines(read_table(home.manifest(CONTOURS, subset)))
    nodules: dict[tuple[str, int], list[list[Contour]]] = {}
    columns = ["series_uid", "read", "lidc_nodule"]
    for series_uid, read, nodule in read_table(path, columns).itertuples(index=False):
        nodules.setdefault((series_uid, nodule), []).append(outlines[series_uid, read])
    return nodules


def _outlines(points: pd.DataFrame) -> dict[tuple[str, int], list[Contour]]:
    """The outlines of each read, from points that stand in the order they were written."""
    key = points[["series_uid", "read", "contour"]]
    starts = np.flatnonzero((key != key.shift()).any(axis=1))
    stops = np.append(starts, len(points))[1:]
    columns, rows = points["column"].to_numpy(), points["row"].to_numpy()
    firsts = points.iloc[starts][["series_uid", "read", "z_mm", "is_inclusion"]]
    outlines: dict[tuple[str, int], list[Contour]] = {}
    for start, stop, first in zip(starts, stops, firsts.to_numpy().tolist(), strict=True):
        series_uid, read, z_mm, is_inclusion = first
        contour = Contour(z_mm, is_inclusion, columns[start:stop], rows[start:stop])
        outlines.setdefault((series_uid, read), []).append(contour)
    return outlines


def _points_table(lidc: LidcMarks, reads: pd.DataFrame) -> pd.DataFrame:
    """Every point of every outline, one row each, in the order drawn."""
    import pandas as pd

    drawn = [
        (series_uid, read, number, contour)
        for series_uid, read in reads[["series_uid", "read"]].itertuples(index=False)
        for number, contour in enumerate(lidc.series[series_uid].reads[read].contours)
    ]
    outlines = [contour for *_, contour in drawn]
    lengths = [len(contour.rows) for contour in outlines]
    empty = [np.empty(0, np.int16)]
    return pd.DataFrame(
        {
            "series_uid": np.repeat(np.array([uid for uid, *_ in drawn], dtype=object), lengths),
            "read": np.repeat([read for _, read, *_ in drawn], lengths),
            "contour": np.repeat([number for _, _, number, _ in drawn], lengths),
            "z_mm": np.repeat([contour.z_mm for contour in outlines], lengths),
            "is_inclusion": np.repeat([contour.is_inclusion for contour in outlines], lengths),
            "column": np.concatenate(empty + [contour.columns for contour in outlines]),
            "row": np.concatenate(empty + [contour.rows for contour in outlines]),
        }
    ).astype(_POINTS)


def _losses_table(losses: list[Loss]) -> pd.DataFrame:
    import pandas as pd

    rows = [asdict(loss) for loss in losses]
    return pd.DataFrame(rows, columns=["place", "reason"]).astype("str")
