# SPDX-License-Identifier: Apache-2.0
"""How much tissue lies around a finding, on labels that can be drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.grouped import Grouped
from lung_pipeline.diagnosis.traces.surroundings import (
    REACH_MM,
    TISSUE_HU,
    surroundings_table,
    tissue_shares,
)
from lung_pipeline.grouping.components import Component
from lung_pipeline.segmentation.probability_box import ProbabilityBox

SHAPE_IRC = (41, 41, 41)
FINE = (1.0, 1.0, 1.0)
BLOCK = np.s_[18:23, 18:23, 18:23]
MIDDLE = (20.0, 20.0, 20.0)


def _lung() -> np.ndarray:
    return np.full(SHAPE_IRC, -850, dtype=np.int16)


def _grouped(*blocks: tuple[slice, slice, slice], centers: list[tuple[float, ...]]) -> Grouped:
    labels = np.zeros(SHAPE_IRC, dtype=np.int32)
    for number, block in enumerate(blocks, start=1):
        labels[block] = number
    components = [Component(n, (c[0], c[1], c[2]), 125.0) for n, c in enumerate(centers, start=1)]
    probabilities = ProbabilityBox((0, 0, 0), (labels > 0).astype(np.float16))
    return Grouped(probabilities, labels, components)


def test_its_own_voxels_are_not_around_it() -> None:
    voxels_hu = _lung()
    voxels_hu[BLOCK] = 50
    grouped = _grouped(BLOCK, centers=[MIDDLE])
    assert tissue_shares(grouped, voxels_hu, FINE).tolist() == [0.0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_wall_through_its_centre_is_half_of_what_lies_around(axis: int) -> None:
    voxels_hu = _lung()
    grouped = _grouped(BLOCK, centers=[MIDDLE])
    np.moveaxis(voxels_hu, axis, 0)[21:] = 0
    (beside,) = tissue_shares(grouped, voxels_hu, FINE)
    np.moveaxis(voxels_hu, axis, 0)[20] = 0
    (through,) = tissue_shares(grouped, voxels_hu, FINE)
    # The layer of the centre is lung in the one and wall in the other.
    assert beside < 0.5 < through
    assert (beside + through) / 2 == pytest.approx(0.5, abs=1e-9)


def test_in_the_midst_of_tissue_all_is_tissue() -> None:
    voxels_hu = np.zeros(SHAPE_IRC, dtype=np.int16)
    assert tissue_shares(_grouped(BLOCK, centers=[MIDDLE]), voxels_hu, FINE).tolist() == [1.0]


def test_another_finding_beside_it_is_tissue() -> None:
    beside = np.s_[:, :, 24:]
    voxels_hu = _lung()
    voxels_hu[BLOCK], voxels_hu[beside] = 50, 50
    grouped = _grouped(BLOCK, beside, centers=[MIDDLE, (20.0, 20.0, 32.0)])
    first, _ = tissue_shares(grouped, voxels_hu, FINE).tolist()
    assert first == tissue_shares(_grouped(BLOCK, centers=[MIDDLE]), voxels_hu, FINE)[0] > 0.2


def test_beyond_its_reach_tissue_does_not_count() -> None:
    voxels_hu = np.zeros(SHAPE_IRC, dtype=np.int16)
    near = slice(20 - int(REACH_MM), 21 + int(REACH_MM))
    voxels_hu[near, near, near] = -850
    assert tissue_shares(_grouped(BLOCK, centers=[MIDDLE]), voxels_hu, FINE).tolist() == [0.0]


@pytest.mark.parametrize(("hu", "share"), [(TISSUE_HU, 0.0), (TISSUE_HU + 1, 1.0)])
def test_tissue_is_what_is_denser_than_its_threshold(hu: int, share: float) -> None:
    voxels_hu = np.full(SHAPE_IRC, hu, dtype=np.int16)
    assert tissue_shares(_grouped(BLOCK, centers=[MIDDLE]), voxels_hu, FINE).tolist() == [share]


def test_what_lies_off_the_scan_counts_neither_way() -> None:
    voxels_hu = _lung()
    # Points lie 2 mm apart from slice 1 on: slice 0 stands for nothing beyond it.
    voxels_hu[0] = 0
    grouped = _grouped(np.s_[:3, 18:23, 18:23], centers=[(1.0, 20.0, 20.0)])
    assert tissue_shares(grouped, voxels_hu, FINE).tolist() == [0.0]
    assert tissue_shares(grouped, np.zeros_like(voxels_hu), FINE).tolist() == [1.0]


def test_a_finding_that_fills_its_surroundings_has_no_share() -> None:
    everything = np.s_[:, :, :]
    grouped = _grouped(everything, centers=[MIDDLE])
    assert np.isnan(tissue_shares(grouped, _lung(), FINE)).all()


def test_without_findings_there_are_no_shares() -> None:
    assert tissue_shares(_grouped(centers=[]), _lung(), FINE).shape == (0,)


def test_many_findings_are_looked_at_some_by_some_with_the_same_result() -> None:
    voxels_hu = _lung()
    voxels_hu[:, :, 25:] = 0
    one = tissue_shares(_grouped(BLOCK, centers=[MIDDLE]), voxels_hu, FINE)
    labels = _grouped(BLOCK, centers=[]).labels
    box = ProbabilityBox((0, 0, 0), labels.astype(np.float16))
    many = Grouped(box, labels, [Component(1, (20.0, 20.0, 20.0), 1.0)] * 2001)
    assert tissue_shares(many, voxels_hu, FINE).tolist() == one.tolist() * 2001


def test_the_table_says_whose_share_it_is() -> None:
    finding = Finding("1.2", 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.5, None)
    table = surroundings_table([finding], [0.25])
    assert table.to_dict("records") == [
        {"series_uid": "1.2", "x_mm": 1.0, "y_mm": 2.0, "z_mm": 3.0, "tissue_share": 0.25}
    ]
    assert surroundings_table([], []).columns.tolist() == table.columns.tolist()
