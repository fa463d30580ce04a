# SPDX-License-Identifier: Apache-2.0
"""A model over whole slices: its figures, and which slices are shown."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from two_balls import NODULES, SCAN

from lung_pipeline.learning.examples import SliceExample
from lung_pipeline.segmentation.inference import segment
from lung_pipeline.segmentation.slices import WholeSlices, whole_slices
from lung_pipeline.segmentation.unet import UNet
from lung_pipeline.segmentation.validation import slice_probabilities, validate_slices


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
    figures = validate_slices(_Dense(), [with_nodules, without]).figures
    assert figures["validation/slice/nodule/recall"] == 1
    assert figures["validation/slice/nodule/total"] == 2
    # The vessel, once in each of four slices.
    assert figures["validation/slice/false_positives"] == 1
    assert figures["validation/slice/total"] == 4
    assert figures["validation/slice/nodule/precision"] == 2 / 6
    strict = validate_slices(_Dense(), [without], threshold=1.0, prefix="strict")
    assert strict.figures["strict/false_positives"] == 0


def test_series_without_any_slice_adds_nothing() -> None:
    some, none = (whole_slices("a", SCAN, NODULES, indices) for indices in ((2, 7), ()))
    assert none.windows_hu.shape == (0, *some.windows_hu.shape[1:])
    both = validate_slices(_Dense(), [none, some, none])
    assert both.figures == validate_slices(_Dense(), [some]).figures
    assert validate_slices(_Dense(), [none]).figures == {}


def test_slices_are_seen_as_when_the_whole_volume_is_segmented() -> None:
    torch.manual_seed(1)
    model = UNet().eval()
    slices = whole_slices("a", SCAN, NODULES, (0, 7, 11))
    found = slice_probabilities(model, slices.windows_hu)
    assert (found.shape, found.dtype) == ((3, 48, 64), np.float16)
    whole = segment(model, SCAN).values[[0, 7, 11]]
    np.testing.assert_allclose(found.astype(float), whole.astype(float), atol=0.02)
    assert found.astype(float).std() > 0


def _painted(name: str, *slices: tuple[str, str]) -> WholeSlices:
    """Slices of one row: what `_Dense` marks is 'x' in the first text, nodules are digits in the
    second."""
    windows_hu = np.full((len(slices), 7, 1, len(slices[0][0])), -850, dtype=np.int16)
    nodules = np.zeros((len(slices), 1, len(slices[0][0])), dtype=np.int16)
    for place, (marked, truth) in enumerate(slices):
        windows_hu[place, 3, 0, [voxel == "x" for voxel in marked]] = 30
        nodules[place, 0] = [int(voxel) if voxel.isdigit() else 0 for voxel in truth]
    return WholeSlices(name, tuple(range(10, 10 + len(slices))), windows_hu, nodules)


SERIES = [
    _painted(
        "a",
        ("xxxxx......", "111........"),  # 10: two voxels too many, nothing missed
        ("...........", ".2........."),  # 11: a nodule of one voxel missed
        ("xx.........", "33........."),  # 12: right
    ),
    _painted(
        "b",
        ("...........", "..........."),  # 10: right
        ("x.x........", "4.........."),  # 11: one mark in vain
        ("x.x........", "......55..."),  # 12: two in vain, one missed
        ("xxxxxxxxx..", "6.........."),  # 13: eight voxels too many
    ),
]


def _shown(series: list[WholeSlices]) -> list[SliceExample]:
    examples = validate_slices(_Dense(), series).examples
    assert all(isinstance(example, SliceExample) for example in examples)
    return [example for example in examples if isinstance(example, SliceExample)]


def test_missed_and_invented_nodules_are_worse_than_a_rim_that_is_off() -> None:
    shown = _shown(SERIES)
    assert [example.title.split(":")[0] for example in shown] == [
        "b, slice 12",
        "a, slice 11",
        "b, slice 11",
        "b, slice 13",
    ]
    assert [example.name for example in shown] == [f"worst-slice-{place}" for place in (1, 2, 3, 4)]
    assert shown[0].title.endswith("1 of 1 nodules missed, 2 of 2 marks in vain")


def test_a_slice_is_shown_with_its_own_marks_and_truth() -> None:
    first = _shown(SERIES)[0]
    assert "".join("x" if voxel else "." for voxel in first.predicted[0]) == "x.x........"
    assert np.flatnonzero(first.truth).tolist() == [6, 7]
    np.testing.assert_array_equal(first.slice_hu[0] == 30, first.predicted[0])


def test_slices_without_a_fault_are_not_shown() -> None:
    assert [example.title[:11] for example in _shown(SERIES[:1])] == ["a, slice 11", "a, slice 10"]
    assert _shown([_painted("c", ("x.", "1."))]) == []


def test_no_slices_have_no_figures() -> None:
    judged = validate_slices(_Dense(), [])
    assert (judged.figures, judged.examples) == ({}, ())
