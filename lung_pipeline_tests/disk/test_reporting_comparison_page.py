# SPDX-License-Identifier: Apache-2.0
"""The comparison as a file: every figure and nodule stands on it, with its crop, escaped."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from html_pages import Page
from phantom_systems import phantom_system

from lung_pipeline.annotations.subset import read_candidates_of
from lung_pipeline.crops.store import open_crops
from lung_pipeline.evaluation.comparison.changed_nodules import ChangedNodule, changed_nodules
from lung_pipeline.evaluation.comparison.comparison import (
    CPM,
    FP_PER_SCAN,
    NO_PAIR,
    Comparison,
    Pair,
)
from lung_pipeline.evaluation.comparison.paired import compare
from lung_pipeline.home import Home
from lung_pipeline.learning.resampling import Estimate
from lung_pipeline.orchestration.private_names import PrivateNames
from lung_pipeline.reporting.examples import from_png
from lung_pipeline.reporting.overlay import window_picture
from lung_pipeline.reporting.scores.changed_crops import pictures_of
from lung_pipeline.reporting.scores.comparison_page import (
    MOST_SHOWN,
    write_comparison,
    write_comparison_page,
)
from lung_pipeline.reporting.scores.comparison_words import lines


@cache
def comparison() -> Comparison:
    return compare(phantom_system("v1"), phantom_system("v2", skill=1.3, seed=4), "2026-01-02")


def page(folder: Path, of: Comparison, verdict: str = "") -> Page:
    write_comparison_page(of, folder / "comparison.html", {}, verdict)
    return Page(folder / "comparison.html")


def test_page_holds_every_figure_and_every_nodule(tmp_path: Path) -> None:
    made = comparison()
    shown = page(tmp_path, made, "rejected: within noise")
    assert "rejected: within noise" in shown.text
    assert len(lines(made)) == len(made.figures)
    for line in lines(made):
        row = (line.name, line.a, line.b, line.difference, line.interval, line.meaning)
        assert " ".join(row) in shown.text
    assert made.won
    for nodule in (*made.won, *made.lost):
        assert nodule.candidate_id in shown.text
        assert f"{nodule.diameter_mm:.1f} mm" in shown.text
        assert nodule.ratings in shown.text
    assert f"Won: {len(made.won)}" in shown.text
    assert "lung-nodule v2 (abc)" in shown.text
    assert not shown.addresses


@pytest.mark.parametrize(
    ("name", "difference", "meaning"),
    [
        (CPM, Estimate(0.1, 0.05, 0.2), "better"),
        (CPM, Estimate(-0.1, -0.2, -0.05), "worse"),
        (CPM, Estimate(0.1, -0.05, 0.2), "within noise"),
        (CPM, Estimate(0.1, 0.0, 0.2), "within noise"),
        (CPM, Estimate(0.1, None, None), "too few patients"),
        (CPM, Estimate(0.0, None, None), "equal"),
        (FP_PER_SCAN, Estimate(0.1, 0.05, 0.2), "worse"),
        (FP_PER_SCAN, Estimate(-0.1, -0.2, -0.05), "better"),
        (CPM, Estimate(None, None, None), "not measured"),
    ],
)
def test_what_a_difference_means(name: str, difference: Estimate, meaning: str) -> None:
    one = replace(comparison(), figures={name: Pair(0.5, 0.6, difference)})
    assert [line.meaning for line in lines(one)] == [meaning]


def test_page_escapes_names_and_says_what_was_not_measured(tmp_path: Path) -> None:
    hostile = "<script>1</script>"
    won = tuple(replace(one, patient_id=hostile, ratings=hostile) for one in comparison().won)
    one = replace(
        comparison(),
        a=replace(comparison().a, name=hostile),
        figures=dict.fromkeys(comparison().figures, NO_PAIR),
        won=won,
        lost=(),
    )
    shown = page(tmp_path, one, hostile)
    assert "script" not in shown.tags
    assert shown.text.count(hostile) >= 3 + len(won)
    assert "CPM not measured not measured" in shown.text


def test_system_whose_findings_never_count_finds_nothing(tmp_path: Path) -> None:
    silent = phantom_system("v2", threshold=float("inf"))
    made = compare(phantom_system("v1"), silent, "2026-01-02")
    assert (made.b.threshold, made.b.num_found) == (None, 0)
    assert "Infinity" not in json.dumps(made.as_json())
    assert "Findings count from 0.5000 no probability" in page(tmp_path, made).text


def test_page_shows_the_largest_and_counts_the_others(tmp_path: Path) -> None:
    nodule = comparison().won[0]
    many = tuple(replace(nodule, candidate_id=f"n{n}.") for n in range(MOST_SHOWN + 3))
    shown = page(tmp_path, replace(comparison(), won=many))
    assert f"The {MOST_SHOWN} largest; 3 more stand in comparison.json" in shown.text
    assert f"n{MOST_SHOWN - 1}." in shown.text
    assert f"n{MOST_SHOWN}." not in shown.text


def _nodules(home: Home) -> tuple[ChangedNodule, ...]:
    table = read_candidates_of(home, ["subset0", "subset1"])
    nodules = table[table["is_nodule"]]
    score = np.full(len(nodules), 0.5)
    return changed_nodules(nodules, score, score, np.ones(len(nodules), dtype=bool))


def test_picture_is_the_middle_slice_of_the_nodules_own_crop(phantom_home: Home) -> None:
    nodules = _nodules(phantom_home)
    pictures = pictures_of(phantom_home, nodules)
    assert set(pictures) == {nodule.candidate_id for nodule in nodules}
    for nodule in nodules[:3]:
        crops = open_crops([phantom_home.crops(nodule.subset)])
        (row,) = crops.index.index[crops.index["candidate_id"] == nodule.candidate_id]
        png = base64.b64decode(pictures[nodule.candidate_id].split(",")[1])
        np.testing.assert_array_equal(from_png(png), window_picture(crops.read([row])[0][16]))


def test_nodule_without_a_crop_at_its_place_has_no_picture(phantom_home: Home) -> None:
    nodule = _nodules(phantom_home)[0]
    x_mm, y_mm, z_mm = nodule.center_xyz_mm
    others = [
        replace(nodule, center_xyz_mm=(x_mm + 1, y_mm, z_mm)),
        replace(nodule, subset="subset9"),
        replace(nodule, candidate_id="unknown"),
    ]
    assert [pictures_of(phantom_home, [other]) for other in others] == [{}, {}, {}]


def test_names_that_must_not_be_told_are_not(phantom_home: Home, tmp_path: Path) -> None:
    """What goes to MLflow: a hospital's names of patient and scan are in neither file."""
    known = _nodules(phantom_home)[0]
    hospitals = replace(
        known, patient_id="H-4711", series_uid="Muster_H", candidate_id="Muster_H-3"
    )
    made = replace(comparison(), won=(known, hospitals), lost=(hospitals,))
    told = PrivateNames(frozenset(), bytes(32)).stand_in
    write_comparison(phantom_home, made, tmp_path / "new", told=told)
    texts = [path.read_text() for path in (tmp_path / "new").iterdir()]
    assert len(texts) == 2
    for text in texts:
        assert "Muster" not in text
        assert "H-4711" not in text
        assert text.count(told("H-4711")) == 2
    # A public name stays, and so does its crop.
    assert Page(tmp_path / "new" / "comparison.html").tags.count("img") == 1
    assert known.patient_id in texts[0]


def test_record_and_page_are_written_with_the_crops(phantom_home: Home, tmp_path: Path) -> None:
    nodules = _nodules(phantom_home)
    made = replace(comparison(), won=nodules[:2], lost=nodules[2:3])
    path = write_comparison(phantom_home, made, tmp_path / "new", "rejected: for a test")
    shown = Page(path)
    assert shown.tags.count("img") == 3
    assert {address.split(",")[0] for address in shown.addresses} == {"data:image/png;base64"}
    record = json.loads((tmp_path / "new" / "comparison.json").read_text())
    assert Comparison.from_json(record) == made
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "comparison.html",
        "comparison.json",
    ]
