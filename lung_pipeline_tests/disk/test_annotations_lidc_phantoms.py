# SPDX-License-Identifier: Apache-2.0
"""The XML that phantoms write: read again it is what was planned."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lidc_sources import as_folder, loss_lines

from lung_pipeline.annotations.lidc import read_lidc
from lung_pipeline.annotations.lidc_message import CHARACTERISTICS
from lung_pipeline.annotations.reads import marked_twice, reads_table
from lung_pipeline.phantom.doubtful import doubtful_places
from lung_pipeline.phantom.folder import XML_FOLDER
from lung_pipeline.phantom.lidc_xml import make_xml
from lung_pipeline.phantom.plan import ScanPlan, plan_scan
from lung_pipeline.phantom.ratings import Reading


@pytest.fixture(scope="module")
def plans() -> list[ScanPlan]:
    return [plan_scan(3, subset, scan, "small") for subset in range(2) for scan in range(3)]


@pytest.fixture(scope="module")
def phantoms(plans: list[ScanPlan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / XML_FOLDER
    names = (f"{plan.subset:03d}/{plan.scan:03d}.xml" for plan in plans)
    return as_folder(folder, dict(zip(names, map(make_xml, plans), strict=True)))


def _planned(plan: ScanPlan) -> list[list[Reading]]:
    """For each nodule its readings, then those of what one reader drew."""
    drawn = [d.reading for d in doubtful_places(plan) if d.reading is not None]
    return [*map(list, plan.patient.readings), *([reading] for reading in drawn)]


def _ratings(reading: Reading) -> tuple[int, ...]:
    known = {**dataclasses.asdict(reading), "internalStructure": 1}
    return (reading.reader, *(known[name] for name in CHARACTERISTICS))


def test_phantoms_marks_are_read_as_they_were_planned(
    plans: list[ScanPlan], phantoms: Path
) -> None:
    marks = read_lidc(phantoms)
    assert (loss_lines(marks), list(marks.series)) == ([], sorted(p.series_uid for p in plans))
    for plan in plans:
        found = marks.series[plan.series_uid]
        planned = [_ratings(reading) for nodule in _planned(plan) for reading in nodule]
        read = [
            (read.reader, *(read.characteristics[name] for name in CHARACTERISTICS))
            for read in found.reads
        ]
        assert sorted(read) == sorted(planned)
        points = sum(place.reading is None for place in doubtful_places(plan))
        assert len(found.marks) == points


def test_phantoms_nodules_are_the_planned_ones(plans: list[ScanPlan], phantoms: Path) -> None:
    reads, losses = reads_table(read_lidc(phantoms))
    assert losses == []
    assert marked_twice(reads) == []
    columns = ["reader", *CHARACTERISTICS]
    for plan in plans:
        of_series = reads[reads["series_uid"] == plan.series_uid]
        groups = [
            sorted(map(tuple, group[columns].to_numpy().tolist()))
            for _, group in of_series.groupby("lidc_nodule")
        ]
        planned = [sorted(map(_ratings, nodule)) for nodule in _planned(plan)]
        assert sorted(groups) == sorted(planned)


def test_phantoms_nodules_lie_where_they_were_planned(
    plans: list[ScanPlan], phantoms: Path
) -> None:
    reads, _ = reads_table(read_lidc(phantoms))
    for plan in plans:
        of_series = reads[reads["series_uid"] == plan.series_uid]
        centres = plan.to_patient_space(
            np.array([n.centre_xyz_mm for n in plan.patient.nodules]).reshape(-1, 3)
        )
        for centre, nodule_ in zip(centres, plan.patient.nodules, strict=True):
            _, row, column = plan.file_grid.xyz_mm_to_irc([centre])[0]
            away = np.hypot(of_series["column"] - column, of_series["row"] - row)
            close = of_series[(away < 3) & ((of_series["z_mm"] - centre[2]).abs() < 3)]
            assert len(close) >= 3, nodule_.diameter_mm


def test_phantoms_archive_and_folder_give_one_table(phantoms: Path, tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", phantoms))
    one, _ = reads_table(read_lidc(phantoms))
    other, _ = reads_table(read_lidc(packed))
    pd.testing.assert_frame_equal(one, other)
