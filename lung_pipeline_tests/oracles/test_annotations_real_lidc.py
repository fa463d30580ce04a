# SPDX-License-Identifier: Apache-2.0
"""All of LIDC-IDRI's XML as TCIA hands it out, held against counts and a table of others.

Others' table (annotations_with_malignancy.csv) has the CTs' nodules with the ratings of all marks
whose outlines lie together, where a reader may count more than once. Ours never does.
"""

from __future__ import annotations

import csv
import json
import resource
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lung_pipeline.annotations.contours import enclosed
from lung_pipeline.annotations.lidc import LidcMarks, read_lidc
from lung_pipeline.annotations.lidc_message import Message, read_message
from lung_pipeline.annotations.reads import marked_twice, reads_table

MARGIN_MM = 1.5

Ratings = tuple[int, ...]


@dataclass(frozen=True)
class Published:
    """A nodule of others' table."""

    series_uid: str
    z_mm: float
    ratings: Ratings

    @property
    def name(self) -> tuple[str, float]:
        return self.series_uid[-12:], round(self.z_mm, 1)


MARKED_TWICE: dict[tuple[str, float], str] = {
    ("648717203667", -61.4): "reader 0 drew it in two, the halves side by side",
    ("176679652948", -406.8): "reader 1 drew it in two, one half above the other",
    ("770987310561", -307.0): "reader 1 drew its upper end as a nodule of its own",
    ("759289796610", -126.3): "reader 3 drew it in two, rated 4 and 5",
    ("145405000951", -707.3): "two nodules for readers 1, 2 and 3; reader 0 drew one around both",
    ("666819906758", -176.2): "reader 3 drew it in two, the halves side by side",
    ("885866806005", -397.6): "reader 1 drew another, rated 2, in reader 2's upper end",
    ("520281592139", -279.3): "reader 3 drew it in three, one above the other",
    ("977261297097", -467.9): "two nodules for readers 0, 1 and 3; reader 2 drew one around both",
    ("396410079250", -119.2): "reader 1 drew on downward, around a second mark of reader 2",
    ("167122628616", -196.0): "reader 1 drew it in two, one half above the other",
}
"""The eleven nodules of the table with five to seven ratings."""

ANOTHER_READER_COUNTED_TWICE = {
    ("151738328001", -179.9): (
        "reader 3 drew it in two, one half above the other, and reader 0 none: the table counts"
        " both halves",
        [(3, 4, 4), (4,)],
    ),
    ("077705539227", -82.2): (
        "reader 1 marked it and a second thing, 8 mm above and 11 mm beside, that overlaps"
        " nobody's: the table's box is the mean of all four marks' boxes",
        [(2, 3, 3), (3,), (3,)],
    ),
}
"""The only two of those with up to four ratings that ours has otherwise: why, and what ours has."""


@pytest.fixture(scope="module")
def archive(reference_data: Path) -> Path:
    return reference_data / "lidc" / "LIDC-XML-only.zip"


@pytest.fixture(scope="module")
def marks(archive: Path) -> LidcMarks:
    started = time.perf_counter()
    found = read_lidc(archive)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{found.counts['files']} files in {time.perf_counter() - started:.1f} s")
    print(f"at most {megabytes:.0f} MB for the whole process so far")
    return found


@pytest.fixture(scope="module")
def reads(marks: LidcMarks) -> pd.DataFrame:
    started = time.perf_counter()
    table, losses = reads_table(marks)
    print(f"\n{len(table)} marks grouped in {time.perf_counter() - started:.1f} s")
    assert losses == []
    return table


@pytest.fixture(scope="module")
def published(reference_data: Path) -> list[Published]:
    path = reference_data / "luna16" / "annotations_with_malignancy.csv"
    with path.open(newline="") as text:
        rows = list(csv.DictReader(text))
    return [
        Published(
            row["seriesuid"],
            float(row["coordZ"]),
            tuple(sorted(json.loads(row["mal_details"]))),
        )
        for row in rows
    ]


@pytest.mark.slow
def test_archive_has_the_messages_and_series_that_others_counted(
    marks: LidcMarks, reference_data: Path
) -> None:
    counts = marks.counts
    assert (counts["files"], counts["ct_messages"], counts["xray_messages"]) == (1318, 1035, 283)
    assert (counts["unreadable_files"], counts["series"]) == (0, 1018)
    assert (counts["reads"], counts["rated_reads"]) == (6862, 6860)
    luna16 = (reference_data / "luna16" / "seriesuids.csv").read_text().split()
    assert len(luna16) == 888
    assert set(luna16) <= set(marks.series)


@pytest.mark.slow
def test_what_is_lost_of_the_archive_is_told_line_by_line(marks: LidcMarks) -> None:
    kinds = Counter(loss.reason.split(" of the series")[0].split(":")[0] for loss in marks.losses)
    assert kinds == {
        "the same marks": 17,
        "outlines without a malignancy": 2,
        "no rating": 2,
        "8 sessions": 1,
    }
    lines = [f"{loss.place}: {loss.reason}" for loss in marks.losses]
    assert all(line.isprintable() and len(line) < 300 for line in lines)


def _messages(archive: Path) -> Iterator[Message]:
    """Every message, also those of a series that another file has as well."""
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            if name.endswith(".xml"):
                yield read_message(files.read(name), name)


@pytest.mark.slow
def test_every_malignancy_is_there_or_among_the_losses(archive: Path) -> None:
    given: Counter[int] = Counter()
    noughts = 0
    for message in _messages(archive):
        given.update(
            read.characteristics["malignancy"]
            for read in message.reads
            if "malignancy" in read.characteristics
        )
        noughts += sum("malignancy '0'" in loss.reason for loss in message.losses)
    assert given == {1: 1025, 2: 1654, 3: 2673, 4: 969, 5: 709}
    assert (given.total() + noughts, noughts) == (7032, 2)


@pytest.mark.slow
def test_no_nodule_of_the_archive_has_two_marks_of_a_reader(reads: pd.DataFrame) -> None:
    assert marked_twice(reads) == []
    sizes = reads.groupby(["series_uid", "lidc_nodule"]).size()
    assert (len(reads), int(sizes.max())) == (6862, 4)
    assert not reads.duplicated(["series_uid", "lidc_nodule", "reader"]).any()


def _at_height(of_series: pd.DataFrame, z_mm: float, by: str) -> list[Ratings]:
    """The ratings of each group of marks whose slices hold a height."""
    return [
        tuple(sorted(group["malignancy"][group["malignancy"] > 0].tolist()))
        for _, group in of_series.groupby(by)
        if group["z_low_mm"].min() - MARGIN_MM <= z_mm <= group["z_high_mm"].max() + MARGIN_MM
    ]


@pytest.mark.slow
def test_nodules_are_those_of_the_table_in_common_use(
    reads: pd.DataFrame, published: list[Published]
) -> None:
    by_series = dict(list(reads.groupby("series_uid")))
    of_four = [nodule for nodule in published if len(nodule.ratings) <= 4]
    ours = {
        nodule: _at_height(by_series[nodule.series_uid], nodule.z_mm, "lidc_nodule")
        for nodule in of_four
    }
    different = {n.name: found for n, found in ours.items() if n.ratings not in found}
    print(f"\n{len(of_four) - len(different)} of {len(of_four)} nodules have the same ratings")
    assert (len(published), len(of_four)) == (1182, 1171)
    assert different == {
        name: nodules for name, (_, nodules) in ANOTHER_READER_COUNTED_TWICE.items()
    }


def _chains(message: Message, reads: pd.DataFrame) -> pd.DataFrame:
    """The marks of a series, with the chain of overlaps each hangs in, whoever drew them."""
    numbers = reads["read"].tolist()
    keys = [enclosed(message.reads[number].contours).keys for number in numbers]
    pairs = [
        (a, b) for a, b in combinations(range(len(keys)), 2) if np.isin(keys[a], keys[b]).any()
    ]
    firsts, seconds = np.array(pairs, dtype=int).reshape(-1, 2).T
    linked = coo_array((np.ones(len(pairs)), (firsts, seconds)), shape=(len(keys), len(keys)))
    return reads.assign(chain=connected_components(linked, directed=False)[1])


@pytest.mark.slow
def test_more_than_four_ratings_come_of_readers_who_count_twice(
    marks: LidcMarks, reads: pd.DataFrame, published: list[Published]
) -> None:
    """Joined without our rule, the same outlines give the table's ratings, and a reader twice."""
    by_series = dict(list(reads.groupby("series_uid")))
    joined = {n.name: n for n in published if len(n.ratings) > 4}
    assert joined.keys() == MARKED_TWICE.keys()
    of_three_readers = next(n for n in published if n.name == ("151738328001", -179.9))
    for nodule in (*joined.values(), of_three_readers):
        message = marks.series[nodule.series_uid]
        chained = _chains(message, by_series[nodule.series_uid])
        assert nodule.ratings in _at_height(chained, nodule.z_mm, "chain")
        (chain,) = {
            chain
            for chain, group in chained.groupby("chain")
            if tuple(sorted(group["malignancy"])) == nodule.ratings
        }
        group = chained[chained["chain"] == chain]
        assert group["reader"].duplicated().any()
        assert group["lidc_nodule"].nunique() == group["reader"].value_counts().max()


@pytest.mark.slow
def test_reading_the_series_of_a_subset_gives_what_the_whole_archive_has(
    archive: Path, marks: LidcMarks, published: list[Published]
) -> None:
    wanted = sorted({nodule.series_uid for nodule in published})[:40]
    some = read_lidc(archive, wanted)
    assert list(some.series) == wanted
    assert some.sources == {uid: marks.sources[uid] for uid in wanted}
    one, _ = reads_table(some)
    whole = {uid: marks.series[uid] for uid in wanted}
    other, _ = reads_table(LidcMarks(whole, (), {}, {}))
    pd.testing.assert_frame_equal(one, other)
