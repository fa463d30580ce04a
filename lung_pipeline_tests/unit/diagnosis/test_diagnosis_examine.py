# SPDX-License-Identifier: Apache-2.0
"""A scan looked through within its lungs: what is kept, measured, merged and timed."""

from __future__ import annotations

import numpy as np
import pytest
from dense_networks import MarksDense, dense_models

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.diagnosis.examined import Examined
from lung_pipeline.diagnosis.pipeline import examine
from lung_pipeline.diagnosis.steps.grouped import Grouped
from lung_pipeline.diagnosis.steps.parts import parts_to_look_at
from lung_pipeline.segmentation.inference import segment
from lung_pipeline.segmentation.unet import UNet

SHAPE_IRC = (24, 96, 128)
GRID = VoxelGrid(SHAPE_IRC, (1.5, 1.0, 1.0), (0.0, 0.0, 0.0))
LUNG = np.s_[4:20, 30:60, 40:70]
INSIDE, AT_THE_WALL, OUTSIDE = np.s_[9:12, 40:45, 50:55], np.s_[9:12, 56:63, 50:57], (12, 80, 100)
"""Blocks of tissue: amid the lung, with the centre on its border, and a place far from it."""


def _lungs() -> Lungs:
    mask = np.zeros(SHAPE_IRC, dtype=np.bool_)
    mask[LUNG] = True
    return Lungs(mask, (1, 1, 1), GRID)


def _scan() -> np.ndarray:
    voxels_hu = np.full(SHAPE_IRC, -850, dtype=np.int16)
    voxels_hu[INSIDE], voxels_hu[AT_THE_WALL] = 40, 20
    index, row, column = OUTSIDE
    voxels_hu[index - 2 : index + 2, row - 3 : row + 3, column - 3 : column + 3] = 60
    return voxels_hu


def _examined(lungs: Lungs | None, **wishes: object) -> Examined:
    return examine(_scan(), GRID, GRID, "1.2", dense_models(), lungs=lungs, **wishes)  # type: ignore[arg-type]


def test_what_lies_outside_the_lungs_is_no_finding() -> None:
    everywhere, within = _examined(None), _examined(_lungs())
    assert sorted(round(f.row) for f in everywhere.findings) == [42, 59, 80]
    assert sorted(round(f.row) for f in within.findings) == [42, 59]
    assert np.isnan(everywhere.findings[0].lung_border_mm)
    depth_mm = {round(f.row): f.lung_border_mm for f in within.findings}
    # 3 mm from its first to its middle row: the block amid the lung is deep, the other half out.
    assert depth_mm[42] == pytest.approx(9.5, abs=1.5)
    assert abs(depth_mm[59]) < 1.5


def test_a_finding_carries_its_voxels_and_what_is_measured_on_them() -> None:
    found = _examined(_lungs())
    for finding, mask in zip(found.findings, found.masks, strict=True):
        block = INSIDE if round(finding.row) == 42 else AT_THE_WALL
        marked = np.zeros(SHAPE_IRC, dtype=np.bool_)
        marked[mask.box] = mask.voxels
        expected = np.zeros(SHAPE_IRC, dtype=np.bool_)
        expected[block] = True
        # Grouping rounds the corners of a block off.
        assert (marked & ~expected).sum() == 0
        assert marked.sum() > 0.75 * expected.sum()
        assert finding.volume_mm3 == pytest.approx(marked.sum() * 1.5)
        assert finding.mean_hu == (40 if block is INSIDE else 20)
        assert finding.density == "solid"
        edge = 5 if block is INSIDE else 7
        assert edge <= finding.longest_axial_mm <= edge * 2**0.5 + 1e-9


def test_probabilities_are_kept_for_who_asks_for_them() -> None:
    assert _examined(_lungs()).probabilities is None
    box = _examined(_lungs(), keeps_probabilities=True).probabilities
    assert box is not None
    assert box.values[tuple(np.array((10, 42, 52)) - box.start_irc)] > 0.99


def test_every_step_is_timed_and_told() -> None:
    told: list[tuple[str, float]] = []
    found = _examined(_lungs(), on_progress=lambda step, share: told.append((step, share)))
    assert list(found.seconds) == ["segmenting", "grouping", "classifying", "measuring"]
    assert all(seconds >= 0 for seconds in found.seconds.values())
    assert ("segmenting", 1.0) in told
    assert ("classifying 2 candidates", 1.0) in told


def test_a_scan_without_lungs_has_no_finding() -> None:
    nowhere = Lungs(np.zeros(SHAPE_IRC, dtype=np.bool_), (1, 1, 1), GRID)
    assert _examined(nowhere).findings == ()


def test_two_components_of_one_nodule_are_one_finding() -> None:
    # A core and a shell around it, apart by a gap that neither the erosion nor the growth closes.
    voxels_hu = np.full(SHAPE_IRC, -850, dtype=np.int16)
    voxels_hu[8:17, 36:54, 46:64] = 30
    voxels_hu[9:16, 38:52, 48:62] = -850
    voxels_hu[11:14, 42:48, 52:58] = 45
    seen: list[Grouped] = []
    found = examine(
        voxels_hu, GRID, GRID, "1.2", dense_models(), lungs=_lungs(), on_grouped=seen.append
    )
    assert len(seen[0].components) == 2
    [finding] = found.findings
    assert found.finding_of_component == (0, 0)
    assert found.component_of_finding in ((0,), (1,))
    assert finding.nodule_probability == pytest.approx(1 / (1 + np.exp(-2.9)), abs=1e-3)


def test_mirroring_does_not_move_what_is_symmetric() -> None:
    once, twice = _examined(_lungs()), _examined(_lungs(), is_mirrored=True)
    assert [(f.x_mm, f.y_mm, f.z_mm) for f in once.findings] == [
        (f.x_mm, f.y_mm, f.z_mm) for f in twice.findings
    ]


@pytest.mark.parametrize("moved", [1, 2, 5])
def test_where_a_box_begins_does_not_change_what_is_marked(moved: int) -> None:
    """Pixels that are halved together stay together, wherever the lungs lie."""
    import torch

    torch.manual_seed(3)
    model = UNet()
    model.input_norm.running_mean.fill_(-500)
    model.input_norm.running_var.fill_(400**2)
    model.last.bias.data.zero_()
    voxels_hu = np.random.default_rng(5).integers(-1000, 300, (9, 192, 192)).astype(np.int16)
    grid = VoxelGrid(voxels_hu.shape, (2.0, 0.8, 0.8), (0.0, 0.0, 0.0))
    mask = np.zeros(voxels_hu.shape, dtype=np.bool_)
    mask[:, 80 + moved : 110, 80 + moved : 110] = True
    parts = parts_to_look_at(grid.shape_irc, Lungs(mask, (1, 1, 1), grid))
    found = segment(model, voxels_hu, parts, precision="float32")
    whole = segment(model, voxels_hu, precision="float32")
    inner = np.s_[:, 82:108, 82:108]
    here = tuple(
        slice(s.start - first, s.stop - first) if s.start is not None else s
        for s, first in zip(inner, found.start_irc, strict=True)
    )
    np.testing.assert_allclose(found.values[here], whole.values[inner], atol=2e-3)


def test_the_stand_in_marks_what_is_dense() -> None:
    box = segment(MarksDense(), _scan())
    assert (box.values >= 0.5).sum() == (_scan() >= -500).sum()
