# SPDX-License-Identifier: Apache-2.0
"""Labels of LUNA16's nodules from TCIA's own XML, held against the table in common use.

That table (annotations_with_malignancy.csv) was made by others, with the CTs and another grouping.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.label import Labels, label
from lung_pipeline.annotations.lidc import read_lidc
from lung_pipeline.annotations.lidc_nodules import match_nodules, nodules_table
from lung_pipeline.annotations.pixel_frame import GridFrame, fit_frame
from lung_pipeline.annotations.reads import reads_table
from lung_pipeline.annotations.rules import RULES, TwoOfReaders, rule_named
from lung_pipeline.ct.reading import read_grid


def test_frame_without_the_ct_equals_the_grid_of_the_ct(reference_data: Path) -> None:
    """LIDC-IDRI-0003: millimetres told by two tables alone, and by the DICOM headers."""
    series_uid, grid = read_grid(reference_data / "lidc" / "LIDC-IDRI-0003")
    excluded = luna.read_excluded(reference_data / "luna16" / luna.EXCLUDED_FILE)
    message = read_lidc(reference_data / "lidc" / "LIDC-IDRI-0003").series[series_uid]
    fitted = fit_frame(message.marks, excluded[excluded["series_uid"] == series_uid])
    assert fitted is not None
    assert len(message.marks) >= 10
    assert fitted.pixel_mm == pytest.approx(grid.spacing_irc_mm[2], abs=1e-6)
    columns, rows, slices_mm = [0, 511, 100], [0, 300, 511], [grid.origin_xyz_mm[2]] * 3
    ours = fitted.to_xyz_mm(columns, rows, slices_mm)
    np.testing.assert_allclose(ours, GridFrame(grid).to_xyz_mm(columns, rows, slices_mm), atol=1e-3)


def test_nodules_of_the_real_ct_are_found_among_its_readers_marks(reference_data: Path) -> None:
    series_uid, grid = read_grid(reference_data / "lidc" / "LIDC-IDRI-0003")
    annotations = luna.read_annotations(reference_data / "luna16" / luna.ANNOTATIONS_FILE)
    of_series = annotations[annotations["series_uid"] == series_uid]
    reads, _ = reads_table(read_lidc(reference_data / "lidc" / "LIDC-IDRI-0003"))
    frames = {series_uid: GridFrame(grid)}
    found = match_nodules(of_series, nodules_table(reads, frames), frames)
    assert (found["lidc_nodule"] >= 0).tolist() == [True] * 3
    assert found["distance_mm"].max() < 3.5


@pytest.fixture(scope="module")
def labels(reference_data: Path) -> Labels:
    """No CT anywhere: XML and tables only."""
    xml = reference_data / "lidc" / "LIDC-XML-only.zip"
    return label(reference_data / "luna16", TwoOfReaders(), xml)


def _ratings(text: str) -> list[int]:
    return sorted(int(rating) for rating in re.findall("[1-5]", text))


@pytest.mark.slow
def test_all_nodules_but_one_find_their_readers_without_any_ct(labels: Labels) -> None:
    assert labels.counts["matched by excluded findings"] == 1169
    assert labels.counts["matched by slice position"] == 16
    assert labels.counts["not matched"] == 1
    # What is measured in the patient's space lies at the centre others have published.
    assert labels.table["distance_mm"].median() < 0.15
    assert labels.table["distance_mm"].max() < 4.0


@pytest.mark.slow
def test_ratings_are_those_of_the_table_in_common_use(labels: Labels, reference_data: Path) -> None:
    published = pd.read_csv(reference_data / "luna16" / luna.RATINGS_FILE)
    tables = [t.assign(mm=t["diameter_mm"].round(6)) for t in (published, labels.table)]
    both = tables[0].merge(tables[1], on=["seriesuid", "mm"], suffixes=("", "_ours"))
    assert len(both) == 1182
    four = both[both["len_mal_details"] <= 4]
    same = [
        _ratings(theirs) == _ratings(ours)
        for theirs, ours in zip(four["mal_details"], four["mal_details_ours"], strict=True)
    ]
    assert (sum(same), len(same)) == (1169, 1171)
    # Nobody has more ratings here than there were readers; that table gives eleven nodules more.
    assert max(len(_ratings(text)) for text in labels.table["mal_details"]) == 4
    # One label differs: seven ratings there are those of three nodules that lie side by side.
    differ = both[both["mal_bool"] != both["mal_bool_ours"].astype(bool)]
    assert differ["mal_details"].tolist() == ["[5, 3, 3, 4, 4, 3, 2]"]
    assert differ["mal_details_ours"].tolist() == ["[3, 4, 3]"]


@pytest.mark.slow
def test_labels_by_the_default_rule(labels: Labels) -> None:
    names = ("malignant", "benign", "left out", "unknown")
    assert [labels.counts[name] for name in names] == [379, 806, 0, 1]
    assert labels.counts["borderline_of_fewer_readers"] == 98


@pytest.mark.parametrize(
    ("rule", "counts"),
    [
        pytest.param("two-of-readers", (378, 804, 0), id="as published"),
        pytest.param("mean", (448, 559, 175), id="mean beside 3"),
        pytest.param("median", (359, 385, 438), id="median beside 3"),
        pytest.param("majority", (437, 554, 191), id="majority of those who decide"),
    ],
)
def test_rules_over_the_ratings_in_common_use(
    rule: str, counts: tuple[int, int, int], reference_data: Path
) -> None:
    """The first three are what others counted by their own programs; the last is our own count."""
    ratings = luna.read_ratings(reference_data / "luna16" / luna.RATINGS_FILE)["ratings"]
    given = [rule_named(rule).label(_ratings(text)) for text in ratings]
    assert tuple(given.count(label) for label in (True, False, None)) == counts
    assert set(RULES) == {"two-of-readers", "mean", "median", "majority"}
