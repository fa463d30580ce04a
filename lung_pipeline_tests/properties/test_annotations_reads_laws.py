# SPDX-License-Identifier: Apache-2.0
"""Laws of the grouping of marks, whatever readers draw."""

from __future__ import annotations

from itertools import combinations
from random import Random

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lung_pipeline.annotations.contours import PixelSet
from lung_pipeline.annotations.reads import group_reads

QUICK = settings(max_examples=200, deadline=None)

Box = tuple[int, int, int, int, int, int]

_SIDES = st.tuples(st.integers(0, 8), st.integers(1, 6))
_BOXES = st.builds(lambda x, y, z: (*x, *y, *z), _SIDES, _SIDES, _SIDES)
MARKS = st.lists(st.tuples(st.integers(0, 3), _BOXES), min_size=1, max_size=9)
"""(reader, box): boxes of pixels in a small volume, so that many overlap."""


def _pixels(box: Box, shift: tuple[int, int, int] = (0, 0, 0)) -> PixelSet:
    column, width, row, height, index, depth = box
    slices, rows, columns = np.mgrid[:depth, :height, :width].reshape(3, -1)
    z_mm = (slices + index + shift[0]) * 2.5
    return PixelSet(z_mm, rows + row + shift[1], columns + column + shift[2])


def _groups(marks: list[tuple[int, Box]], order: list[int] | None = None) -> set[frozenset[int]]:
    """The nodules as sets of the marks' first numbers."""
    order = list(range(len(marks))) if order is None else order
    readers = [marks[number][0] for number in order]
    numbers = group_reads(readers, [_pixels(marks[number][1]) for number in order])
    return {
        frozenset(mark for mark, n in zip(order, numbers, strict=True) if n == number)
        for number in numbers
    }


def _places(box: Box) -> set[tuple[float, int, int]]:
    found = _pixels(box)
    return set(zip(found.z_mm.tolist(), found.rows.tolist(), found.columns.tolist(), strict=True))


def _share(one: Box, other: Box) -> float:
    ours, theirs = _places(one), _places(other)
    return len(ours & theirs) / len(ours | theirs)


@QUICK
@given(MARKS)
def test_no_nodule_has_a_reader_twice_nor_more_marks_than_readers(
    marks: list[tuple[int, Box]],
) -> None:
    for group in _groups(marks):
        readers = [marks[mark][0] for mark in group]
        assert len(readers) == len(set(readers)) <= 4


@QUICK
@given(MARKS)
def test_numbers_run_from_nought_in_the_order_of_the_marks(marks: list[tuple[int, Box]]) -> None:
    numbers = group_reads([reader for reader, _ in marks], [_pixels(box) for _, box in marks])
    assert list(dict.fromkeys(numbers)) == list(range(max(numbers) + 1))


@QUICK
@given(MARKS)
def test_marks_of_a_nodule_hang_together_by_overlap(marks: list[tuple[int, Box]]) -> None:
    for group in _groups(marks):
        reached = {min(group)}
        for _ in group:
            reached |= {m for m in group for r in reached if _share(marks[m][1], marks[r][1])}
        assert reached == group


@QUICK
@given(MARKS)
def test_nodules_that_overlap_are_apart_for_a_reader_s_sake(
    marks: list[tuple[int, Box]],
) -> None:
    for ours, theirs in combinations(_groups(marks), 2):
        if any(_share(marks[one][1], marks[other][1]) for one in ours for other in theirs):
            assert {marks[m][0] for m in ours} & {marks[m][0] for m in theirs}


@QUICK
@given(MARKS, st.randoms(use_true_random=False))
def test_order_of_the_marks_does_not_matter_without_ties(
    marks: list[tuple[int, Box]], random: Random
) -> None:
    shares = [_share(one[1], other[1]) for one, other in combinations(marks, 2)]
    known = [share for share in shares if share]
    assume(len(known) == len(set(known)))
    order = list(range(len(marks)))
    random.shuffle(order)
    assert _groups(marks, order) == _groups(marks)


@QUICK
@given(MARKS, st.tuples(*[st.integers(-3000, 3000), *[st.integers(0, 3000)] * 2]))
def test_moving_the_patient_moves_nothing(
    marks: list[tuple[int, Box]], shift: tuple[int, int, int]
) -> None:
    readers = [reader for reader, _ in marks]
    moved = group_reads(readers, [_pixels(box, shift) for _, box in marks])
    assert moved == group_reads(readers, [_pixels(box) for _, box in marks])


@QUICK
@given(MARKS, st.permutations(range(4)))
def test_readers_are_only_told_apart(marks: list[tuple[int, Box]], named: list[int]) -> None:
    assert _groups([(named[reader], box) for reader, box in marks]) == _groups(marks)
