# SPDX-License-Identifier: Apache-2.0
"""Anybody's detections and what they are scored against, read from LUNA16's kinds of files.

Rows of series that are not on the list are left out and counted, as LUNA16's script leaves them
out in silence: so a list of one fold scores that fold.

Belongs here: files in, checked tables out. Does not belong here: scoring (``matching.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.csv_table import read_columns, refuse_rows
from lung_pipeline.errors import AnnotationError, SettingError
from lung_pipeline.evaluation.detection.matching import Matches, match

if TYPE_CHECKING:
    import pandas as pd

SERIES_HEADER = "seriesuid"
"""May stand in the first line of a list of series; LUNA16's own list has no header."""

_POINT = {"coordX": "x_mm", "coordY": "y_mm", "coordZ": "z_mm"}


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTables:
    """Tables that may be matched: all of series on the list."""

    findings: pd.DataFrame
    """What a system found, in the file's order: series_uid, x_mm, y_mm, z_mm, score."""

    nodules: pd.DataFrame
    """What was to be found: series_uid, x_mm, y_mm, z_mm, diameter_mm."""

    excluded: pd.DataFrame | None
    """Marks that count neither way, columns as ``nodules``; None where no list was given."""

    series_uids: tuple[str, ...]
    """All series that were looked at, in the order of the list."""

    silent_series_uids: tuple[str, ...]
    """Those without a single row in the file of detections: perhaps never scored."""

    left_out: dict[str, int]
    """Rows that do not count: of other series, by table, and those beyond the cap."""

    def matched(self) -> Matches:
        """Findings matched with nodules by LUNA16's rule."""
        return match(self.findings, self.nodules, self.excluded, series_uids=self.series_uids)


def read_scored_tables(
    *, annotations: Path, series: Path, detections: Path, excluded: Path | None, cap: int | None
) -> ScoredTables:
    """Read all that a FROC curve is made of.

    Args:
        annotations: the nodules, as LUNA16's ``annotations.csv``.
        series: the list of all series that were looked at (``read_series_list``).
        detections: what a system found (``read_detections``).
        excluded: marks that count neither way, as ``annotations_excluded.csv``; may be None.
        cap: the most detections a scan that count (``strongest_of_each_series``); None: all.

    Raises:
        AnnotationError: a file that cannot be understood, or tables that share no series.
        SettingError: a cap below 1.
    """
    series_uids = read_series_list(series)
    all_found, all_nodules = read_detections(detections), luna.read_annotations(annotations)
    marks = None if excluded is None else luna.read_excluded(excluded)
    found = _on_list(all_found, series_uids, detections)
    nodules = _on_list(all_nodules, series_uids, annotations)
    counted = found if cap is None else strongest_of_each_series(found, cap)
    return ScoredTables(
        findings=counted,
        nodules=nodules,
        excluded=None if marks is None else marks[marks["series_uid"].isin(series_uids)],
        series_uids=series_uids,
        silent_series_uids=tuple(sorted(set(series_uids) - set(found["series_uid"]))),
        left_out={
            "detections_of_other_series": len(all_found) - len(found),
            "nodules_of_other_series": len(all_nodules) - len(nodules),
            "detections_beyond_the_cap": len(found) - len(counted),
        },
    )


def read_detections(path: Path) -> pd.DataFrame:
    """What a system found: series_uid, x_mm, y_mm, z_mm (LPS), score; one row each.

    The file has the columns seriesuid, coordX, coordY, coordZ and probability in any order; others
    are left aside. A probability may be any finite number, a logit too: only their order counts.
    A header without rows is fine: a system may find nothing.

    Raises:
        AnnotationError: what ``read_columns`` refuses, or a place that lies in no patient.
    """
    numbers = {**_POINT, "probability": "score"}
    table = read_columns(path, texts={"seriesuid": "series_uid"}, numbers=numbers)
    for name, column in _POINT.items():
        far = (table[column].abs() > luna.FARTHEST_MM).to_numpy(dtype=bool)
        rule = f"'{name}' must be at most {luna.FARTHEST_MM:,.0f} mm from 0"
        refuse_rows(path, far, table[column], rule, "Give millimetres in patient space, no voxels.")
    return table[["series_uid", *_POINT.values(), "score"]]


def read_series_list(path: Path) -> tuple[str, ...]:
    """The series that were looked at, one a line; the header ``seriesuid`` may stand on top.

    Raises:
        AnnotationError: no file, no series, another header, a line of more than one name, or a name
            that comes twice, with its line.
    """
    if not path.is_file():
        raise _refused_list(path, "no file", "the list of series must be there")
    lines: dict[str, int] = {}
    # A file of another coding or kind has no line that is a plain name: it is refused below.
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            name = line.strip().removeprefix('"').removesuffix('"')
            if not name or (number == 1 and name == SERIES_HEADER):
                continue
            place = f"{path}, line {number}"
            if not _is_one_name(name):
                raise _refused_list(place, ascii(name[:100]), "a line must be one series UID")
            if number == 1 and not any(map(str.isdecimal, name)):
                # Another column's name would be one scan more in the divisor of every rate.
                rule = f"a first line without a digit is a header, which must be '{SERIES_HEADER}'"
                raise _refused_list(place, ascii(name[:100]), rule)
            if name in lines:
                found = f"{name} again, after line {lines[name]}"
                raise _refused_list(place, found, "a series must stand in one line")
            lines[name] = number
    if not lines:
        raise _refused_list(path, "no line", "the list must name the series that were looked at")
    return tuple(lines)


def read_patient_of_series(path: Path, series_uids: Sequence[str]) -> dict[str, str]:
    """Whose each series of a list is, from TCIA's ``LIDC-IDRI_MetaData.csv``.

    Series that the table does not name are left aside: each is its own patient.

    Raises:
        AnnotationError: what ``luna.read_patients`` refuses, or a table that names none of them.
    """
    table = luna.read_patients(path)
    kept = _on_list(table, tuple(series_uids), path)
    return dict(zip(kept["series_uid"], kept["patient_id"], strict=True))


def strongest_of_each_series(findings: pd.DataFrame, cap: int) -> pd.DataFrame:
    """The highest scores of each series, at most ``cap`` of them, in the order given.

    What counts is a score above the (cap + 1)-th of its series, as in LUNA16's script: of scores
    that are tied across the cut none stays, so a series may keep fewer than ``cap``, or none where
    all are tied. No order of the rows decides.

    Raises:
        SettingError: a cap below 1.
    """
    if cap < 1:
        raise SettingError(
            value=cap,
            place="cap",
            rule="the detections a scan that may count must be 1 or more",
            cure="Give a number such as 100, or none to count all.",
        )
    at_least_as_high = findings.groupby("series_uid")["score"].rank(method="max", ascending=False)
    return findings[at_least_as_high <= cap]


def _on_list(table: pd.DataFrame, series_uids: tuple[str, ...], path: Path) -> pd.DataFrame:
    """The rows of these series; refuses a table that has rows, but none of them."""
    kept = table[table["series_uid"].isin(series_uids)]
    if len(table) and not len(kept):
        raise AnnotationError(
            value=f"{len(table)} rows of other series, such as {table['series_uid'].iloc[0]}",
            place=path,
            rule="some row must be of a series of the list",
            cure="Look whether the list of series belongs to this table.",
        )
    return kept


def _is_one_name(text: str) -> bool:
    unlike_a_name = {",", ";", '"', "\N{REPLACEMENT CHARACTER}"}
    return text.isprintable() and not any(c.isspace() or c in unlike_a_name for c in text)


def _refused_list(place: object, value: str, rule: str) -> AnnotationError:
    cure = "Write the series UIDs one a line, as in LUNA16's seriesuids.csv."
    return AnnotationError(value=value, place=place, rule=rule, cure=cure)
