# SPDX-License-Identifier: Apache-2.0
"""Little scans through the real steps: each nodule is lost where a hand can foretell it.

Voxels are 1 mm wide. Denser than -500 HU is marked; a finding whose middle voxel has -100 HU or
more is a nodule, and 0 HU or more makes it malignant.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from dense_networks import dense_models

from lung_pipeline.ct.geometry import Matrix3, VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.pipeline import examine
from lung_pipeline.diagnosis.traces.trace import (
    NO_COMPONENT,
    AnnotatedNodule,
    TracedNodule,
    trace_table,
)
from lung_pipeline.diagnosis.traces.tracing import TracedSeries, find_and_trace
from lung_pipeline.evaluation.lost_nodules.waterfall import (
    CALLED_BENIGN,
    ERODED,
    FOUND,
    MERGED,
    NOT_MARKED,
    OFF_CENTRE,
    REJECTED,
    TOO_SMALL,
    stages_of,
)

SHAPE_IRC = (24, 40, 60)
LUNG_HU = -850


def _grid(spacing_mm: float = 1.0) -> VoxelGrid:
    return VoxelGrid(SHAPE_IRC, (spacing_mm,) * 3, (-10.0, 20.0, 100.0))


def _lung(*blocks: tuple[tuple[slice, slice, slice], int]) -> VoxelsHu:
    voxels_hu = np.full(SHAPE_IRC, LUNG_HU, dtype=np.int16)
    for box, hu in blocks:
        voxels_hu[box] = hu
    return voxels_hu


def _nodule(
    center_irc: tuple[float, float, float], diameter_mm: float = 7.0, grid: VoxelGrid | None = None
) -> AnnotatedNodule:
    x_mm, y_mm, z_mm = (grid or _grid()).irc_to_xyz_mm([center_irc])[0].tolist()
    return AnnotatedNodule(f"s:{center_irc}", (x_mm, y_mm, z_mm), diameter_mm)


def _trace(
    voxels_hu: VoxelsHu, *nodules: AnnotatedNodule, grid: VoxelGrid | None = None
) -> TracedSeries:
    placed = grid or _grid()
    return find_and_trace(voxels_hu, placed, placed, "s", dense_models(), nodules)


def _stages(traced: TracedSeries, *, is_malignant: bool = True) -> list[str]:
    ids = [nodule.candidate_id for nodule in traced.nodules]
    truth = pd.DataFrame({"candidate_id": ids, "is_malignant": is_malignant})
    table = pd.DataFrame(traced.nodules)
    return list(stages_of(table, truth, nodule_threshold=0.5, malignancy_threshold=0.5))


BLOCK = np.s_[10:15, 10:15, 10:15]
OTHER = np.s_[10:15, 10:15, 30:35]
CENTRE, OTHER_CENTRE = (12, 12, 12), (12, 12, 32)


def test_a_dense_block_is_found() -> None:
    traced = _trace(_lung((BLOCK, 50)), _nodule(CENTRE))
    [way] = traced.nodules
    assert _stages(traced) == [FOUND]
    assert (way.series_uid, way.slice_spacing_mm, way.diameter_mm) == ("s", 1.0, 7.0)
    assert (way.x_mm, way.y_mm, way.z_mm) == (2.0, 32.0, 112.0)
    assert (way.finding_x_mm, way.finding_y_mm, way.finding_z_mm) == pytest.approx((2, 32, 112))
    # The radius of 3.5 mm reaches the corners at 3.46 mm; grouping does not grow back to them.
    assert (way.num_marked, way.num_kept) == (125, 117)
    assert (way.component, way.num_nodules_of_component, way.is_hit) == (0, 1, True)
    assert way.highest_probability == pytest.approx(1 / (1 + math.exp(-5.5)), abs=1e-3)
    assert way.nodule_probability == pytest.approx(1 / (1 + math.exp(-3)), abs=1e-6)
    assert way.malignancy_probability == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-6)


def test_a_faint_block_is_not_marked() -> None:
    traced = _trace(_lung((BLOCK, -600)), _nodule(CENTRE), _nodule(OTHER_CENTRE))
    way, _ = traced.nodules
    assert _stages(traced) == [NOT_MARKED, NOT_MARKED]
    assert (way.num_marked, way.num_kept, way.component) == (0, 0, NO_COMPONENT)
    # What is in no component shares none.
    assert way.num_nodules_of_component == 0
    assert way.highest_probability == pytest.approx(1 / (1 + math.exp(1)), abs=1e-3)
    assert math.isnan(way.nodule_probability)
    assert math.isnan(way.finding_x_mm)


def test_a_film_two_voxels_thin_is_eroded_away() -> None:
    traced = _trace(_lung((np.s_[11:13, 9:16, 9:16], 50), (OTHER, 50)), _nodule(CENTRE))
    [way] = traced.nodules
    assert _stages(traced) == [ERODED]
    assert way.num_marked > 0
    assert (way.num_kept, way.component, way.is_hit) == (0, NO_COMPONENT, False)


def test_what_grouping_leaves_of_a_speck_is_too_small() -> None:
    # 3 x 3 x 3 voxels of 0.7 mm: a core of one voxel, grown back to 19 of 0.343 mm3.
    grid = _grid(0.7)
    speck = _lung((np.s_[11:14, 11:14, 11:14], 50))
    traced = _trace(speck, _nodule(CENTRE, 4.0, grid), grid=grid)
    [way] = traced.nodules
    assert _stages(traced) == [TOO_SMALL]
    assert (way.num_marked, way.num_kept, way.component) == (27, 19, NO_COMPONENT)
    assert traced.findings == []


def test_two_nodules_under_one_bridge_are_merged_and_both_missed() -> None:
    bridge = np.s_[11:14, 11:14, 15:30]
    scan = _lung((BLOCK, 50), (OTHER, 50), (bridge, 50))
    traced = _trace(scan, _nodule(CENTRE), _nodule(OTHER_CENTRE))
    assert _stages(traced) == [MERGED, MERGED]
    assert [way.component for way in traced.nodules] == [0, 0]
    assert [way.num_nodules_of_component for way in traced.nodules] == [2, 2]
    assert not any(way.is_hit for way in traced.nodules)
    # The finding lies on the bridge's middle.
    assert traced.nodules[0].finding_x_mm == pytest.approx(-10 + 22)


def test_a_small_nodule_on_a_large_ones_finding_is_merged_and_the_large_one_found() -> None:
    large = np.s_[4:21, 4:21, 4:21]
    scan = _lung((large, 50), (np.s_[10:15, 10:15, 21:26], 50))
    traced = _trace(scan, _nodule((12, 12, 12), 17.0), _nodule((12, 12, 23), 5.0))
    assert _stages(traced) == [FOUND, MERGED]
    assert [way.num_nodules_of_component for way in traced.nodules] == [2, 2]


def test_the_same_two_nodules_without_the_bridge_are_found() -> None:
    traced = _trace(_lung((BLOCK, 50), (OTHER, 50)), _nodule(CENTRE), _nodule(OTHER_CENTRE))
    assert _stages(traced) == [FOUND, FOUND]
    assert [way.component for way in traced.nodules] == [0, 1]


def test_a_nodule_on_a_marked_vessel_is_off_centre() -> None:
    vessel = np.s_[11:14, 11:14, 15:55]
    traced = _trace(_lung((BLOCK, 50), (vessel, 50)), _nodule(CENTRE))
    [way] = traced.nodules
    assert _stages(traced) == [OFF_CENTRE]
    assert (way.component, way.num_nodules_of_component, way.is_hit) == (0, 1, False)
    assert way.num_kept > 0


@pytest.mark.parametrize(
    ("hu", "is_malignant", "stage"),
    [
        (-150, True, REJECTED),
        (-150, False, REJECTED),
        (-50, True, CALLED_BENIGN),
        (-50, False, FOUND),
        (50, True, FOUND),
    ],
)
def test_density_decides_what_the_classifiers_say(
    hu: int, stage: str, *, is_malignant: bool
) -> None:
    traced = _trace(_lung((BLOCK, hu)), _nodule(CENTRE))
    assert _stages(traced, is_malignant=is_malignant) == [stage]


def test_of_two_hits_the_surer_finding_stands_for_the_nodule() -> None:
    # Both blocks lie within one nodule of 30 mm; the denser is farther from its centre.
    scan = _lung((np.s_[10:15, 10:15, 20:25], 10), (OTHER, 60))
    [way] = _trace(scan, _nodule((12, 12, 25), 30.0)).nodules
    assert way.component == 1
    assert way.finding_x_mm == pytest.approx(-10 + 32)


def test_most_voxels_decide_where_no_finding_hits() -> None:
    # A bar through the nodule's lower part and a wider one through its upper: neither hits it.
    lower, upper = np.s_[8:11, 10:15, 2:30], np.s_[13:18, 10:15, 2:40]
    [way] = _trace(_lung((lower, 50), (upper, 50)), _nodule((12, 12, 5), 10.0)).nodules
    assert not way.is_hit
    assert way.component == 1


def test_a_finding_at_exactly_the_radius_does_not_hit() -> None:
    at_radius, within = _nodule((12, 12, 15), 6.0), _nodule((12, 12, 15), 6.001)
    scan = _lung((BLOCK, 50))
    assert [way.is_hit for way in _trace(scan, at_radius).nodules] == [False]
    assert [way.is_hit for way in _trace(scan, within).nodules] == [True]


def test_a_nodule_that_lies_off_the_scan_is_not_marked() -> None:
    traced = _trace(_lung((BLOCK, 50)), _nodule((12, 12, -40)))
    [way] = traced.nodules
    assert (way.num_marked, way.highest_probability) == (0, 0.0)
    assert _stages(traced) == [NOT_MARKED]


def test_a_nodule_between_two_slices_is_seen_in_the_voxel_that_holds_it() -> None:
    grid = VoxelGrid(SHAPE_IRC, (5.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    nodule = _nodule((12.4, 12, 12), 3.0, grid)  # 2 mm above a slice, 3 mm below the next
    [way] = _trace(_lung((BLOCK, 50)), nodule, grid=grid).nodules
    assert way.num_marked == 1


def test_trace_is_the_same_whatever_the_order_of_the_nodules() -> None:
    bridge = np.s_[11:14, 11:14, 15:30]
    scan = _lung((BLOCK, 50), (OTHER, 50), (bridge, 50), (np.s_[10:15, 25:30, 10:15], -50))
    nodules = [_nodule(CENTRE), _nodule(OTHER_CENTRE), _nodule((12, 27, 12)), _nodule((4, 4, 4))]
    one = trace_table(_trace(scan, *nodules).nodules)
    other = trace_table(_trace(scan, *reversed(nodules)).nodules)
    pd.testing.assert_frame_equal(one, other)
    assert len(one) == 4


def test_findings_are_those_of_an_untraced_scan() -> None:
    scan = _lung((BLOCK, 50), (OTHER, -50))
    traced = _trace(scan, _nodule(CENTRE))
    untraced = examine(scan, _grid(), _grid(), "s", dense_models())
    assert traced.findings == list(untraced.findings)
    assert len(traced.tissue_shares) == len(traced.findings) == 2


FLIPPED: Matrix3 = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def test_a_flipped_scan_is_traced_at_its_own_places() -> None:
    grid = VoxelGrid(SHAPE_IRC, (2.0, 1.0, 0.8), (5.0, -6.0, 7.0), FLIPPED)
    [way] = _trace(_lung((BLOCK, 50)), _nodule(CENTRE, 8.0, grid), grid=grid).nodules
    assert way.is_hit
    assert (way.finding_x_mm, way.finding_y_mm, way.finding_z_mm) == pytest.approx(
        (way.x_mm, way.y_mm, way.z_mm)
    )
    assert way.slice_spacing_mm == 2.0


def test_without_a_malignancy_model_nothing_is_called_benign() -> None:
    models = dense_models(with_malignancy=False)
    nodules = [_nodule(CENTRE)]
    traced = find_and_trace(_lung((BLOCK, -50)), _grid(), _grid(), "s", models, nodules)
    assert math.isnan(traced.nodules[0].malignancy_probability)
    assert _stages(traced) == [FOUND]


def test_a_scan_without_nodules_has_an_empty_trace_with_all_columns() -> None:
    table = trace_table(_trace(_lung((BLOCK, 50))).nodules)
    assert len(table) == 0
    assert list(table.columns) == list(TracedNodule.__dataclass_fields__)
    assert table["component"].dtype == np.int64
