# SPDX-License-Identifier: Apache-2.0
"""Which whole slices are judged, and a model over them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.segmentation.inference import segment
from lung_pipeline.segmentation.patches import NoduleMark, mark_nodules
from lung_pipeline.segmentation.unet import UNet
from lung_pipeline.segmentation.validation import (
    number_nodules,
    pick_slices,
    slice_probabilities,
    validate_slices,
    whole_slices,
)

GRID = VoxelGrid((12, 48, 64), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
SMALL, LARGE = NoduleMark((10.0, 12.0, 2.0), 3.0), NoduleMark((40.0, 30.0, 7.0), 6.0)


def _scan() -> np.ndarray:
    """Lung with two balls and a vessel that is none of them."""
    voxels_hu = np.full(GRID.shape_irc, -850, dtype=np.int16)
    for mark in (SMALL, LARGE):
        center_irc = np.reshape(mark.center_xyz_mm[::-1], (3, 1, 1, 1))
        steps = np.indices(GRID.shape_irc) - center_irc
        voxels_hu[(steps**2).sum(axis=0) <= (mark.diameter_mm / 2) ** 2] = 30
    voxels_hu[:, 40:42, 5:7] = 30
    return voxels_hu


SCAN = _scan()
NODULES = number_nodules(SCAN, GRID, [SMALL, LARGE])


def test_nodules_are_numbered_and_together_are_the_truth() -> None:
    assert NODULES[2, 12, 10] == 1
    assert NODULES[7, 30, 40] == 2
    assert np.unique(NODULES).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(NODULES > 0, mark_nodules(SCAN, GRID, [SMALL, LARGE]))


def test_slices_are_those_where_nodules_are_largest_and_some_without() -> None:
    assert pick_slices(NODULES, 0, np.random.default_rng(1)) == (2, 7)
    picked = pick_slices(NODULES, 2, np.random.default_rng(1))
    others = sorted(set(picked) - {2, 7})
    assert len(others) == 2
    assert not NODULES[others].any()
    assert picked == pick_slices(NODULES, 2, np.random.default_rng(1))
    assert picked == tuple(sorted(picked))


def test_more_slices_of_a_nodule_end_where_it_ends() -> None:
    of_small = (NODULES == 1).any(axis=(1, 2)).sum()
    of_large = (NODULES == 2).any(axis=(1, 2)).sum()
    picked = pick_slices(NODULES, 0, np.random.default_rng(1), per_nodule=100)
    assert len(picked) == of_small + of_large


def test_series_without_a_nodule_is_judged_too() -> None:
    empty = np.zeros(GRID.shape_irc, dtype=np.int16)
    assert len(pick_slices(empty, 3, np.random.default_rng(1))) == 3
    assert pick_slices(empty, 100, np.random.default_rng(1)) == tuple(range(12))


class _Dense(nn.Module):
    """Marks what is denser than lung in the middle slice."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, slices_hu: Tensor) -> Tensor:
        return slices_hu[:, 3:4] + 500


def test_model_is_judged_with_what_it_marks_elsewhere() -> None:
    with_nodules = whole_slices("a", SCAN, NODULES, (2, 7))
    without = whole_slices("b", SCAN, NODULES, (0, 11))
    figures = validate_slices(_Dense(), [with_nodules, without])
    assert figures["validation/slice/nodule/recall"] == 1
    assert figures["validation/slice/nodule/total"] == 2
    # The vessel, once in each of four slices.
    assert figures["validation/slice/false_positives"] == 1
    assert figures["validation/slice/total"] == 4
    assert figures["validation/slice/nodule/precision"] == 2 / 6
    strict = validate_slices(_Dense(), [without], threshold=1.0, prefix="strict")
    assert strict["strict/false_positives"] == 0


def test_slices_are_seen_as_when_the_whole_volume_is_segmented() -> None:
    torch.manual_seed(1)
    model = UNet().eval()
    slices = whole_slices("a", SCAN, NODULES, (0, 7, 11))
    found = slice_probabilities(model, slices.windows_hu)
    assert (found.shape, found.dtype) == ((3, 48, 64), np.float16)
    whole = segment(model, SCAN)[[0, 7, 11]]
    np.testing.assert_allclose(found.astype(float), whole.astype(float), atol=0.02)
    assert found.astype(float).std() > 0


def test_slices_are_copies() -> None:
    scan, nodules = SCAN.copy(), NODULES.copy()
    slices = whole_slices("a", scan, nodules, (2,))
    scan[:], nodules[:] = 0, 9
    assert slices.windows_hu[0, 3, 0, 0] == -850
    assert slices.nodules.max() == 1
