# SPDX-License-Identifier: Apache-2.0
"""What a plan promises before a voxel is drawn."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.phantom.anatomy import lung_distance
from lung_pipeline.phantom.plan import ScanPlan, patient_of, plan_scan
from lung_pipeline.phantom.ratings import draw_readings, is_malignant
from lung_pipeline.phantom.tables import HEADERS, centres_xyz_mm, rows_of


@pytest.fixture(scope="module")
def plans() -> list[ScanPlan]:
    return [plan_scan(11, subset, scan, "small") for subset in range(2) for scan in range(6)]


def test_no_patient_has_more_than_two_series_and_one_in_five_has_two() -> None:
    series = Counter(patient_of(subset, scan) for subset in range(20) for scan in range(10))
    assert set(series.values()) == {1, 2}
    assert 0.15 < sum(count == 2 for count in series.values()) / len(series) < 0.35


def test_second_series_lies_in_the_same_or_the_next_subset() -> None:
    away = {s - patient_of(s, n)[0] for s in range(10) for n in range(20)}
    assert away == {0, 1}
    firsts = {patient_of(s, n) for s in range(10) for n in range(20)}
    assert all(patient_of(*first) == first for first in firsts)


def test_two_series_of_a_patient_show_the_same_nodules_on_two_grids() -> None:
    first, second = plan_scan(11, 0, 3, "small"), plan_scan(11, 0, 4, "small")
    assert first.patient.patient_id == second.patient.patient_id
    assert first.series_uid != second.series_uid
    assert first.grid != second.grid
    same = [nodule.centre_xyz_mm for nodule in second.patient.nodules]
    assert [nodule.centre_xyz_mm for nodule in first.patient.nodules] == same


def test_series_uids_are_dicom_uids_and_differ() -> None:
    plans = [plan_scan(2**63 - 1, 9_999, 99, "full"), plan_scan(0, 0, 0, "small")]
    uids = [plan.series_uid for plan in plans] + [plan_scan(0, 0, 0, "full").series_uid]
    assert len(set(uids)) == 3
    for uid in uids:
        assert re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", uid)
        assert len(f"{uid}.9.400") <= 64


def test_plan_of_a_scan_knows_nothing_of_other_scans() -> None:
    again, other = plan_scan(11, 1, 2, "small"), plan_scan(12, 1, 2, "small")
    assert rows_of(again) == rows_of(plan_scan(11, 1, 2, "small"))
    assert rows_of(again) != rows_of(other)


def test_nodules_lie_in_the_lung_and_in_the_scan(plans: list[ScanPlan]) -> None:
    for plan in plans:
        for nodule in plan.patient.nodules:
            point = [np.array([value]) for value in nodule.centre_xyz_mm]
            assert lung_distance(plan.patient.body, *point)[0] < 0.0
        assert plan.grid.contains_irc(plan.grid.xyz_mm_to_irc(centres_xyz_mm(plan))).all()


def test_voxels_have_real_sizes(plans: list[ScanPlan]) -> None:
    for plan in plans:
        slice_mm, row_mm, column_mm = plan.grid.spacing_irc_mm
        assert 1.0 <= slice_mm <= 2.0
        assert row_mm == column_mm
        assert 0.6 <= row_mm <= 0.8
        assert plan.grid.shape_irc[1:] == (192, 192)


def test_full_scans_are_as_large_as_real_ones() -> None:
    for scan in range(3):
        grid = plan_scan(1, 0, scan, "full").grid
        assert grid.shape_irc[1:] == (512, 512)
        assert 110 <= grid.shape_irc[0] <= 400
        assert 0.6 <= grid.spacing_irc_mm[0] <= 2.5
        assert 0.5 <= grid.spacing_irc_mm[1] <= 0.9


def test_some_scans_are_flipped_in_x_and_y_and_some_in_z(plans: list[ScanPlan]) -> None:
    flips = Counter(plan.axes.flipped for plan in plans)
    assert set(flips) == {(False, False, False), (False, True, True), (True, False, False)}
    assert flips[False, False, False] > 6


def test_class_1_lies_in_a_nodule_and_class_0_outside_all(plans: list[ScanPlan]) -> None:
    for plan in plans:
        centres = centres_xyz_mm(plan)
        radii = np.array([0.5 * nodule.diameter_mm for nodule in plan.patient.nodules])
        rows = rows_of(plan)["candidates.csv"]
        assert 35 <= len(rows) <= 120
        for _, x, y, z, label in rows:
            far = np.sqrt(((centres - np.array([x, y, z], dtype=np.float64)) ** 2).sum(axis=1))
            assert (far < radii).any() == (label == 1)


def test_rows_have_the_columns_of_their_tables(plans: list[ScanPlan]) -> None:
    for plan in plans:
        for name, rows in rows_of(plan).items():
            assert all(len(row) == len(HEADERS[name]) for row in rows), name


@pytest.mark.parametrize(
    ("ratings", "malignant"),
    [((4, 2, 4, 2), True), ((5, 3, 4), True), ((3, 2, 3), False), ((5, 1, 1, 1), False)],
)
def test_two_readers_who_suspect_make_it_malignant(
    ratings: tuple[int, ...], malignant: bool
) -> None:
    assert is_malignant(ratings) is malignant


def test_malignancy_grows_with_size_and_spicules_and_not_with_chalk() -> None:
    def share(kind: str, shape: str, diameter_mm: float) -> float:
        rng = np.random.default_rng(0)
        drawn = [draw_readings(rng, kind, shape, diameter_mm) for _ in range(400)]  # type: ignore[arg-type]
        return float(np.mean([is_malignant(tuple(r.malignancy for r in one)) for one in drawn]))

    assert share("solid", "round", 4.5) < 0.05
    assert share("solid", "round", 18.0) > 0.85
    assert share("solid", "spiculated", 8.0) > share("solid", "round", 8.0) + 0.2
    assert share("calcified", "round", 8.0) < 0.05


def test_three_or_four_readers_mark_each_nodule() -> None:
    rng = np.random.default_rng(0)
    counts = Counter(len(draw_readings(rng, "solid", "round", 8.0)) for _ in range(400))
    assert set(counts) == {3, 4}
    assert 0.3 < counts[3] / 400 < 0.65


@pytest.mark.parametrize(("seed", "subset", "scan"), [(-1, 0, 0), (0, -1, 0), (0, 0, 100)])
def test_numbers_without_a_name_are_refused(seed: int, subset: int, scan: int) -> None:
    with pytest.raises(SettingError, match="phantom"):
        plan_scan(seed, subset, scan, "small")
