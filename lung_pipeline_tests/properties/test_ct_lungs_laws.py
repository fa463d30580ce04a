# SPDX-License-Identifier: Apache-2.0
"""Laws of the lungs' box and depth for any mask, and of the mask for phantoms of any seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.ct.cells import spread
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.lungs import Lungs, find_lungs
from lung_pipeline.phantom.plan import plan_scan
from lung_pipeline.phantom.render import render

NODULE_MARGIN_MM = 3.0
"""The centre of a nodule lies no farther outside the mask."""

often = settings(deadline=None)
seldom = settings(max_examples=12, deadline=None)


@st.composite
def _lungs(draw: st.DrawFn) -> Lungs:
    """A few blobs of cells, of shares from none to all, on any grid."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7)))
    step = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
    spacing = draw(st.tuples(*(st.sampled_from([0.7, 1.0, 2.5]),) * 3))
    missing = [draw(st.integers(0, k - 1)) for k in step]
    index, row, column = (n * k - m for n, k, m in zip(shape, step, missing, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    mask = rng.random(shape) < draw(st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0]))
    return Lungs(mask, step, VoxelGrid((index, row, column), spacing, (0.0, 0.0, 0.0)))


def _voxels(lungs: Lungs) -> np.ndarray:
    return np.argwhere(spread(lungs.mask, lungs.step_irc, lungs.grid.shape_irc))


@often
@given(_lungs(), st.sampled_from([0.0, 0.5, 2.0, 30.0]), st.data())
def test_a_box_is_the_smallest_that_holds_the_lungs_and_the_margin(lungs, margin_mm, data) -> None:  # type: ignore[no-untyped-def]
    size = lungs.grid.shape_irc[0]
    first = data.draw(st.integers(0, size - 1))
    slices = range(first, data.draw(st.integers(first + 1, size)))
    margin = np.ceil(margin_mm / np.array(lungs.grid.spacing_irc_mm)).astype(int)
    # Whole layers of cells count, as far as the margin reaches from the slices.
    layer = _voxels(lungs)[:, 0] // lungs.step_irc[0]
    low = max(slices.start - margin[0], 0) // lungs.step_irc[0]
    high = (slices.stop + margin[0] - 1) // lungs.step_irc[0]
    seen = _voxels(lungs)[(layer >= low) & (layer <= high)]
    box = lungs.box(margin_mm, slices)
    if not len(seen):
        assert box is None
        return
    start = np.maximum(seen.min(axis=0) - margin, (slices.start, 0, 0))
    stop = np.minimum(seen.max(axis=0) + margin + 1, (slices.stop, *lungs.grid.shape_irc[1:]))
    assert box == ((tuple(start), tuple(stop)) if start[0] < stop[0] else None)


@often
@given(_lungs(), st.sampled_from([0.0, 3.0]))
def test_the_boxes_of_runs_of_slices_leave_no_voxel_of_lung_out(lungs, margin_mm) -> None:  # type: ignore[no-untyped-def]
    held = np.zeros(lungs.grid.shape_irc, dtype=np.bool_)
    for first in range(0, lungs.grid.shape_irc[0], 4):
        box = lungs.box(margin_mm, range(first, min(first + 4, lungs.grid.shape_irc[0])))
        if box is not None:
            held[tuple(slice(a, b) for a, b in zip(*box, strict=True))] = True
    assert held[tuple(_voxels(lungs).T)].all()


@often
@given(_lungs(), st.integers(0, 9999))
def test_depth_is_the_distance_to_the_nearest_cell_of_the_other_kind(lungs, seed) -> None:  # type: ignore[no-untyped-def]
    cell = np.array(lungs.cell_irc_mm)
    points_mm = np.random.default_rng(seed).random((20, 3)) * lungs.mask.shape * cell
    depths_mm = lungs.depth_mm(points_mm / lungs.grid.spacing_irc_mm - 0.5)
    for point_mm, depth_mm in zip(points_mm, depths_mm, strict=True):
        is_inside = lungs.mask[tuple((point_mm // cell).astype(int))]
        others = np.argwhere(lungs.mask != is_inside) * cell
        beyond = np.maximum(np.maximum(others - point_mm, point_mm - others - cell), 0)
        nearest_mm = np.linalg.norm(beyond, axis=1).min(initial=np.inf)
        np.testing.assert_allclose(depth_mm, nearest_mm if is_inside else -nearest_mm, atol=1e-9)


@pytest.mark.slow
@seldom
@given(st.integers(0, 999), st.integers(0, 5))
def test_every_nodule_of_a_phantom_lies_in_its_lungs(seed: int, scan: int) -> None:
    plan = plan_scan(seed, 0, scan, "small")
    if not plan.patient.nodules:
        return
    lungs = find_lungs(np.clip(render(plan), -1000, 1000).astype(np.int16), plan.grid)
    centers = np.array([nodule.centre_xyz_mm for nodule in plan.patient.nodules])
    depths_mm = lungs.depth_mm(plan.grid.xyz_mm_to_irc(plan.to_patient_space(centers)))
    assert depths_mm.min() > -NODULE_MARGIN_MM
    assert (lungs.is_cut_below, lungs.is_cut_above) == (False, False)
