# SPDX-License-Identifier: Apache-2.0
"""Size and density of masks that can be drawn by hand, and of phantoms whose kind is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.steps.measures import Density, density_of, longest_axial_mm, measured
from lung_pipeline.phantom.nodules import Kind, Nodule, draw_densities
from lung_pipeline.phantom.plan import ScanPlan, plan_scan
from lung_pipeline.phantom.render import render

FINE = (1.0, 1.0, 1.0)

Mask = npt.NDArray[np.bool_]


def _drawn(*rows: str) -> Mask:
    return np.array([[letter == "#" for letter in row] for row in rows])[None]


@pytest.mark.parametrize(
    ("voxels", "spacing_irc_mm", "longest_mm"),
    [
        (_drawn("#"), FINE, math.sqrt(2)),
        (_drawn("#"), (5.0, 3.0, 4.0), 5.0),
        (_drawn("####"), FINE, math.hypot(4, 1)),
        (_drawn("#..", "...", "..#"), (1.0, 2.0, 1.0), math.hypot(6, 3)),
        (_drawn(".#.", "###", ".#."), FINE, math.hypot(3, 1)),
        (_drawn("...#", "..#.", ".#..", "#..."), FINE, math.hypot(4, 4)),
        (_drawn("...", "..."), FINE, 0.0),
        # One below the other: no slice holds more than one.
        (np.ones((9, 1, 1), dtype=np.bool_), FINE, math.sqrt(2)),
    ],
)
def test_the_longest_axial_diameter_is_from_corner_to_corner(
    voxels: Mask, spacing_irc_mm: tuple[float, float, float], longest_mm: float
) -> None:
    assert longest_axial_mm(voxels, spacing_irc_mm) == pytest.approx(longest_mm)


def test_the_slice_with_the_longest_counts() -> None:
    voxels = np.zeros((3, 5, 5), dtype=np.bool_)
    voxels[0, 2, 2], voxels[1, 2, 0:4], voxels[2, 0:2, 0] = True, True, True
    assert longest_axial_mm(voxels, FINE) == pytest.approx(math.hypot(4, 1))


def test_the_figures_of_a_block_are_those_worked_out_by_hand() -> None:
    voxels_hu = np.full((20, 20, 20), -850, dtype=np.int16)
    voxels_hu[4:6, 5:8, 6:10] = 20
    voxels_hu[4, 5, 6] = 44
    mask = FindingMask((4, 5, 5), np.pad(np.ones((2, 3, 4), np.bool_), ((0, 0), (0, 1), (1, 0))))
    measures = measured(mask, voxels_hu, (2.5, 0.5, 0.5))
    assert measures.volume_mm3 == pytest.approx(24 * 0.625)
    assert measures.diameter_mm == pytest.approx((6 * 15 / math.pi) ** (1 / 3))
    assert measures.longest_axial_mm == pytest.approx(2.5)
    assert measures.mean_hu == pytest.approx(21)
    assert measures.density == "solid"


def test_a_mask_of_nothing_has_no_size_and_no_density() -> None:
    mask = FindingMask((0, 0, 0), np.zeros((2, 2, 2), dtype=np.bool_))
    measures = measured(mask, np.zeros((4, 4, 4), dtype=np.int16), FINE)
    assert (measures.volume_mm3, measures.longest_axial_mm, measures.density) == (0, 0, "")
    assert math.isnan(measures.mean_hu)


@pytest.mark.parametrize(
    ("num_solid", "kind"),
    [
        (0, "ground glass"),
        (5, "ground glass"),
        (6, "part-solid"),
        (59, "part-solid"),
        (60, "solid"),
    ],
)
def test_a_kind_is_told_by_its_share_of_solid_voxels(num_solid: int, kind: Density) -> None:
    # A core of 10 x 10 within a rim of one, which does not count.
    box_hu = np.full((1, 12, 12), 500, dtype=np.int16)
    core_hu = np.full(100, -300, dtype=np.int16)
    core_hu[:num_solid] = -299
    box_hu[0, 1:-1, 1:-1] = core_hu.reshape(10, 10)
    assert density_of(np.ones((1, 12, 12), dtype=np.bool_), box_hu) == kind


def test_a_nodule_without_a_core_is_told_by_all_of_it() -> None:
    voxels = np.ones((2, 2, 2), dtype=np.bool_)
    assert density_of(voxels, np.full((2, 2, 2), 30, dtype=np.int16)) == "solid"
    assert density_of(voxels, np.full((2, 2, 2), -600, dtype=np.int16)) == "ground glass"


KIND_OF: dict[Kind, Density] = {
    "solid": "solid",
    "calcified": "solid",
    "part_solid": "part-solid",
    "ground_glass": "ground glass",
}


def _as_kind(plan: ScanPlan, kind: Kind) -> ScanPlan:
    """The same scan with every nodule made of one kind."""
    rng = np.random.default_rng(7)
    nodules = []
    for nodule in plan.patient.nodules:
        hu, core_hu, depth_mm = draw_densities(rng, kind, nodule.diameter_mm)
        nodules.append(replace(nodule, kind=kind, hu=hu, core_hu=core_hu, core_depth_mm=depth_mm))
    return replace(plan, patient=replace(plan.patient, nodules=tuple(nodules)))


def _true_mask(plan: ScanPlan, nodule: Nodule) -> FindingMask:
    center_xyz_mm = plan.to_patient_space(np.array(nodule.centre_xyz_mm))[0]
    reach = np.max(nodule.form.reach_mm) / np.array(plan.grid.spacing_irc_mm) + 2
    middle = plan.grid.voxel_of(center_xyz_mm)
    start = np.maximum(middle - reach.astype(int), 0)
    stop = np.minimum(middle + reach.astype(int) + 1, plan.grid.shape_irc)
    points_irc = np.moveaxis(np.indices(stop - start), 0, -1) + start
    x, y, z = np.moveaxis(plan.grid.irc_to_xyz_mm(points_irc) - center_xyz_mm, -1, 0)
    index, row, column = start.tolist()
    return FindingMask((index, row, column), nodule.form.distance(x, y, z) < 0)


def _phantoms(kind: Kind) -> Iterator[tuple[Nodule, str, float]]:
    """Each nodule with what is measured on its true mask."""
    plan = _as_kind(plan_scan(3, 0, 1, "small"), kind)
    voxels_hu = np.clip(render(plan), -1000, 1000).astype(np.int16)
    for nodule in plan.patient.nodules:
        if nodule.diameter_mm > 5.5:  # phantoms have no smaller faint nodules
            measures = measured(_true_mask(plan, nodule), voxels_hu, plan.grid.spacing_irc_mm)
            yield nodule, measures.density, measures.diameter_mm


@pytest.mark.parametrize("kind", KIND_OF)
def test_phantoms_of_a_kind_are_told_to_be_it_and_as_large_as_they_are(kind: Kind) -> None:
    found = list(_phantoms(kind))
    assert len(found) >= 3
    assert {density for _, density, _ in found} == {KIND_OF[kind]}
    for nodule, _, diameter_mm in found:
        assert diameter_mm == pytest.approx(nodule.diameter_mm, rel=0.08)
