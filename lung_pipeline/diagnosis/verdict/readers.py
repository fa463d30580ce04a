# SPDX-License-Identifier: Apache-2.0
"""What the readers of a scan thought of its patient, beside what the models think.

The readers' rule is the one that labels nodules for training ("at least two readers gave 4 or 5",
``annotations/rules.py``); a patient is malignant by it if any nodule is. Here it is asked of all
nodules of 3 mm and more that anybody drew, in the scan's own XML: neither LUNA16's choice of
nodules nor a position in the patient is needed.

Belongs here: from marks to one verdict. Does not belong here: reading XML (``annotations``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.lidc import MOST_BYTES, LidcMarks, read_lidc
from lung_pipeline.annotations.lidc_message import read_message
from lung_pipeline.annotations.reads import NOT_RATED, reads_table
from lung_pipeline.annotations.rules import MalignancyRule, TwoOfReaders
from lung_pipeline.diagnosis.verdict.rules import BENIGN, MALIGNANT, NO_NODULE, NOT_ASSESSED
from lung_pipeline.errors import AnnotationError

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_READERS_RULE = TwoOfReaders()
"""The rule that the malignancy model learns by where nothing else is said."""

_CURE = "Give the XML of this scan, or the folder or archive that holds it."


@dataclass(frozen=True, slots=True)
class ReadersVerdict:
    """The readers' rule over all nodules of a patient."""

    verdict: str
    """malignant, benign, no nodule, or not assessed where the rule decides about none."""

    rule: str
    """The rule with version and settings, in words."""

    ratings: tuple[tuple[int, ...], ...]
    """The malignancies, 1 to 5, that each nodule of 3 mm and more was given, in no order of
    readers; one nobody rated has none."""

    num_malignant: int
    """How many nodules the rule calls malignant."""

    source: str
    """Where the marks come from: a file and its hash, or a table."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {
            "verdict": self.verdict,
            "rule": self.rule,
            "num_nodules": len(self.ratings),
            "num_malignant": self.num_malignant,
            "ratings": [list(given) for given in self.ratings],
            "source": self.source,
        }


def readers_verdict(
    reads: pd.DataFrame, source: str, rule: MalignancyRule = DEFAULT_READERS_RULE
) -> ReadersVerdict:
    """The verdict over the marks of one patient.

    Args:
        reads: their marks of nodules, with ``reads.READ_COLUMNS``; no row: they marked none.
        source: where the marks come from.
        rule: from ratings to a label.
    """
    rated = [
        tuple(sorted(of_nodule.loc[of_nodule["malignancy"] != NOT_RATED, "malignancy"].tolist()))
        for _, of_nodule in reads.groupby(["series_uid", "lidc_nodule"])
    ]
    labels = [rule.label(given) for given in rated]
    return ReadersVerdict(
        verdict=_verdict(labels),
        rule=rule.in_words(),
        ratings=tuple(rated),
        num_malignant=labels.count(True),
        source=source,
    )


def readers_of_scan(
    source: Path, series_uid: str, rule: MalignancyRule = DEFAULT_READERS_RULE
) -> ReadersVerdict:
    """The readers' verdict on one scan, from LIDC's XML.

    Args:
        source: see ``lidc_of_scan``.
        series_uid: the scan's series.
        rule: from ratings to a label.

    Raises:
        AnnotationError: no readable XML, or none about this series.
    """
    lidc = lidc_of_scan(source, series_uid)
    reads, _ = reads_table(lidc)
    return readers_verdict(reads, lidc.sources[series_uid], rule)


def lidc_of_scan(source: Path, series_uid: str) -> LidcMarks:
    """The readers' marks on one scan.

    Args:
        source: one XML file, or a folder or zip archive in which the scan's file is looked for.
        series_uid: the scan's series.

    Raises:
        AnnotationError: no readable XML, or none about this series.
    """
    lidc = read_lidc(source, {series_uid}) if _is_many(source) else _one_file(source)
    if series_uid not in lidc.series:
        named = ", ".join(sorted(lidc.series)) or "none of it"
        raise AnnotationError(
            value=named,
            place=source,
            rule=f"the readers' XML must be about the series {series_uid}",
            cure=_CURE,
        )
    return lidc


def _verdict(labels: Collection[bool | None]) -> str:
    if not labels:
        return NO_NODULE
    if any(labels):
        return MALIGNANT
    return NOT_ASSESSED if None in labels else BENIGN


def _is_many(source: Path) -> bool:
    return source.is_dir() or source.suffix.lower() != ".xml"


def _one_file(source: Path) -> LidcMarks:
    try:
        with source.open("rb") as stream:
            xml = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable(source, error.strerror or "no file") from error
    if len(xml) > MOST_BYTES:
        raise _unreadable(source, f"more than {MOST_BYTES:,} bytes")
    message = read_message(xml, source.name)
    sha256 = hashlib.sha256(xml).hexdigest()
    series = {message.series_uid: message} if message.is_ct else {}
    told = f"{source.name}, sha256 {sha256}"
    return LidcMarks(series, message.losses, {}, {message.series_uid: told})


def _unreadable(source: Path, found: str) -> AnnotationError:
    return AnnotationError(
        value=found, place=source, rule="the readers' XML must be readable and whole", cure=_CURE
    )
