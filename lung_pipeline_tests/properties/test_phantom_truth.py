# SPDX-License-Identifier: Apache-2.0
"""What is drawn is what the tables say: a scan minus the same scan without its nodules."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.phantom.nodules import SHAPES, Nodule, Shape, draw_form
from lung_pipeline.phantom.plan import ScanPlan, plan_scan
from lung_pipeline.phantom.render import LOWEST_HU, render
from lung_pipeline.phantom.tables import centres_xyz_mm

_HU = 40.0

_BYTES_OF_SEED_0 = "570f85a938990a471289799459e76790a7104da4a504952ec2a9858607ad5fa6"
"""SHA-256 of the first small scan's voxels; changes with every change of what is drawn."""


@pytest.fixture(scope="module")
def plain() -> ScanPlan:
    """A scan without noise, vessels and nodules, on a few slices around the left lung's middle."""
    plan = plan_scan(3, 0, 0, "small")
    vessels = replace(plan.patient.vessels, parts=np.empty((0, 8)))
    patient = replace(plan.patient, vessels=vessels, nodules=(), readings=())
    return replace(plan, patient=patient, noise_hu=0.0, shift_xyz_mm=(0.0, 0.0, 0.0))


def _with_nodule(plain: ScanPlan, shape: Shape, diameter_mm: float, spacing_mm: float) -> ScanPlan:
    body = plain.patient.body
    centre = (0.52 * body.half_width_mm + 0.13, 1.27, 5.41)
    form = draw_form(np.random.default_rng(1), shape, diameter_mm)
    nodule = Nodule("solid", shape, "free", centre, diameter_mm, form, _HU, _HU, 0.0)
    grid = VoxelGrid((int(40 / spacing_mm), 70, 70), (spacing_mm, 0.7, 0.7), (8.0, -24.0, -15.0))
    return replace(plain, patient=replace(plain.patient, nodules=(nodule,)), grid=grid)


def _excess(plan: ScanPlan) -> npt.NDArray[np.float64]:
    """The filled part of each voxel, from HU with and without nodules."""
    without = render(replace(plan, patient=replace(plan.patient, nodules=())))
    airy = np.where(without < -300, without, -800).astype(np.float64)
    return (render(plan) - without) / (_HU - airy)


@pytest.mark.parametrize("spacing_mm", [0.7, 1.25, 2.0])
@pytest.mark.parametrize("diameter_mm", [4.0, 6.5, 15.0])
def test_centre_and_diameter_of_a_round_nodule_are_true_to_a_fraction_of_a_voxel(
    plain: ScanPlan, diameter_mm: float, spacing_mm: float
) -> None:
    plan = _with_nodule(plain, "round", diameter_mm, spacing_mm)
    excess = _excess(plan)
    centre_irc = np.array([(excess * axis).sum() for axis in np.indices(excess.shape)])
    centre_irc = centre_irc / excess.sum()
    told_irc = plan.grid.xyz_mm_to_irc(centres_xyz_mm(plan))[0]
    np.testing.assert_allclose(centre_irc, told_irc, atol=0.1)
    volume = excess.sum() * plan.grid.voxel_volume_mm3
    assert (6.0 * volume / np.pi) ** (1.0 / 3.0) == pytest.approx(diameter_mm, abs=0.15)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_the_volume_that_is_told(plain: ScanPlan, shape: Shape) -> None:
    plan = _with_nodule(plain, shape, 12.0, 0.7)
    volume = _excess(plan).sum() * plan.grid.voxel_volume_mm3
    assert volume == pytest.approx(plan.patient.nodules[0].volume_mm3, rel=0.06)


def test_nodule_never_makes_tissue_less_dense() -> None:
    plan = plan_scan(3, 0, 1, "small")
    quiet = replace(plan, noise_hu=0.0)
    without = render(replace(quiet, patient=replace(quiet.patient, nodules=())))
    assert (render(quiet) >= without).all()


def test_tissues_have_their_hounsfield_units() -> None:
    plan = plan_scan(3, 0, 2, "small")
    voxels = render(plan)
    body = plan.patient.body
    lung = np.array([[-0.5 * body.half_width_mm, 0.0, 0.0]])
    heart = np.array([body.heart_centre_mm])
    for point, low, high in ((lung, -920.0, -790.0), (heart, 20.0, 70.0)):
        index, row, column = plan.grid.voxel_of(plan.to_patient_space(point))[0]
        around = voxels[index - 2 : index + 3, row - 5 : row + 6, column - 5 : column + 6]
        assert low < np.median(around) < high
    assert voxels.min() >= LOWEST_HU
    assert 0.12 < (voxels < -750)[:, 60:130, 30:160].mean() < 0.8


def test_one_seed_makes_the_same_bytes() -> None:
    voxels = render(plan_scan(0, 0, 0, "small"))
    assert hashlib.sha256(voxels.astype("<i2").tobytes()).hexdigest() == _BYTES_OF_SEED_0
