# SPDX-License-Identifier: Apache-2.0
"""The readers' marks of one subset, written, read again and held against the phantoms' truth."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.annotations.contours import enclosed
from lung_pipeline.annotations.lidc import read_lidc
from lung_pipeline.annotations.lidc_subset import (
    CONTOURS,
    LOSSES,
    READS,
    make_lidc_reads,
    nodule_contours,
)
from lung_pipeline.annotations.reads import READ_COLUMNS, marked_twice
from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import make_candidates, read_candidates_of
from lung_pipeline.ct.geometry import AxesChange
from lung_pipeline.ct.store import open_volume, write_volume
from lung_pipeline.ct.subset import series_with_volume
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import AnnotationError
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table


def test_marks_are_those_of_the_scans_of_the_subset(phantom_home: Home) -> None:
    reads = read_table(phantom_home.manifest(READS, "subset0"))
    whole = read_lidc(phantom_home.raw / "LIDC-XML-only")
    series = set(series_with_volume(phantom_home, "subset0"))
    assert len(whole.series) == 6
    assert set(reads["series_uid"]) <= series
    assert len(reads) == sum(len(whole.series[uid].reads) for uid in series)
    assert marked_twice(reads) == []


def test_outlines_come_back_as_they_were_drawn(phantom_home: Home) -> None:
    whole = read_lidc(phantom_home.raw / "LIDC-XML-only")
    reads = read_table(phantom_home.manifest(READS, "subset0"))
    stored = nodule_contours(phantom_home, "subset0")
    assert len(stored) == len(reads.groupby(["series_uid", "lidc_nodule"])) > 4
    for (series_uid, nodule), readers in stored.items():
        rows = reads[(reads["series_uid"] == series_uid) & (reads["lidc_nodule"] == nodule)]
        drawn = [whole.series[series_uid].reads[read].contours for read in rows["read"]]
        for ours, theirs in zip(readers, drawn, strict=True):
            assert [(c.z_mm, c.is_inclusion) for c in ours] == [
                (c.z_mm, c.is_inclusion) for c in theirs
            ]
            for mine, other in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(mine.columns, other.columns)
                np.testing.assert_array_equal(mine.rows, other.rows)


def test_size_of_a_mark_in_the_table_is_that_of_its_outlines(phantom_home: Home) -> None:
    reads = read_table(phantom_home.manifest(READS, "subset1"))
    stored = nodule_contours(phantom_home, "subset1")
    for (series_uid, nodule), readers in stored.items():
        rows = reads[(reads["series_uid"] == series_uid) & (reads["lidc_nodule"] == nodule)]
        assert rows["num_pixels"].tolist() == [len(enclosed(outlines)) for outlines in readers]


def test_flipped_scan_has_its_marks_on_its_nodules(phantom_home: Home) -> None:
    table = read_candidates_of(phantom_home, ["subset0", "subset1"])
    nodules = table[table["is_nodule"]]
    turned = [
        uid
        for subset, uid in set(zip(nodules["subset"], nodules["series_uid"], strict=True))
        if open_volume(phantom_home.volume(subset, uid)).original_grid
        != open_volume(phantom_home.volume(subset, uid)).grid
    ]
    assert turned, "these phantoms have no flipped scan with a nodule"
    assert (nodules.loc[nodules["series_uid"].isin(turned), "lidc_nodule"] >= 0).all()


def test_nodules_of_a_converted_file_are_matched_by_slice_and_counted(own_home: Home) -> None:
    made, _ = make_candidates(own_home, "subset0", SplitRule())
    assert made.counts["nodules_matched_by_slice"] == 0
    # A converter turned the rows: columns and rows are no longer those the readers saw.
    for path in sorted((own_home.root / "volumes" / "subset0").glob("*.zarr")):
        stored = open_volume(path)
        turned = AxesChange((0, 1, 2), (False, True, False)).turn_grid(stored.grid)
        sha256 = stored.source_sha256
        volume = CtVolume(stored.series_uid, stored.read_all(), stored.grid, turned, sha256)
        write_volume(volume, path)
    made, _ = make_candidates(own_home, "subset0", SplitRule())
    matched = (made.table["lidc_nodule"] >= 0).sum()
    assert made.counts["nodules_matched_by_slice"] == matched > 0


def test_same_marks_have_the_same_fingerprint_zipped_or_not(own_home: Home) -> None:
    _, counts, unpacked = make_lidc_reads(own_home, "subset0")
    folder = own_home.raw / "LIDC-XML-only"
    shutil.make_archive(str(folder), "zip", folder)
    shutil.rmtree(folder)
    _, zipped_counts, zipped = make_lidc_reads(own_home, "subset0")
    assert (zipped, zipped_counts) == (unpacked, counts)
    path = own_home.manifest(READS, "subset0")
    assert fingerprint(read_table(path), read_origin(path)) == zipped


def test_changed_outline_changes_the_fingerprint(own_home: Home) -> None:
    _, _, before = make_lidc_reads(own_home, "subset0")
    reads = read_table(own_home.manifest(READS, "subset0"))
    source = read_origin(own_home.manifest(READS, "subset0"))["sources"][reads["series_uid"][0]]
    path = own_home.raw / "LIDC-XML-only" / source.partition(",")[0]
    text = path.read_text()
    path.unlink()
    # A point of an outline more: every number of the table stays, but for the outline.
    edge = "<edgeMap>"
    head, _, tail = text.partition(edge)
    first = edge + tail.partition("</edgeMap>")[0] + "</edgeMap>"
    path.write_text(head + first + edge + tail)
    _, _, after = make_lidc_reads(own_home, "subset0")
    assert after != before


def test_without_xml_the_tables_are_empty_and_typed(own_home: Home) -> None:
    shutil.rmtree(own_home.raw / "LIDC-XML-only")
    reads, counts, _ = make_lidc_reads(own_home, "subset0")
    assert (len(reads), counts["reads"], counts["series"]) == (0, 0, 3)
    assert reads.dtypes.astype(str).to_dict() == READ_COLUMNS
    assert nodule_contours(own_home, "subset0") == {}
    for stage in (READS, CONTOURS, LOSSES):
        assert len(read_table(own_home.manifest(stage, "subset0"))) == 0


def test_subset_whose_marks_were_never_read_has_none(ball_home: Home) -> None:
    assert nodule_contours(ball_home, "subset9") == {}


def test_what_is_lost_is_listed_and_the_rest_goes_on(own_home: Home) -> None:
    _, before, _ = make_lidc_reads(own_home, "subset0")
    (own_home.raw / "LIDC-XML-only" / "notes.xml").write_text("<notes>seen by us</notes>")
    _, counts, _ = make_lidc_reads(own_home, "subset0")
    losses = read_table(own_home.manifest(LOSSES, "subset0"))
    assert counts == {**before, "losses": 1}
    (line,) = losses.itertuples(index=False)
    assert line.place == "notes.xml"
    assert "<notes>" in line.reason


def test_damaged_archive_is_refused_and_the_former_tables_stay(own_home: Home) -> None:
    before = own_home.manifest(READS, "subset0").read_bytes()
    shutil.rmtree(own_home.raw / "LIDC-XML-only")
    Path(own_home.raw / "LIDC-XML-only.zip").write_bytes(b"PK\x03\x04 half a download")
    with pytest.raises(AnnotationError, match=r"LIDC-XML-only\.zip"):
        make_lidc_reads(own_home, "subset0")
    assert own_home.manifest(READS, "subset0").read_bytes() == before
