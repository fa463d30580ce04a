# SPDX-License-Identifier: Apache-2.0
"""From TCIA's and LUNA16's own files to one table of labels whose rule has a name.

It needs no home, no volumes and no scan: where the CTs are there their headers say where pixels
lie; where they are not, LUNA16's list of excluded findings does (``pixel_frame.py``).

Belongs here: which files are read, the table's columns, the sums a person wants to see. Does not
belong here: rules, matching, XML.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.csv_formulas import without_formulas
from lung_pipeline.annotations.lidc import LIDC_NAMES, NO_MARKS, LidcMarks, find_lidc, read_lidc
from lung_pipeline.annotations.lidc_message import NUM_READERS, Loss
from lung_pipeline.annotations.lidc_nodules import BY_SLICE, NOT_MATCHED
from lung_pipeline.annotations.malignancy import FROM_CSV, label_nodules
from lung_pipeline.annotations.pixel_frame import (
    FROM_CT,
    FROM_EXCLUDED,
    GridFrame,
    PixelFrame,
    fit_frame,
    has_readers_pixels,
)
from lung_pipeline.annotations.ratings import gather_ratings
from lung_pipeline.annotations.reads import reads_table
from lung_pipeline.annotations.rules import MalignancyRule
from lung_pipeline.ct.reading import read_grid, scans_in
from lung_pipeline.errors import AnnotationError, LungPipelineError, SettingError
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    import pandas as pd

_AS_PUBLISHED = {
    "series_uid": "seriesuid",
    "x_mm": "coordX",
    "y_mm": "coordY",
    "z_mm": "coordZ",
    "diameter_mm": "diameter_mm",
    "mal_bool": "mal_bool",
    "mal_details": "mal_details",
}
"""The first columns, by the names of annotations_with_malignancy.csv: programs read that file."""

LOSSES_ENDING = ".losses.csv"
"""How the list of what was lost is called, after the table's own name."""

MOST_SHOWN = 5
"""Losses that are told in words; all are written."""

_OURS = (
    "label",
    "rule",
    "num_readers",
    "expected_suspicious",
    "is_borderline",
    "ratings_from",
    "matched_by",
    "distance_mm",
    "lidc_nodule",
)


MALIGNANT, BENIGN, LEFT_OUT, UNKNOWN = "malignant", "benign", "left out", "unknown"
LABELS = (MALIGNANT, BENIGN, LEFT_OUT, UNKNOWN)
"""The words of the column ``label``: left out is the rule's choice, unknown has no rating."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of all annotated nodules, and what they rest on."""

    table: pd.DataFrame
    """One row a nodule, as it is written; see ``docs/how-to/lidc.md`` for the columns."""

    counts: dict[str, int]
    """Nodules by label, by how they were matched, and those that one more reader could flip."""

    losses: tuple[Loss, ...]
    """Marks and files that could not be used as they stand."""

    def in_words(self) -> str:
        """What a person wants to know of the table, some lines."""
        count, rule = self.counts, self.table["rule"].iloc[0]
        by = (f"{how} {count[f'matched by {how}']}" for how in (FROM_CT, FROM_EXCLUDED, BY_SLICE))
        lines = [
            f"{count['nodules']} nodules by the rule {rule}: "
            + ", ".join(f"{word} {count[word]}" for word in LABELS),
            f"one more reader could change {count['borderline']} labels, "
            f"{count['borderline_of_fewer_readers']} of which had fewer than {NUM_READERS} readers",
            f"readers' marks found by: {', '.join(by)}; not found {count['not matched']}; "
            f"ratings taken from {luna.RATINGS_FILE}: {count['ratings from csv']}",
        ]
        if self.losses:
            lines.append(f"{len(self.losses)} things could not be used as they stand, such as")
            lines += [f"  {loss.place}: {loss.reason}" for loss in self.losses[:MOST_SHOWN]]
        return "\n".join(lines)


def refuse_to_replace_source(raw: Path, out: Path) -> None:
    """Refuse to write labels over a table they are made from.

    Raises:
        SettingError: ``out`` is one of LUNA16's tables in ``raw``.
    """
    names = (luna.ANNOTATIONS_FILE, luna.EXCLUDED_FILE, luna.RATINGS_FILE)
    sources = [raw / name for name in names]
    if out.exists() and any(out.samefile(path) for path in sources if path.is_file()):
        raise SettingError(
            value=out,
            place="the table of labels",
            rule="it must not take the place of a table it is made from",
            cure="Name another file with --out.",
        )


def write_labels(labels: Labels, out: Path) -> None:
    """Write the table as csv, and beside it what was lost, if anything was."""
    import pandas as pd

    with written_whole(out) as temporary:
        without_formulas(labels.table).to_csv(temporary, index=False)
    list_of_lost = out.with_suffix(LOSSES_ENDING)
    if labels.losses:
        lost = pd.DataFrame([asdict(loss) for loss in labels.losses])
        with written_whole(list_of_lost) as temporary:
            without_formulas(lost).to_csv(temporary, index=False)
    else:
        # That of an earlier table would be taken for this one's.
        list_of_lost.unlink(missing_ok=True)


def label(raw: Path, rule: MalignancyRule, xml: Path | None = None) -> Labels:
    """Label every nodule of ``annotations.csv``.

    Args:
        raw: the folder with LUNA16's tables and, where they are, scans in folders below it.
        rule: from ratings to a label.
        xml: the readers' XML, a folder or a zip; None: where ``find_lidc`` finds it in ``raw``.

    Raises:
        AnnotationError: no annotations, or neither XML nor a table of ratings.
    """
    annotations = luna.read_annotations(raw / luna.ANNOTATIONS_FILE)
    source, csv = xml or find_lidc(raw), raw / luna.RATINGS_FILE
    if source is None and not csv.is_file():
        raise AnnotationError(
            value="neither",
            place=raw,
            rule=f"there must be {' or '.join(LIDC_NAMES)}, or {luna.RATINGS_FILE}",
            cure="Put TCIA's LIDC-XML-only.zip there, or name it with --xml.",
        )
    wanted = set(annotations["series_uid"])
    lidc = read_lidc(source, wanted) if source else NO_MARKS
    reads, hollow = reads_table(lidc)
    frames, unread = _frames(raw, lidc, wanted)
    from_csv = luna.read_ratings(csv) if csv.is_file() else None
    rated = gather_ratings(annotations, reads, frames, from_csv)
    table = _as_written(label_nodules(rated, rated, rule), rule)
    return Labels(table, _counts(table), (*lidc.losses, *hollow, *unread))


def _frames(
    raw: Path, lidc: LidcMarks, wanted: Collection[str]
) -> tuple[dict[str, PixelFrame], list[Loss]]:
    """For each series how its pixels lie in the patient: by its CT, else by excluded findings."""
    frames: dict[str, PixelFrame] = {}
    losses: list[Loss] = []
    excluded = raw / luna.EXCLUDED_FILE
    if excluded.is_file():
        for series_uid, rows in luna.read_excluded(excluded).groupby("series_uid"):
            message = lidc.series.get(str(series_uid))
            if message and (frame := fit_frame(message.marks, rows)):
                frames[str(series_uid)] = frame
    for scan in _scans_below(raw):
        try:
            series_uid, grid = read_grid(scan)
        except LungPipelineError as error:
            losses.append(Loss(str(scan), f"{error.rule}, got {error.value}: its grid is not used"))
        else:
            if series_uid in wanted and has_readers_pixels(grid):
                frames[series_uid] = GridFrame(grid)
    return frames, losses


def _scans_below(raw: Path) -> Iterator[Path]:
    """The scans in the folders of the raw data; the readers' XML is none."""
    for folder in sorted(raw.iterdir()):
        if folder.is_dir() and folder.name not in LIDC_NAMES:
            yield from scans_in(folder)


def _as_written(labelled: pd.DataFrame, rule: MalignancyRule) -> pd.DataFrame:
    import pandas as pd

    label, is_unrated = labelled["is_malignant"], labelled["num_readers"] == 0
    words = np.select(
        [is_unrated, label.isna(), label.fillna(False).astype(bool)],
        [UNKNOWN, LEFT_OUT, MALIGNANT],
        default=BENIGN,
    )
    lists = [f"[{text.replace(',', ', ')}]" for text in labelled["ratings"]]
    table = labelled.assign(
        mal_bool=label.astype("object").where(label.notna(), ""),
        mal_details=pd.Series(lists, index=labelled.index, dtype="str"),
        label=words,
        rule=rule.in_words(),
    )
    return table.rename(columns=_AS_PUBLISHED)[[*_AS_PUBLISHED.values(), *_OURS]]


def _counts(table: pd.DataFrame) -> dict[str, int]:
    of_fewer = table["is_borderline"] & (table["num_readers"] < NUM_READERS)
    return {
        "nodules": len(table),
        **{word: int((table["label"] == word).sum()) for word in LABELS},
        "borderline": int(table["is_borderline"].sum()),
        "borderline_of_fewer_readers": int(of_fewer.sum()),
        **{
            f"matched by {how}": int((table["matched_by"] == how).sum())
            for how in (FROM_CT, FROM_EXCLUDED, BY_SLICE)
        },
        "not matched": int((table["matched_by"] == NOT_MATCHED).sum()),
        "ratings from csv": int((table["ratings_from"] == FROM_CSV).sum()),
    }
