# SPDX-License-Identifier: Apache-2.0
"""The readers' marks beside the nodules of a report, where the truth is known.

Belongs here: pairing marks and nodules for a reader's eye, by the rule of ``evaluation``. Does not
belong here: rates; one patient has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lung_pipeline.diagnosis.findings import Finding, findings_table
from lung_pipeline.evaluation.detection.matching import DOUBLE_HIT, FALSE_POSITIVE, HIT, match

if TYPE_CHECKING:
    import pandas as pd

_REMARKS = {
    HIT: "on a reference nodule",
    DOUBLE_HIT: "on a reference nodule that another finding hits better",
    FALSE_POSITIVE: "no reference nodule here",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One readers' mark, and the nodule that lies on it."""

    series_uid: str
    """The series it lies in."""

    xyz_mm: tuple[float, float, float]
    """Its centre in patient space (LPS)."""

    diameter_mm: float
    """The diameter the readers gave it."""

    finding_number: int | None
    """The number of the nodule on it, from 1; None where the mark was missed."""


def compare_with_readers(
    nodules: Sequence[Finding], truth: pd.DataFrame | None, series_uids: Sequence[str]
) -> tuple[list[Mark] | None, list[str] | None]:
    """Pair nodules with the readers' marks of these series.

    Returns:
        The marks, and for each nodule a remark; both None where the truth is not known.
    """
    if truth is None:
        return None, None
    marks = truth[truth["series_uid"].isin(series_uids)]
    # The table sorts by score; its rows are put back into the order of the report.
    place = sorted(range(len(nodules)), key=lambda i: -nodules[i].nodule_probability)
    table = findings_table(nodules).rename(columns={"nodule_probability": "score"})
    table = table.set_axis(place, axis=0).sort_index()
    matches = match(table, marks, series_uids=series_uids)
    columns = ["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"]
    rows = marks[columns].itertuples(index=False, name=None)
    return [
        Mark(uid, (x_mm, y_mm, z_mm), diameter_mm, None if row < 0 else int(row) + 1)
        for (uid, x_mm, y_mm, z_mm, diameter_mm), row in zip(
            rows, matches.nodule_finding, strict=True
        )
    ], [_REMARKS[fate] for fate in matches.finding_fate.tolist()]
